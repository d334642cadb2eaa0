#include "made_vocabulary.h"

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "random.h"

namespace slm::bench {

namespace {

constexpr std::string_view kSentencePieceSpace = "\u2581";
constexpr std::string_view kByteLevelSpace = "\u0120";

// The values of tokenizer.ggml.token_type.
enum TokenType : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6 };

struct Vocabulary {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<std::int32_t> types;

  void Add(std::string text, TokenType type, float score = 0) {
    texts.push_back(std::move(text));
    types.push_back(type);
    scores.push_back(score);
  }
  void AddNumbered(const char* prefix, int begin, int end, const char* suffix, TokenType type) {
    for (int i = begin; i < end; ++i) Add(prefix + std::to_string(i) + suffix, type);
  }
  void AddRuns(char c, std::size_t shortest, std::size_t longest) {
    for (std::size_t length = shortest; length <= longest; ++length) Add(std::string(length, c), kUserDefined);
  }
  void AddBytes() {
    for (unsigned byte = 0; byte < 256; ++byte) {
      char text[8];
      std::snprintf(text, sizeof(text), "<0x%02X>", byte);
      Add(text, kByte);
    }
  }
};

std::string Utf8(char32_t c) {
  if (c < 0x80) return {static_cast<char>(c)};
  const auto tail = [](char32_t bits) { return static_cast<char>(0x80 | (bits & 0x3f)); };
  if (c < 0x800) return {static_cast<char>(0xc0 | (c >> 6)), tail(c)};
  return {static_cast<char>(0xe0 | (c >> 12)), tail(c >> 6), tail(c)};
}

// Pieces of words, without end.
class PieceMaker {
 public:
  PieceMaker(std::string_view space, std::uint64_t seed) : space_(space), random_(seed, "tokenizer.ggml.tokens") {
    pieces_.emplace_back(space);
    for (const char letter : std::string_view("etaoinshrdlcumwfgypbvkxjqzETAOINSHRDLCUMWFGYPBVKXJQZ")) {
      pieces_.emplace_back(1, letter);
    }
  }

  // Two pieces made before that together are a new one.
  std::pair<std::string, std::string> Next() {
    for (;;) {
      const std::string& left = Pick();
      const std::string& right = Pick();
      if (left.size() + right.size() > kMaxBytes || right.starts_with(space_)) continue;
      if (!joined_.insert(left + right).second) continue;
      std::pair<std::string, std::string> parts(left, right);
      pieces_.push_back(left + right);
      return parts;
    }
  }

 private:
  static constexpr std::size_t kMaxBytes = 16;

  // Earlier pieces are more frequent.
  const std::string& Pick() {
    const float u = random_.Uniform();
    return pieces_[static_cast<std::size_t>(u * u * u * static_cast<float>(pieces_.size() - 1))];
  }

  std::string_view space_;
  Random random_;
  std::vector<std::string> pieces_;
  std::unordered_set<std::string> joined_;
};

// Single characters: ASCII, Latin, Cyrillic and the first of the Chinese ones.
std::vector<std::string> Characters() {
  std::vector<std::string> characters = {std::string(kSentencePieceSpace)};
  constexpr std::pair<char32_t, char32_t> kRanges[] = {{0x21, 0x7f}, {0xa1, 0x180}, {0x400, 0x460}, {0x4e00, 0x5300}};
  for (const auto& [begin, end] : kRanges) {
    for (char32_t c = begin; c < end; ++c) characters.push_back(Utf8(c));
  }
  return characters;
}

// Fills up to `end` tokens with pieces and, last, characters; scores fall from piece to piece.
void AddSentencePieces(std::size_t end, std::uint64_t seed, Vocabulary& vocabulary) {
  const std::vector<std::string> characters = Characters();
  PieceMaker maker(kSentencePieceSpace, seed);
  float score = 0;
  while (vocabulary.texts.size() < end - characters.size()) {
    const auto [left, right] = maker.Next();
    vocabulary.Add(left + right, kNormal, score--);
  }
  for (const std::string& character : characters) vocabulary.Add(character, kNormal, score--);
}

void AddSentencePieceKeys(const Vocabulary& vocabulary, GgufMetadata& file) {
  file.Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens", vocabulary.texts);
  file.Set("tokenizer.ggml.scores", vocabulary.scores);
  file.Set("tokenizer.ggml.token_type", vocabulary.types);
}

void AddGemma3(std::size_t size, std::uint64_t seed, GgufMetadata& file) {
  constexpr int kUnusedBefore = 99;
  constexpr int kUnusedAfter = 6143;
  Vocabulary vocabulary;
  for (const char* text : {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>"}) vocabulary.Add(text, kControl);
  vocabulary.Add("[multimodal]", kUserDefined);
  vocabulary.AddNumbered("<unused", 0, kUnusedBefore, ">", kControl);
  for (const char* text : {"<start_of_turn>", "<end_of_turn>"}) vocabulary.Add(text, kControl);
  vocabulary.AddRuns('\n', 1, 31);
  vocabulary.AddRuns(' ', 2, 31);
  vocabulary.AddNumbered("<tag", 0, 70, ">", kUserDefined);  // where the real one has those of HTML
  vocabulary.AddBytes();
  constexpr std::size_t kAfterPieces = 31 + 2 + kUnusedAfter;
  AddSentencePieces(size - kAfterPieces, seed, vocabulary);
  vocabulary.AddRuns('\t', 1, 31);
  for (const char* text : {"<start_of_image>", "<end_of_image>"}) vocabulary.Add(text, kUserDefined);
  vocabulary.AddNumbered("<unused", kUnusedBefore, kUnusedBefore + kUnusedAfter, ">", kControl);

  AddSentencePieceKeys(vocabulary, file);
  file.Set("tokenizer.ggml.bos_token_id", 2u).Set("tokenizer.ggml.eos_token_id", 1u);
  file.Set("tokenizer.ggml.unknown_token_id", 3u).Set("tokenizer.ggml.padding_token_id", 0u);
  file.Set("tokenizer.ggml.add_bos_token", true).Set("tokenizer.ggml.add_eos_token", false);
  file.Set("tokenizer.ggml.add_space_prefix", false);
}

void AddLlama2(std::size_t size, std::uint64_t seed, GgufMetadata& file) {
  Vocabulary vocabulary;
  vocabulary.Add("<unk>", kUnknown);
  vocabulary.Add("<s>", kControl);
  vocabulary.Add("</s>", kControl);
  vocabulary.AddBytes();
  AddSentencePieces(size, seed, vocabulary);

  AddSentencePieceKeys(vocabulary, file);
  file.Set("tokenizer.ggml.bos_token_id", 1u).Set("tokenizer.ggml.eos_token_id", 2u);
  file.Set("tokenizer.ggml.unknown_token_id", 0u);
  file.Set("tokenizer.ggml.add_bos_token", true).Set("tokenizer.ggml.add_eos_token", false);
}

// The characters that stand for the 256 bytes: themselves where they are visible, else U+0100 and on.
std::vector<std::string> ByteCharacters() {
  std::vector<std::string> visible;
  std::vector<std::string> others;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool is_visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    if (is_visible) visible.push_back(Utf8(byte));
    if (!is_visible) others.push_back(Utf8(0x100 + static_cast<char32_t>(others.size())));
  }
  visible.insert(visible.end(), others.begin(), others.end());
  return visible;
}

void AddLlama3(std::size_t size, std::uint64_t seed, GgufMetadata& file) {
  constexpr std::size_t kSpecial = 256;
  Vocabulary vocabulary;
  for (const std::string& character : ByteCharacters()) vocabulary.Add(character, kNormal);
  PieceMaker maker(kByteLevelSpace, seed);
  std::vector<std::string> merges;
  while (vocabulary.texts.size() < size - kSpecial) {
    const auto [left, right] = maker.Next();
    merges.push_back(left + " " + right);
    vocabulary.Add(left + right, kNormal);
  }
  const auto first = static_cast<std::uint32_t>(vocabulary.texts.size());
  for (const char* text : {"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>",
                           "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>", "<|reserved_special_token_2|>",
                           "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"}) {
    vocabulary.Add(text, kControl);
  }
  const auto left = static_cast<int>(size - vocabulary.texts.size());
  vocabulary.AddNumbered("<|reserved_special_token_", 3, 3 + left, "|>", kControl);

  file.Set("tokenizer.ggml.model", "gpt2").Set("tokenizer.ggml.pre", "llama-bpe");
  file.Set("tokenizer.ggml.tokens", vocabulary.texts);
  file.Set("tokenizer.ggml.token_type", vocabulary.types);
  file.Set("tokenizer.ggml.merges", merges);
  file.Set("tokenizer.ggml.bos_token_id", first).Set("tokenizer.ggml.eos_token_id", first + 9);
}

}  // namespace

void AddVocabulary(VocabularyKind kind, std::int32_t size, std::uint64_t seed, GgufMetadata& file) {
  const auto count = static_cast<std::size_t>(size);
  switch (kind) {
    case VocabularyKind::kGemma3:
      return AddGemma3(count, seed, file);
    case VocabularyKind::kLlama2:
      return AddLlama2(count, seed, file);
    case VocabularyKind::kLlama3:
      return AddLlama3(count, seed, file);
  }
}

}  // namespace slm::bench
