// Byte-level byte-pair encoding (tokenizer.ggml.model "gpt2"): text falls into words, the bytes of a word are tokens,
// and pairs of tokens are merged in the order of the file's list. Stored texts write every byte as a printable
// character.

#ifndef SLM_TEXT_TOKENIZER_BPE_H_
#define SLM_TEXT_TOKENIZER_BPE_H_

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "text/merge_table.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_backend.h"

namespace slm {

class BpeTokenizer : public TokenizerBackend {
 public:
  // `pre_tokenizer` may be nullptr if config.encoding is not OK.
  BpeTokenizer(Vocabulary vocabulary, TokenizerConfig config, MergeTable merges, const PreTokenizer* pre_tokenizer);

  std::size_t EncodeText(std::string_view text, bool begins, std::vector<Token>& out) const override;
  void AppendBytes(std::string_view stored, std::string& out) const override;

 private:
  MergeTable merges_;
  const PreTokenizer* pre_tokenizer_;
  std::array<Token, 256> byte_tokens_;  // -1: the vocabulary lacks it
};

}  // namespace slm

#endif  // SLM_TEXT_TOKENIZER_BPE_H_
