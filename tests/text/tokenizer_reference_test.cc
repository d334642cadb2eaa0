// Encode against the definition of each algorithm, written plainly: quadratic, on strings, with no shared code but the
// pre-tokenizers. On random vocabularies and texts.

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <random>

#include "support/tokenizer_test_util.h"
#include "text/pair_merger.h"
#include "text/pre_tokenizer.h"

namespace slm::test {
namespace {

using Random = std::mt19937;

std::size_t Below(Random& random, std::size_t bound) { return random() % bound; }

template <typename T>
const T& OneOf(Random& random, const std::vector<T>& values) {
  return values[Below(random, values.size())];
}

enum : std::int32_t {
  kNormalType = 1,
  kUnknownType = 2,
  kControlType = 3,
  kUserType = 4,
  kUnusedType = 5,
  kByteType = 6
};

struct SpmModel {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  std::map<std::string, Token> ids;
  bool add_space_prefix = false;

  void Add(const std::string& text, float score, std::int32_t type) {
    if (!ids.emplace(text, static_cast<Token>(texts.size())).second) return;
    texts.push_back(text);
    scores.push_back(score);
    types.push_back(type);
  }
  // -1: none that text may become.
  Token Piece(const std::string& text) const {
    const auto found = ids.find(text);
    if (found == ids.end()) return -1;
    const std::int32_t type = types[static_cast<std::size_t>(found->second)];
    return type == kNormalType || type == kUserType ? found->second : -1;
  }
  TinyGguf File() const {
    TinyGguf file;
    file.Set("tokenizer.ggml.model", "llama");
    file.Set("tokenizer.ggml.tokens", texts);
    file.Set("tokenizer.ggml.scores", scores);
    file.Set("tokenizer.ggml.token_type", types);
    file.Set("tokenizer.ggml.add_space_prefix", add_space_prefix);
    return file;
  }
};

// Characters of a text whose only invalid bytes are such that begin no character.
std::vector<std::string> Characters(const std::string& text) {
  std::vector<std::string> characters;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0xC0 || lead == 0xFF ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    characters.push_back(text.substr(i, size));
    i += size;
  }
  return characters;
}

void ReferenceSpmText(const SpmModel& model, const std::string& text, bool begins, Tokens& out) {
  std::string escaped = begins && model.add_space_prefix ? "▁" : "";
  for (const char c : text) {
    if (c == ' ') {
      escaped += "▁";
    } else {
      escaped += c;
    }
  }
  std::vector<std::string> symbols = Characters(escaped);
  while (true) {
    std::size_t best = symbols.size();
    float best_score = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const Token token = model.Piece(symbols[i] + symbols[i + 1]);
      if (token < 0) continue;
      const float score = model.scores[static_cast<std::size_t>(token)];
      if (best == symbols.size() || score > best_score) {
        best = i;
        best_score = score;
      }
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  for (const std::string& symbol : symbols) {
    if (const Token token = model.Piece(symbol); token >= 0) {
      out.push_back(token);
      continue;
    }
    for (const char c : symbol) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned char>(c));
      const auto byte = model.ids.find(name);
      out.push_back(byte != model.ids.end() ? byte->second : 0);
    }
  }
}

Tokens ReferenceSpm(const SpmModel& model, const std::string& text, bool parse_special) {
  Tokens out;
  std::string raw;
  bool begins = true;
  const auto flush = [&] {
    if (!raw.empty()) ReferenceSpmText(model, raw, begins, out);
    raw.clear();
  };
  for (std::size_t i = 0; i < text.size();) {
    std::size_t longest = model.texts.size();
    for (std::size_t token = 0; token < model.texts.size(); ++token) {
      const std::int32_t type = model.types[token];
      const bool special = type == kUserType || (parse_special && (type == kControlType || type == kUnknownType));
      if (!special || text.compare(i, model.texts[token].size(), model.texts[token]) != 0) continue;
      if (longest == model.texts.size() || model.texts[token].size() > model.texts[longest].size()) longest = token;
    }
    if (longest == model.texts.size()) {
      raw += text[i++];
      continue;
    }
    flush();
    out.push_back(static_cast<Token>(longest));
    begins = true;
    i += model.texts[longest].size();
  }
  flush();
  return out;
}

SpmModel RandomSpmModel(Random& random) {
  SpmModel model;
  model.add_space_prefix = Below(random, 2) == 0;
  model.Add("<unk>", 0, kUnknownType);
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    if (Below(random, 8) != 0) model.Add(name, 0, kByteType);
  }
  std::vector<std::string> pieces = {"a", "b", "c", "▁", "é", "日", "<"};
  // Few scores, so that many are equal.
  const auto score = [&] { return static_cast<float>(Below(random, 12)) - 6.0f; };
  for (const std::string& piece : pieces) {
    if (Below(random, 10) != 0) model.Add(piece, score(), kNormalType);
  }
  for (int i = 0; i < 60; ++i) {
    pieces.push_back(OneOf(random, pieces) + OneOf(random, pieces));
    if (pieces.back().size() > 24) pieces.pop_back();
    const bool odd = Below(random, 12) == 0;
    model.Add(pieces.back(), score(),
              odd ? std::vector{kControlType, kUnusedType, kByteType}[Below(random, 3)] : kNormalType);
  }
  for (const char* text : {"  ", "   ", "<b>", "ab", "a a", "\n\n"}) {
    if (Below(random, 2) == 0) model.Add(text, score(), kUserType);
  }
  model.Add("<c>", 0, kControlType);
  return model;
}

std::string RandomText(Random& random, const std::vector<std::string>& parts) {
  std::string text;
  for (std::size_t n = Below(random, 40); n > 0; --n) {
    const std::string& part = OneOf(random, parts);
    for (std::size_t k = Below(random, 6) == 0 ? Below(random, 9) : 1; k > 0; --k) text += part;
  }
  return text;
}

TEST(ReferenceTest, SentencePieceStyle) {
  Random random(1);
  const std::vector<std::string> parts = {"a",  "b",   "c",   " ", " ",  "▁",    "é",
                                          "日", "<b>", "<c>", "<", "\n", "\xFF", "\x80"};
  std::size_t tokens = 0;
  for (int round = 0; round < 300; ++round) {
    const SpmModel model = RandomSpmModel(random);
    const LoadedTokenizer tokenizer(model.File());
    ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
    for (int i = 0; i < 30; ++i) {
      const std::string text = RandomText(random, parts);
      const bool parse_special = i % 2 == 0;
      const Tokens expected = ReferenceSpm(model, text, parse_special);
      ASSERT_EQ(tokenizer.Encode(text, parse_special), expected) << round << " " << text;
      tokens += expected.size();
    }
  }
  EXPECT_GT(tokens, 100'000u);
}

struct BpeModel {
  std::vector<std::string> pieces;  // from id 256 on
  std::vector<std::string> merges;
  std::map<std::string, Token> ids;
  std::map<std::pair<std::string, std::string>, std::size_t> ranks;
};

BpeModel RandomBpeModel(Random& random) {
  BpeModel model;
  for (unsigned byte = 0; byte < 256; ++byte) model.ids[PrintableByte(byte)] = static_cast<Token>(byte);
  std::vector<std::string> texts;
  for (const char c : {'a', 'b', 'c', ' ', '!', '\n'}) texts.push_back(PrintableByte(static_cast<unsigned char>(c)));
  for (const unsigned byte : {0xC3u, 0xA9u}) texts.push_back(PrintableByte(byte));
  for (int i = 0; i < 60; ++i) {
    const std::string left = OneOf(random, texts);
    const std::string right = OneOf(random, texts);
    if (!model.ranks.emplace(std::pair(left, right), model.merges.size()).second) continue;
    model.merges.push_back(left + " " + right);
    if (model.ids.emplace(left + right, static_cast<Token>(256 + model.pieces.size())).second) {
      model.pieces.push_back(left + right);
      texts.push_back(left + right);
    }
  }
  return model;
}

Tokens ReferenceBpe(const BpeModel& model, std::string_view text, const PreTokenizer& pre_tokenizer) {
  Tokens out;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, pre_tokenizer.next_word(text));
    text.remove_prefix(word.size());
    std::vector<std::string> symbols;
    for (const char c : word) symbols.push_back(PrintableByte(static_cast<unsigned char>(c)));
    while (true) {
      std::size_t best = symbols.size();
      std::size_t best_rank = model.merges.size();
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        const auto found = model.ranks.find({symbols[i], symbols[i + 1]});
        if (found == model.ranks.end() || found->second >= best_rank) continue;
        best = i;
        best_rank = found->second;
      }
      if (best == symbols.size()) break;
      symbols[best] += symbols[best + 1];
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    for (const std::string& symbol : symbols) out.push_back(model.ids.at(symbol));
  }
  return out;
}

TEST(ReferenceTest, ByteLevel) {
  Random random(2);
  const std::vector<std::string> parts = {"a", "b", "c", " ", " ", "!", "\n", "é", "日", "7", "'s", "\xFF"};
  std::size_t tokens = 0;
  for (int round = 0; round < 300; ++round) {
    const BpeModel model = RandomBpeModel(random);
    const std::string pre_tokenizer = round % 2 == 0 ? "gpt-2" : "smollm";
    const LoadedTokenizer tokenizer(BpeFile(model.pieces, model.merges, pre_tokenizer));
    ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
    for (int i = 0; i < 30; ++i) {
      const std::string text = RandomText(random, parts);
      const Tokens expected = ReferenceBpe(model, text, *FindPreTokenizer(pre_tokenizer));
      ASSERT_EQ(tokenizer.Encode(text), expected) << round << " " << text;
      ASSERT_EQ(tokenizer->Decode(expected), text);
      tokens += expected.size();
    }
  }
  EXPECT_GT(tokens, 100'000u);
}

// The work is a fixed number of look-ups per symbol, also where everything merges with everything.
TEST(PairMergerTest, LooksUpAtMostThreePairsPerSymbol) {
  constexpr std::uint32_t kSymbols = 100'000;
  PairMerger merger;
  for (std::uint32_t i = 0; i < kSymbols; ++i) merger.Add({i, i + 1, 0});
  std::size_t look_ups = 0;
  merger.MergeAll([&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
    ++look_ups;
    return Merge{right.end - left.begin, 0};
  });
  std::vector<Symbol> symbols;
  merger.ForEach([&](const Symbol& symbol) { symbols.push_back(symbol); });
  ASSERT_EQ(symbols.size(), 1u);
  EXPECT_EQ(symbols[0].end, kSymbols);
  EXPECT_LE(look_ups, 3u * kSymbols);
}

}  // namespace
}  // namespace slm::test
