// Texts for the vocabularies of tests/data/tokenizers: the first byte chooses one, the second where the text is cut in
// two parts, the rest is the text.

#include <algorithm>
#include <array>
#include <memory>

#include "fuzz/fuzz_target.h"
#include "slm/tokenizer.h"
#include "support/test_data.h"
#include "support/tokenizer_test_util.h"

namespace slm::test {

namespace {

constexpr std::array kNames = {"gemma3", "gemma4_dense", "gemma4_trained", "llama_spm",
                               "llama3", "llama_f16",    "nemo",           "qwen2"};

struct Vocabulary {
  explicit Vocabulary(const char* name) : tokenizer(DataPath("tokenizers") / name / "vocab.gguf") {
    for (std::size_t i = 0; i < has_byte.size(); ++i) {
      const std::string byte(1, static_cast<char>(i));
      const auto tokens = tokenizer->Encode(byte);
      has_byte[i] = tokens.ok() && tokenizer->Decode(*tokens) == byte;
    }
  }
  LoadedTokenizer tokenizer;
  std::array<bool, 256> has_byte{};  // a small vocabulary may lack some
};

const Vocabulary& VocabularyOf(std::size_t index) {
  static std::array<std::unique_ptr<Vocabulary>, kNames.size()> all;
  if (!all[index]) all[index] = std::make_unique<Vocabulary>(kNames[index]);
  return *all[index];
}

// What a SentencePiece-style tokenizer can't tell from spaces.
std::string WithSpaces(std::string text) {
  constexpr std::string_view kMark = "\xE2\x96\x81";
  for (std::size_t i = text.find(kMark); i != std::string::npos; i = text.find(kMark, i))
    text.replace(i, kMark.size(), " ");
  return text;
}

void RequireText(const Tokenizer& tokenizer, const std::vector<Token>& tokens) {
  for (const Token token : tokens) {
    Require(0 <= token && token < tokenizer.vocab_size(), "ids are of the vocabulary");
    Require(tokenizer.Kind(token) != TokenKind::kControl, "a user's text holds no control token");
  }
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    for (const TokenizerCase& c : ReadTokenizerCases(DataPath("tokenizers") / kNames[i] / "tokenize.jsonl"))
      if (c.text.size() < 100) seeds.push_back(std::string{static_cast<char>(i), '\3'} + c.text);
  }
  return seeds;
}

void Fuzz(std::string_view input) {
  if (input.size() < 2) return;
  const Vocabulary& vocabulary = VocabularyOf(static_cast<unsigned char>(input[0]) % kNames.size());
  const Tokenizer& tokenizer = *vocabulary.tokenizer;
  const std::string text(input.substr(2));

  const auto tokens = tokenizer.Encode(text);
  if (!tokens.ok()) return;
  RequireText(tokenizer, *tokens);
  const bool whole =
      std::ranges::all_of(text, [&](char byte) { return vocabulary.has_byte[static_cast<unsigned char>(byte)]; });
  const bool spm = tokenizer.kind() != "gpt2";
  if (whole) Require(tokenizer.Decode(*tokens, true) == (spm ? WithSpaces(text) : text), "texts survive");

  const std::size_t cut = std::min<std::size_t>(static_cast<unsigned char>(input[1]), text.size());
  const auto parts = tokenizer.EncodeParts(std::array{TextPart{.text = text.substr(0, cut)},
                                                      TextPart{.text = "</s><end_of_turn>", .markup = true},
                                                      TextPart{.text = text.substr(cut)}});
  const auto theirs =
      tokenizer.EncodeParts(std::array{TextPart{.text = text.substr(0, cut)}, TextPart{.text = text.substr(cut)}});
  Require(parts.ok() && theirs.ok(), "texts can be read in parts");
  RequireText(tokenizer, *theirs);

  for (const bool special : {false, true})
    static_cast<void>(tokenizer.Encode(text, {.parse_special = special, .add_special = true, .at_start = special}));
}

}  // namespace slm::test
