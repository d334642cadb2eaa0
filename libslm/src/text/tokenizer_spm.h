// SentencePiece-style byte-pair encoding: text with spaces written as U+2581 is merged from characters up; what no
// token covers is spelled in byte tokens. Which pair merges first is told by the scores of the tokens
// (tokenizer.ggml.model "llama": the pair whose result scores highest) or by a list of merges ("gemma4").

#ifndef SLM_TEXT_TOKENIZER_SPM_H_
#define SLM_TEXT_TOKENIZER_SPM_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/merge_table.h"
#include "text/pair_merger.h"
#include "text/tokenizer_backend.h"

namespace slm {

class SpmTokenizer : public TokenizerBackend {
 public:
  // Without `merges` pairs merge by score. With it, runs of newlines are words of their own, and such a run that is a
  // token is not built by merging.
  SpmTokenizer(Vocabulary vocabulary, TokenizerConfig config, std::optional<MergeTable> merges);

  std::size_t EncodeText(std::string_view text, bool begins, std::vector<Token>& out) const override;
  void AppendBytes(std::string_view stored, std::string& out) const override;

 private:
  // Where in `text` a stretch that begins at `begin` may end so that no token reaches across.
  std::size_t SegmentEnd(std::string_view text, std::size_t begin) const;
  std::size_t EncodeSegment(std::string_view segment, PairMerger& merger, std::vector<Token>& out) const;
  std::optional<Merge> FindMerge(std::string_view segment, const Symbol& left, const Symbol& right) const;

  std::optional<MergeTable> merges_;
  std::array<Token, 256> byte_tokens_;     // -1: none, and no unknown token to stand in
  std::bitset<256> precedes_inner_space_;  // bytes found directly before a U+2581 inside a token
};

}  // namespace slm

#endif  // SLM_TEXT_TOKENIZER_SPM_H_
