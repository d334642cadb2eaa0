// Builds a Tokenizer from a file's metadata.

#ifndef SLM_TEXT_TOKENIZER_LOAD_H_
#define SLM_TEXT_TOKENIZER_LOAD_H_

#include <optional>

#include "file/gguf.h"
#include "slm/log.h"
#include "slm/tokenizer.h"

namespace slm {

// Which tokens are special where the file does not say it.
struct SpecialIds {
  std::optional<Token> bos = {};
  std::optional<Token> eos = {};
  std::optional<Token> unknown = {};
};

// What a model's architecture says about its SentencePiece vocabulary and no key of the file does.
struct TokenizerQuirks {
  bool strips_after_special = false;       // trained with the white space after control tokens left out
  bool expects_no_space_prefix = false;    // files have add_space_prefix as false; one that has no such key is suspect
  std::optional<SpecialIds> special = {};  // other ones than files with such a tokenizer have
};

// Reads tokenizer.ggml.*. The mapping behind `file` must outlive the result (token texts are views into it).
// `vocab_rows` is the number of rows of the embedding table. kCorruptFile if arrays contradict each other in type or
// length (names the key, wanted and found); an unknown tokenizer or pre-tokenizer is not an error here but in Encode.
// Warnings (ids out of range, all scores equal, ...) go to `log`, which may be empty.
Result<Tokenizer> LoadTokenizer(const GgufFile& file, const TokenizerQuirks& quirks, std::int64_t vocab_rows,
                                const LogCallback& log);

}  // namespace slm

#endif  // SLM_TEXT_TOKENIZER_LOAD_H_
