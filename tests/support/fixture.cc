#include "support/fixture.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "dispatch.h"
#include "model/model_impl.h"
#include "support/json.h"

namespace slm::test {

std::vector<Token> Fixture::Tokens(const char* file) const {
  return ParseJson(ReadFile(folder / file)).get<std::vector<Token>>();
}

namespace {

// Adds those below `folder` whose names are new.
void AddFixtures(const std::filesystem::path& folder, bool quantized, std::vector<Fixture>& fixtures) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!std::filesystem::exists(entry.path() / "model.gguf")) continue;
    if (std::ranges::find(fixtures, name, &Fixture::name) != fixtures.end()) continue;
    fixtures.push_back({.name = name, .folder = entry.path(), .quantized = quantized});
  }
}

}  // namespace

std::vector<Fixture> AllFixtures() {
  std::vector<Fixture> fixtures;
  AddFixtures(DataPath("models"), false, fixtures);
  AddFixtures(DataPath("quantized"), true, fixtures);
  if (const auto shared = SharedFixture("quantized")) AddFixtures(*shared, true, fixtures);
  std::ranges::sort(fixtures, {}, &Fixture::name);
  return fixtures;
}

Fixture FindFixture(const std::string& name) {
  for (const Fixture& fixture : AllFixtures()) {
    if (fixture.name == name) return fixture;
  }
  throw std::invalid_argument("no fixture " + name);
}

std::vector<const KernelSet*> RunnableKernelSets() {
  std::vector<const KernelSet*> sets;
  std::ranges::copy_if(AllKernelSets(), std::back_inserter(sets), [](const KernelSet* set) { return CanRun(*set); });
  return sets;
}

Model OpenOrThrow(const std::filesystem::path& path, const std::string& kernels) {
  Result<Model> model = Model::Open(path, {.kernels = kernels});
  if (!model.ok()) throw std::runtime_error(model.status().message());
  return *std::move(model);
}

bool HeadsFitQ8(const Model& model) {
  return std::ranges::all_of(Internal::Impl(model).config.layers, [](const LayerConfig& layer) {
    return layer.key_length % 32 == 0 && layer.value_length % 32 == 0;
  });
}

Session SessionOrThrow(const Model& model, const SessionOptions& options) {
  Result<Session> session = Session::Create(model, options);
  if (!session.ok()) throw std::runtime_error(session.status().message());
  return *std::move(session);
}

std::vector<float> AllLogits(Session& session, std::span<const Token> tokens, std::size_t split) {
  std::vector<float> all;
  while (!tokens.empty()) {
    const std::size_t count = split == 0 ? tokens.size() : std::min(split, tokens.size());
    const Status status = session.AppendVisiting(tokens.first(count), [&](std::int32_t, std::span<const float> logits) {
      all.insert(all.end(), logits.begin(), logits.end());
    });
    if (!status.ok()) throw std::runtime_error(status.message());
    tokens = tokens.subspan(count);
  }
  return all;
}

std::vector<float> AllLogits(const Model& model, const SessionOptions& options, std::span<const Token> tokens,
                             std::size_t split) {
  Session session = SessionOrThrow(model, options);
  return AllLogits(session, tokens, split);
}

std::vector<Token> GreedyContinuation(Session& session, std::span<const Token> prompt, std::size_t count) {
  std::vector<Token> tokens;
  while (tokens.size() < count) {
    const auto logits = tokens.empty() ? session.Append(prompt) : session.Append(std::span(tokens).last(1));
    if (!logits.ok()) throw std::runtime_error(logits.status().message());
    tokens.push_back(static_cast<Token>(std::ranges::max_element(*logits) - logits->begin()));
  }
  return tokens;
}

testing::AssertionResult SameBits(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size()) {
    return testing::AssertionFailure() << actual.size() << " values, expected " << expected.size();
  }
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::bit_cast<std::uint32_t>(actual[i]) != std::bit_cast<std::uint32_t>(expected[i])) {
      return testing::AssertionFailure() << "value " << i << " is " << actual[i] << ", expected " << expected[i];
    }
  }
  return testing::AssertionSuccess();
}

Deviation Compare(std::span<const float> actual, std::span<const float> reference) {
  if (actual.size() != reference.size() || actual.empty()) throw std::invalid_argument("sizes differ");
  const auto n = static_cast<double>(reference.size());
  double sum = 0;
  double squares = 0;
  double largest = 0;
  double error_squares = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double wanted = reference[i];
    const double error = actual[i] - wanted;
    sum += wanted;
    squares += wanted * wanted;
    error_squares += error * error;
    // The negation makes a NaN the largest of all.
    if (!(std::abs(error) <= largest)) largest = std::abs(error);
  }
  const double deviation = std::sqrt(squares / n - sum / n * (sum / n));
  return {.max_abs = largest / deviation, .rms = std::sqrt(error_squares / n) / deviation};
}

}  // namespace slm::test
