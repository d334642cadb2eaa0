// Whatever a file, a text or a conversation spells, reading it takes time in proportion to its size, times a logarithm.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "slm/slm.h"
#include "steps/step_counter.h"
#include "tiny_gguf.h"

namespace slm::test {
namespace {

ModelFile Opened(const std::string& bytes) {
  return ModelFile::FromMemory(std::as_bytes(std::span(bytes)), "test").value();
}

TinyGguf Vocabulary(const std::vector<std::string>& texts, const std::vector<std::int32_t>& types) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "gpt2").Set("tokenizer.ggml.pre", "llama-bpe");
  file.Set("tokenizer.ggml.tokens", texts).Set("tokenizer.ggml.token_type", types);
  file.Set("tokenizer.ggml.merges", std::vector<std::string>());
  return file;
}

constexpr std::int32_t kNormal = 1, kControl = 3, kUserDefined = 4;

// Texts of 16 bytes that the hash function which libstdc++ has for strings takes for one, as anybody can compute.
class Colliding {
 public:
  std::string Next() {
    while (true) {
      const std::uint64_t first = random_();
      const std::array<std::uint64_t, 2> words = {first, Second(first)};
      const std::string text(reinterpret_cast<const char*>(words.data()), sizeof words);
      if (text.find('\0') == std::string::npos) return text;
    }
  }

 private:
  static constexpr std::uint64_t kFactor = 0xc6a4a7935bd1e995;
  static std::uint64_t Mix(std::uint64_t value) { return value ^ value >> 47; }
  static std::uint64_t Inverse() {  // of the factor, by Newton's method
    std::uint64_t inverse = kFactor;
    for (int i = 0; i < 6; ++i) inverse *= 2 - kFactor * inverse;
    return inverse;
  }
  static std::uint64_t Second(std::uint64_t first) {
    std::uint64_t hash = 0xc70f6907 ^ 16 * kFactor;
    hash = (hash ^ Mix(first * kFactor) * kFactor) * kFactor;
    const std::uint64_t wanted = 0x1234567890abcdef * Inverse() ^ hash;
    return Mix(wanted * Inverse()) * Inverse();
  }
  std::mt19937_64 random_{1};
};

TEST(LinearTimeTest, TheTextsCollide) {
  Colliding colliding;
  EXPECT_EQ(std::hash<std::string>()(colliding.Next()), std::hash<std::string>()(colliding.Next()));
}

TEST(LinearTimeTest, KeysThatCollide) {
  ExpectLinear(500, [](std::size_t n) {
    Colliding colliding;
    TinyGguf file;
    for (std::size_t i = 0; i < n; ++i) file.Set(colliding.Next(), std::uint8_t{1});
    return [bytes = file.Build()] { Opened(bytes); };
  });
}

TEST(LinearTimeTest, TensorNamesThatCollide) {
  ExpectLinear(500, [](std::size_t n) {
    Colliding colliding;
    TinyGguf file;
    for (std::size_t i = 0; i < n; ++i) file.AddTensor(colliding.Next(), Format::kF32, {1}, "1234");
    return [bytes = file.Build()] { Opened(bytes); };
  });
}

TEST(LinearTimeTest, ArraysOfArrays) {
  ExpectLinear(1000, [](std::size_t n) {
    RawBytes raw;
    raw.U32(9).U64(n);
    for (std::size_t i = 0; i < n; ++i) raw.U32(0).U64(0);
    TinyGguf file;
    file.SetRaw("arrays", 9, raw.str());
    return [bytes = file.Build()] { Opened(bytes); };
  });
}

// The vocabulary's own hash had no key either: these met in one place of its table.
TEST(LinearTimeTest, VocabularyThatCollided) {
  const auto mix = [](std::uint64_t value) {
    value *= 0x9E3779B97F4A7C15;
    value ^= value >> 32;
    value *= 0x9E3779B97F4A7C15;
    return value ^ value >> 29;
  };
  ExpectLinear(1000, [&](std::size_t n) {
    std::mt19937_64 random(1);
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t first = random();
      const std::array<std::uint64_t, 2> words = {first, mix(16 ^ first) ^ 0x1234567890abcdef};
      texts.emplace_back(reinterpret_cast<const char*>(words.data()), sizeof words);
    }
    const std::string bytes = Vocabulary(texts, std::vector<std::int32_t>(n, kNormal)).Build();
    return [bytes] { EXPECT_TRUE(Tokenizer::Open(Opened(bytes)).ok()); };
  });
}

// A text that looks like the beginning of a long token at each of its places.
class LongTokenTest : public testing::TestWithParam<std::int32_t> {};

TEST_P(LongTokenTest, LinearTimeTest) {
  ExpectLinear(1000, [](std::size_t n) {
    // "a" is a special token itself, so that after each match the search begins anew.
    const std::string bytes = Vocabulary({"a", "x", std::string(n, 'a') + "b", std::string(n, 'a') + "c"},
                                         {GetParam(), kNormal, kControl, kUserDefined})
                                  .Build();
    return [bytes, text = std::string(n, 'a')] {
      const ModelFile file = Opened(bytes);
      const Tokenizer tokenizer = Tokenizer::Open(file).value();
      for (const bool parse_special : {false, true})
        EXPECT_EQ(tokenizer.Encode(text, {.parse_special = parse_special})->size(), text.size());
      const TextPart parts[] = {{.text = text, .markup = true}, {.text = text}};
      EXPECT_EQ(tokenizer.EncodeParts(parts)->size(), 2 * text.size());
    };
  });
}

INSTANTIATE_TEST_SUITE_P(FirstToken, LongTokenTest, testing::Values(kNormal, kUserDefined));

TEST(LinearTimeTest, PartsOfAPrompt) {
  ExpectLinear(200, [](std::size_t n) {
    const std::string bytes = Vocabulary({"a", "<|m|>"}, {kNormal, kControl}).Build();
    const std::vector<TextPart> parts(n, {.text = "a<|m|>a", .markup = true});
    return [bytes, parts] {
      const ModelFile file = Opened(bytes);
      EXPECT_EQ(Tokenizer::Open(file)->EncodeParts(parts)->size(), 3 * parts.size());
    };
  });
}

// JSON that begins and ends so, with a part for each number in between.
template <typename Part>
std::string Json(std::string_view begin, std::size_t n, Part part, std::string_view end) {
  std::string json(begin);
  for (std::size_t i = 0; i < n; ++i) json += (i > 0 ? "," : "") + part(i);
  return json += end;
}

void ExpectRendersInLinearTime(const std::string& source, std::string (*context)(std::size_t)) {
  const ChatTemplate chat_template = ChatTemplate::Parse(source).value();
  ExpectLinear(300, [&](std::size_t n) {
    return [&chat_template, json = context(n)] {
      const Result<Prompt> prompt = chat_template.Render(json);
      EXPECT_TRUE(prompt.ok()) << prompt.status().message();
    };
  });
}

std::string Number(std::size_t i) { return std::to_string(i); }

TEST(LinearTimeTest, JsonObjects) {
  ExpectRendersInLinearTime("x", [](std::size_t n) {
    return Json(R"({"o":{)", n, [](std::size_t i) { return "\"k" + Number(i) + "\":0"; }, "}}");
  });
}

TEST(LinearTimeTest, JsonObjectsOfOneName) {
  ExpectRendersInLinearTime("x", [](std::size_t n) {
    return Json(R"({"o":{)", n, [](std::size_t i) { return "\"k" + Number(i % 2) + "\":0"; }, "}}");
  });
}

TEST(LinearTimeTest, JsonListsOfObjects) {
  ExpectRendersInLinearTime(
      "x", [](std::size_t n) { return Json(R"({"o":[)", n, [](std::size_t) { return std::string("{},[]"); }, "]}"); });
}

TEST(LinearTimeTest, JsonObjectsThatTemplatesWrite) {
  ExpectRendersInLinearTime("{{ o|tojson }}{{ o|dictsort|length }}{{ s|from_json|length }}", [](std::size_t n) {
    const auto object = [&](std::string_view quote) {
      return Json(
          "{", n, [&](std::size_t i) { return std::string(quote) + "k" + Number(i) + std::string(quote) + ":0"; }, "}");
    };
    return R"({"o":)" + object("\"") + R"(,"s":")" + object("\\\"") + "\"}";
  });
}

TEST(LinearTimeTest, FiltersOfLists) {
  ExpectRendersInLinearTime(
      "{{ o|unique|list|length }}{{ o|sort|join(',')|length }}{{ o|groupby('0')|length }}"
      "{{ o|join('-')|replace('-', ' ')|length }}{% for k in o %}{{ k ~ '.' }}{% endfor %}",
      [](std::size_t n) { return Json(R"({"o":[)", n, [](std::size_t i) { return "\"k" + Number(i) + "\""; }, "]}"); });
}

TEST(LinearTimeTest, Messages) {
  ExpectLinear(300, [](std::size_t n) {
    const std::string json = Json(
        "[", n, [](std::size_t) { return std::string(R"({"role":"user","content":"a"})"); }, "]");
    return [json] { EXPECT_TRUE(ParseMessages(json).ok()); };
  });
}

TEST(LinearTimeTest, ArgumentsOfToolCalls) {
  ExpectLinear(300, [](std::size_t n) {
    const std::string json = Json(R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{)", n,
                                  [](std::size_t i) { return "\"k" + Number(i) + "\":0"; }, "}}}]}]");
    return [json] { EXPECT_TRUE(ParseMessages(json).ok()); };
  });
}

}  // namespace
}  // namespace slm::test
