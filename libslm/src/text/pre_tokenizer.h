// Pre-tokenizers of byte-level BPE: how a text falls into words before merging.
//
// The files name them (tokenizer.ggml.pre); the definitions are regular expressions, given beside each function, with
// leftmost alternatives first and greedy repetition. Here each is a scanner, linear and without recursion, that needs
// to see only the text from the word's beginning on. To add one: a function in pre_tokenizer.cc and a row in its table.

#ifndef SLM_TEXT_PRE_TOKENIZER_H_
#define SLM_TEXT_PRE_TOKENIZER_H_

#include <cstddef>
#include <span>
#include <string_view>

namespace slm {

struct PreTokenizer {
  std::string_view name;
  // Size in bytes of the word that the text, which is not empty, begins with; at least 1. Bytes that are not UTF-8
  // count as symbols.
  std::size_t (*next_word)(std::string_view text);
  // A word that is a token as a whole is not built by merging.
  bool ignore_merges = false;
  // What files that do not say mean by tokenizer.ggml.add_bos_token.
  bool add_bos = false;
};

std::span<const PreTokenizer> AllPreTokenizers();
// nullptr if the name is not known.
const PreTokenizer* FindPreTokenizer(std::string_view name);

}  // namespace slm

#endif  // SLM_TEXT_PRE_TOKENIZER_H_
