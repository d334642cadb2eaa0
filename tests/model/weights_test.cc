// The third fence: every tensor of a file, its name, shape and format.

#include "model/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/format.h"
#include "infer/fixture.h"
#include "model/model_impl.h"
#include "model/tiny_model.h"

namespace slm::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void ExpectFails(const TinyModel& tiny, StatusCode code, const testing::Matcher<std::string>& message) {
  const Result<Model> model = tiny.Open();
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_THAT(model.status().message(), message);
}

TinyModel Gemma() { return TinyModel({.architecture = "gemma3"}); }

std::vector<std::string> TensorNames(const TinyModel& tiny) {
  const Model model = tiny.Open().value();
  std::vector<std::string> names;
  for (const TensorInfo& info : model.file().tensors()) names.emplace_back(info.name);
  return names;
}

TEST(WeightsTest, EveryTensorIsNeeded) {
  for (const TinyModel& tiny : {TinyModel(), Gemma()}) {
    for (const std::string& name : TensorNames(tiny)) {
      TinyModel without = tiny;
      ExpectFails(without.EraseTensor(name), StatusCode::kCorruptFile, AllOf(HasSubstr(name), HasSubstr("missing")));
    }
  }
}

TEST(WeightsTest, EveryShapeIsChecked) {
  for (const TinyModel& tiny : {TinyModel({.tied = false}), Gemma()}) {
    for (const std::string& name : TensorNames(tiny)) {
      TinyModel other = tiny;
      other.AddTensor(name, {24, 3});
      // The embedding's rows are the vocabulary, whose size then differs from the tokenizer's or the width is wrong.
      ExpectFails(other, StatusCode::kCorruptFile,
                  AllOf(HasSubstr(name), HasSubstr("[24, 3]"), HasSubstr("expected [")));
    }
  }
  ExpectFails(TinyModel().AddTensor("blk.1.attn_q.weight", {32, 32}), StatusCode::kCorruptFile,
              AllOf(HasSubstr("blk.1.attn_q.weight"), HasSubstr("shape [32, 32]"), HasSubstr("expected [32, 64]")));
}

TEST(WeightsTest, EverySuperfluousTensorIsNamed) {
  for (const char* name :
       {"blk.0.attn_q_norm.weight", "blk.2.attn_norm.weight", "blk.0.ffn_gate_exps.weight", "extra"}) {
    ExpectFails(TinyModel().AddTensor(name, {32}), StatusCode::kUnsupported,
                AllOf(HasSubstr(name), HasSubstr("llama")));
  }
}

TEST(WeightsTest, UnsupportedFormatsNameTypeTensorAndWhatIsSupported) {
  struct Unsupported {
    std::uint32_t id;
    const char* name;
  };
  for (const auto& [id, name] :
       {Unsupported{20, "IQ4_NL"}, {21, "IQ3_S"}, {23, "IQ4_XS"}, {39, "MXFP4"}, {31, "Q4_0_4_4"}, {10, "Q2_K"}}) {
    TinyModel tiny;
    tiny.SetTensor("blk.0.ffn_up.weight", id, {32, 64}, std::string(4096, '\0'));
    ExpectFails(tiny, StatusCode::kUnsupported,
                AllOf(HasSubstr("blk.0.ffn_up.weight"), HasSubstr(name), HasSubstr(Cat("id ", id)),
                      HasSubstr("supported: F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, BF16")));
  }
  // What to do about a format that is no more.
  TinyModel old;
  old.SetTensor("blk.0.ffn_up.weight", 31, {32, 64}, std::string(4096, '\0'));
  ExpectFails(old, StatusCode::kUnsupported, HasSubstr("Q4_0)"));
  TinyModel never;
  never.SetTensor("blk.0.ffn_up.weight", 255, {32, 64}, std::string(4096, '\0'));
  ExpectFails(never, StatusCode::kUnsupported, AllOf(HasSubstr("255"), HasSubstr("supported: ")));
}

TEST(WeightsTest, OutputIsTheEmbeddingUnlessTheFileHasOne) {
  const Model tied = TinyModel().Open().value();
  EXPECT_EQ(tied.impl().weights.output.data, tied.impl().weights.token_embd.data);

  TinyModel copied;
  copied.CopyTensor("token_embd.weight", "output.weight");
  const Model same = copied.Open().value();
  EXPECT_NE(same.impl().weights.output.data, same.impl().weights.token_embd.data);

  const Model other = TinyModel({.tied = false}).Open().value();
  const std::vector<Token> tokens = {3, 4, 5};
  const std::vector<float> expected = AllLogits(tied, {.threads = 1}, tokens);
  EXPECT_TRUE(SameBits(AllLogits(same, {.threads = 1}, tokens), expected));
  EXPECT_FALSE(SameBits(AllLogits(other, {.threads = 1}, tokens), expected));
}

TEST(WeightsTest, OptionalBiases) {
  const std::vector<Token> tokens = {3, 4, 5};
  const std::vector<float> without = AllLogits(TinyModel().Open().value(), {.threads = 1}, tokens);
  for (const auto& [name, size] : {std::pair("attn_q.bias", 64), std::pair("attn_k.bias", 32),
                                   std::pair("attn_v.bias", 32), std::pair("attn_output.bias", 32)}) {
    const auto extent = static_cast<std::uint64_t>(size);
    const std::string tensor = Cat("blk.0.", name);
    TinyModel zero;
    zero.SetTensor(tensor, {extent}, std::vector<float>(extent, 0.0f));
    EXPECT_TRUE(SameBits(AllLogits(zero.Open().value(), {.threads = 1}, tokens), without)) << name;
    // A bias of all keys alike is lost in the softmax, so it differs from element to element.
    TinyModel biased;
    biased.AddTensor(tensor, {extent});
    EXPECT_FALSE(SameBits(AllLogits(biased.Open().value(), {.threads = 1}, tokens), without)) << name;
    ExpectFails(TinyModel().AddTensor(tensor, {extent + 1}), StatusCode::kCorruptFile, HasSubstr(tensor));
  }
}

// Small tensors of other formats are widened; matrices may have any.
TEST(WeightsTest, NormsOfHalfPrecision) {
  TinyModel tiny;
  const std::vector<Half> ones(32, FloatToHalf(1.5f));
  tiny.SetTensor("output_norm.weight", static_cast<std::uint32_t>(Format::kF16), {32},
                 {reinterpret_cast<const char*>(ones.data()), 64});
  const Model model = tiny.Open().value();
  EXPECT_EQ(model.impl().weights.output_norm, Vector(32, 1.5f));
}

// Nothing says that floats in a file lie at multiples of four.
TEST(WeightsTest, UnalignedTensors) {
  const std::vector<Token> tokens = {3, 4, 5};
  for (const bool tied : {true, false}) {
    TinyModel tiny({.tied = tied});
    const std::vector<float> expected = AllLogits(tiny.Open().value(), {.threads = 1}, tokens);
    for (const std::uint32_t alignment : {1u, 2u}) {
      // A name of another length moves the data to another remainder.
      for (const char* name : {"a", "ab", "abc", "abcd"}) {
        tiny.SetAlignment(alignment).Set("general.name", name);
        for (const KernelSet* set : RunnableKernelSets()) {
          const Model model = tiny.Open({.kernels = set->name}).value();
          const Deviation deviation = Compare(AllLogits(model, {.threads = 2}, tokens), expected);
          EXPECT_LE(deviation.max_abs, 1e-5);
        }
      }
    }
  }
}

}  // namespace
}  // namespace slm::test
