// Session::Profile: every operation of every layer, with what it computes and reads.

#include "slm/profile.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/fixture.h"

namespace slm::test {
namespace {

class ProfileTest : public testing::Test {
 protected:
  Session Make(bool profile) const {
    return SessionOrThrow(model_, {.context_length = 100, .threads = 2, .profile = profile});
  }
  void Append(Session& session, std::span<const Token> tokens) const { ASSERT_TRUE(session.Append(tokens).ok()); }

  const Model model_ = OpenOrThrow(FindFixture("gemma3").model());
  const std::vector<Token> prompt_ = FindFixture("gemma3").Prompt();
};

TEST_F(ProfileTest, IsEmptyUnlessAskedFor) {
  Session session = Make(false);
  Append(session, prompt_);
  EXPECT_TRUE(session.Profile().empty());
}

TEST_F(ProfileTest, HoldsEveryOperationOfEveryLayer) {
  Session session = Make(true);
  Append(session, prompt_);
  Append(session, std::span(prompt_).first(1));
  std::map<std::int32_t, std::set<std::string>> operations;
  for (const ProfileEntry& entry : session.Profile()) {
    operations[entry.layer].insert(std::string(entry.operation));
    EXPECT_EQ(entry.calls, 2u) << entry.operation;
    EXPECT_GT(entry.seconds, 0) << entry.operation;
  }
  const std::set<std::string> kLayer = {"attn_qkv",      "rope_store",  "attention", "attn_output",
                                        "attn_add_norm", "ffn_gate_up", "ffn_down",  "ffn_add_norm"};
  EXPECT_EQ(operations.size(), static_cast<std::size_t>(model_.layer_count()) + 1);
  for (std::int32_t layer = 0; layer < model_.layer_count(); ++layer) EXPECT_EQ(operations[layer], kLayer) << layer;
  EXPECT_EQ(operations[-1], (std::set<std::string>{"embed", "output_head"}));

  session.ClearProfile();
  EXPECT_TRUE(session.Profile().empty());
}

// What all products together read for one token is what the model says it reads.
TEST_F(ProfileTest, CountsTheWeightsOfTheModel) {
  for (const char* name : {"gemma3", "gemma4_e"}) {
    const Model model = OpenOrThrow(FindFixture(name).model());
    Session session = SessionOrThrow(model, {.threads = 2, .profile = true});
    Append(session, std::vector<Token>{5});
    double bytes = 0;
    double multiply_adds = 0;
    for (const ProfileEntry& entry : session.Profile()) {
      if (entry.operation == "attention") continue;
      bytes += entry.bytes;
      multiply_adds += entry.multiply_adds;
    }
    double matrices = 0;
    double weights = 0;
    for (const TensorInfo& tensor : model.file().tensors()) {
      // token_embd is the output head too; of this table a row is read.
      if (tensor.shape.size() != 2 || tensor.name == "per_layer_token_embd.weight") continue;
      matrices += static_cast<double>(tensor.size);
      weights += static_cast<double>(tensor.shape[0] * tensor.shape[1]);
    }
    EXPECT_EQ(bytes, matrices) << name;
    EXPECT_EQ(multiply_adds, weights) << name;
  }
}

// Token i of a text looks at i + 1 keys, or at the window's; a prompt and single tokens come to the same.
TEST_F(ProfileTest, CountsTheKeysOfAttention) {
  const auto attention = [](const Session& session) {
    double multiply_adds = 0;
    for (const ProfileEntry& entry : session.Profile()) {
      if (entry.operation == "attention") multiply_adds += entry.multiply_adds;
    }
    return multiply_adds;
  };
  Session whole = Make(true);
  Append(whole, prompt_);
  Session singly = Make(true);
  for (std::size_t i = 0; i < prompt_.size(); ++i) Append(singly, std::span(prompt_).subspan(i, 1));
  EXPECT_GT(attention(whole), 0);
  EXPECT_EQ(attention(whole), attention(singly));
}

class ExpertsProfileTest : public testing::TestWithParam<const char*> {
 protected:
  const Fixture fixture_ = FindFixture(GetParam());
  const Model model_ = OpenOrThrow(fixture_.model());
  Session session_ = SessionOrThrow(model_, {.context_length = 100, .threads = 2, .profile = true});
};
INSTANTIATE_TEST_SUITE_P(, ExpertsProfileTest, testing::Values("mixtral", "mixtral_legacy", "qwen3moe"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST_P(ExpertsProfileTest, HasOperationsOfItsOwn) {
  ASSERT_TRUE(session_.Append(fixture_.Prompt()).ok());
  std::set<std::string> operations;
  for (const ProfileEntry& entry : session_.Profile()) {
    if (entry.layer == 1) operations.insert(std::string(entry.operation));
  }
  EXPECT_EQ(operations, (std::set<std::string>{"attn_qkv", "rope_store", "attention", "attn_output", "attn_add_norm",
                                               "ffn_router", "experts_gate_up", "experts_down", "ffn_add_norm"}));
}

// One token reads two of four experts of each of two layers, a prompt all of them: both once.
TEST_P(ExpertsProfileTest, CountsTheExpertsThatAreRead) {
  double router = 0;
  double experts = 0;
  double expert_weights = 0;
  for (const TensorInfo& tensor : model_.file().tensors()) {
    const bool is_router = tensor.name.find("ffn_gate_inp") != std::string_view::npos;
    const bool is_expert = !is_router && tensor.name.find("ffn_") != std::string_view::npos && tensor.shape.size() > 1;
    if (is_router) router += static_cast<double>(tensor.size);
    if (!is_expert) continue;
    experts += static_cast<double>(tensor.size);
    double weights = 1;
    for (const std::uint64_t extent : tensor.shape) weights *= static_cast<double>(extent);
    expert_weights += weights;
  }
  const auto measured = [&](std::string_view prefix) {
    ProfileEntry sum;
    for (const ProfileEntry& entry : session_.Profile()) {
      if (!entry.operation.starts_with(prefix)) continue;
      sum.bytes += entry.bytes;
      sum.multiply_adds += entry.multiply_adds;
    }
    return sum;
  };
  const std::vector<Token> prompt = fixture_.Prompt();
  ASSERT_TRUE(session_.Append(std::span(prompt).first(1)).ok());
  EXPECT_EQ(measured("ffn_router").bytes, router);
  EXPECT_EQ(measured("experts_").bytes, experts / 2);
  EXPECT_EQ(measured("experts_").multiply_adds, expert_weights / 2);
  session_.ClearProfile();
  ASSERT_TRUE(session_.Append(std::span(prompt).subspan(1)).ok());
  EXPECT_EQ(measured("experts_").bytes, experts);
  EXPECT_EQ(measured("experts_").multiply_adds, expert_weights / 2 * static_cast<double>(prompt.size() - 1));
}

}  // namespace
}  // namespace slm::test
