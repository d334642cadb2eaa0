// Tokenizers for tests: from files on disk and from metadata made up in memory.

#ifndef SLM_TESTS_SUPPORT_TOKENIZER_TEST_UTIL_H_
#define SLM_TESTS_SUPPORT_TOKENIZER_TEST_UTIL_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/mapped_file.h"
#include "slm/tokenizer.h"
#include "text/tokenizer_load.h"
#include "tiny_gguf.h"

namespace slm::test {

using Tokens = std::vector<Token>;

// A tokenizer and the bytes it reads from.
class LoadedTokenizer {
 public:
  // As many tokens as the file has, unless `rows` says otherwise.
  explicit LoadedTokenizer(const std::filesystem::path& path);
  explicit LoadedTokenizer(const TinyGguf& file, std::int64_t rows = 0, const TokenizerQuirks& quirks = {});
  LoadedTokenizer(const LoadedTokenizer&) = delete;
  LoadedTokenizer& operator=(const LoadedTokenizer&) = delete;

  const Status& status() const { return status_; }
  // Only if status() is OK.
  const Tokenizer& operator*() const { return *tokenizer_; }
  const Tokenizer* operator->() const { return &*tokenizer_; }
  // What was logged while loading, a line each.
  const std::string& warnings() const { return warnings_; }
  const std::string& infos() const { return infos_; }

  // Encodes without BOS and EOS; fails the test if that is not possible.
  Tokens Encode(std::string_view text, bool parse_special = false) const;

 private:
  void Load(std::span<const std::byte> bytes, std::int64_t rows, const TokenizerQuirks& quirks);

  std::optional<MappedFile> mapping_;
  std::string bytes_;
  std::optional<Tokenizer> tokenizer_;
  Status status_;
  std::string warnings_;
  std::string infos_;
};

// One line of a fixture.
struct TokenizerCase {
  std::string text;
  Tokens ids;
  bool parse_special;
};
std::vector<TokenizerCase> ReadTokenizerCases(const std::filesystem::path& path);

// `pattern` again and again, `size` bytes or a few more.
std::string Repeated(std::string_view pattern, std::size_t size);

// Only these tokens, with ids from 0 on, all of them normal ones.
TinyGguf TokensFile(const std::vector<std::string>& texts);

// A SentencePiece-style vocabulary: <unk>, <s>, </s>, the 256 byte tokens, then `pieces` from id 259 on, with
// descending scores. BOS is 1, EOS is 2.
TinyGguf SpmFile(const std::vector<std::string>& pieces);
// A byte-level vocabulary: a token for every byte in its printable form (space is id 32 and "\u0120"), then `pieces`
// from id 256 on.
TinyGguf BpeFile(const std::vector<std::string>& pieces, const std::vector<std::string>& merges,
                 std::string_view pre_tokenizer = "gpt-2");
// The printable form of one byte.
std::string PrintableByte(unsigned byte);

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_TOKENIZER_TEST_UTIL_H_
