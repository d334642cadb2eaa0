// SentencePiece-style byte-pair encoding (tokenizer.ggml.model "llama"): text with spaces written as U+2581 is merged
// from characters up, the pair whose result scores highest first; what no token covers is spelled in byte tokens.

#ifndef SLM_TEXT_TOKENIZER_SPM_H_
#define SLM_TEXT_TOKENIZER_SPM_H_

#include <array>
#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer_backend.h"

namespace slm {

class SpmTokenizer : public TokenizerBackend {
 public:
  SpmTokenizer(Vocabulary vocabulary, TokenizerConfig config);

  void EncodeText(std::string_view text, bool begins, std::vector<Token>& out) const override;
  void AppendBytes(std::string_view stored, std::string& out) const override;

 private:
  // Where in `text` a stretch that begins at `begin` may end so that no token reaches across.
  std::size_t SegmentEnd(std::string_view text, std::size_t begin) const;
  void AppendSpelled(std::string_view character, std::vector<Token>& out) const;

  std::array<Token, 256> byte_tokens_;     // -1: none, and no unknown token to stand in
  std::bitset<256> precedes_inner_space_;  // bytes found directly before a U+2581 inside a token
};

}  // namespace slm

#endif  // SLM_TEXT_TOKENIZER_SPM_H_
