// What the chain leaves, and with which probabilities, against an implementation in Python that shares no code with
// this one and was itself compared with llama.cpp (tests/data/samplers/make_reference.py).

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "sample/sampler_chain.h"
#include "support/json.h"
#include "support/test_data.h"
#include "support/tokenizer_test_util.h"

namespace slm::test {
namespace {

using nlohmann::json;

// Options that a line does not name are off.
SamplerOptions OptionsOf(const json& line) {
  SamplerOptions o;
  o.temperature = line.value("temperature", 1.0f);
  o.dynatemp_range = line.value("dynatemp_range", 0.0f);
  o.dynatemp_exponent = line.value("dynatemp_exponent", 1.0f);
  o.top_k = line.value("top_k", 0);
  o.top_p = line.value("top_p", 1.0f);
  o.min_p = line.value("min_p", 0.0f);
  o.typical_p = line.value("typical_p", 1.0f);
  o.top_n_sigma = line.value("top_n_sigma", -1.0f);
  o.xtc_probability = line.value("xtc_probability", 0.0f);
  o.xtc_threshold = line.value("xtc_threshold", 0.1f);
  o.mirostat = line.value("mirostat", 0);
  o.mirostat_tau = line.value("mirostat_tau", 5.0f);
  o.repeat_penalty = line.value("repeat_penalty", 1.0f);
  o.frequency_penalty = line.value("frequency_penalty", 0.0f);
  o.presence_penalty = line.value("presence_penalty", 0.0f);
  o.repeat_last_n = line.value("repeat_last_n", 64);
  o.dry_multiplier = line.value("dry_multiplier", 0.0f);
  o.dry_base = line.value("dry_base", 1.75f);
  o.dry_allowed_length = line.value("dry_allowed_length", 2);
  o.dry_penalty_last_n = line.value("dry_penalty_last_n", 64);
  o.dry_sequence_breakers = line.value("dry_sequence_breakers", std::vector<std::string>());
  for (const json& entry : line.value("logit_bias", json::array())) o.logit_bias.push_back({entry[0], entry[1]});
  return o;
}

void ExpectTheSame(const json& line) {
  std::optional<LoadedTokenizer> tokenizer;
  if (line.contains("pieces")) tokenizer.emplace(TokensFile(line["pieces"]));
  SamplerChain chain(OptionsOf(line["options"]), tokenizer ? &**tokenizer : nullptr);
  for (const Token token : line.value("history", std::vector<Token>())) chain.Accept(token);

  const Status status = chain.Distribute(line["logits"].get<std::vector<float>>());
  ASSERT_TRUE(status.ok()) << status.message();
  std::map<Token, double> found;
  for (std::size_t i = 0; i < chain.candidates().size(); ++i) {
    found[chain.candidates()[i].token] = chain.weights()[i] / chain.total_weight();
  }
  ASSERT_EQ(found.size(), chain.candidates().size()) << "a token is there twice";

  const auto tokens = line["tokens"].get<std::vector<Token>>();
  const auto probabilities = line["probabilities"].get<std::vector<double>>();
  ASSERT_EQ(found.size(), tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    ASSERT_TRUE(found.contains(tokens[i])) << tokens[i];
    // Six digits are stored; logits are single precision.
    EXPECT_NEAR(found[tokens[i]], probabilities[i], 1e-5 * probabilities[i]) << tokens[i];
  }
}

TEST(SamplerReferenceTest, TheSameTokensAreLeftWithTheSameProbabilities) {
  std::istringstream file(ReadFile(DataPath("samplers/reference.jsonl")));
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    SCOPED_TRACE(line);
    ExpectTheSame(ParseJson(line));
  }
  EXPECT_GT(cases, 100);
}

}  // namespace
}  // namespace slm::test
