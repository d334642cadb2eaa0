// LoRA adapters: against PEFT, against models into which they were merged here, and against each other.

#include "slm/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "file/gguf_writer.h"
#include "file/model_file_impl.h"
#include "slm/chat.h"
#include "slm/session.h"
#include "support/fixture.h"
#include "support/test_data.h"
#include "support/tiny_model.h"
#include "tiny_gguf.h"

namespace slm::test {
namespace {

using ::testing::HasSubstr;

Adapter AdapterOrThrow(const Model& model, const std::filesystem::path& path) {
  Result<Adapter> adapter = Adapter::Open(model, path);
  if (!adapter.ok()) throw std::runtime_error(adapter.status().message());
  return *std::move(adapter);
}

std::vector<float> Logits(const Model& model, std::vector<WeightedAdapter> adapters, std::span<const Token> tokens,
                          SessionOptions options = {.context_length = 128, .kv_type = KvType::kF32}) {
  options.adapters = std::move(adapters);
  return AllLogits(model, options, tokens);
}

class PeftTest : public KernelSetSuite {};

// The last positions' logits of a fixture's model with an adapter, in float64.
TEST_P(PeftTest, LogitsOfAnAdaptedModel) {
  for (const char* name : {"llama3", "gemma3"}) {
    SCOPED_TRACE(name);
    const Fixture fixture = FindFixture(name);
    const Model model = OpenOrThrow(fixture.model(), kernels());
    const Adapter adapter = AdapterOrThrow(model, DataPath("lora") / name / "adapter.gguf");
    const NpyArray expected = ReadNpy(DataPath("lora") / name / "logits.npy");
    const std::vector<float> logits = Logits(model, {{adapter, 1}}, fixture.Prompt());
    EXPECT_LT(Compare(std::span(logits).last(expected.values.size()), expected.values).max_abs, 1e-3);
    EXPECT_EQ(adapter.rank(), name == std::string("llama3") ? 4 : 3);
  }
}

INSTANTIATE_TEST_SUITE_P(, PeftTest, RunnableSets(), KernelSetName);

// A file of a test's own, removed with it.
class AdapterTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path Write(const TinyGguf& file, const std::string& name = "adapter.gguf") const {
    file.Write(folder_ / name);
    return folder_ / name;
  }

  const Fixture fixture_ = FindFixture("llama3");
  const Model model_ = OpenOrThrow(fixture_.model());
  const std::vector<Token> prompt_ = fixture_.Prompt();
  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) /
      ("adapter_test_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TinyGguf AdapterFile(std::string_view architecture, float alpha) {
  TinyGguf file;
  file.Set("general.architecture", architecture).Set("general.type", "adapter").Set("adapter.type", "lora");
  file.Set("adapter.lora.alpha", alpha);
  return file;
}

// An adapter of rank 3 for some of a model's tensors, of which it makes a model that has them added.
class Merger {
 public:
  explicit Merger(const Model& model)
      : file_(Internal::Impl(model.file()).gguf), adapter_(AdapterFile(model.architecture(), 6)) {}

  static constexpr std::uint64_t kRank = 3;
  static constexpr double kScale = 2;  // alpha / rank

  // W + weight * scale * B A, in double.
  void Add(const GgufTensor& tensor) {
    const std::uint64_t in = tensor.shape[0], out = tensor.shape[1], depth = tensor.shape[2];
    const bool embedding = tensor.name == "token_embd.weight";  // whose A is turned
    const std::vector<float> a = Numbers(kRank * (embedding ? out : in) * depth, 0.3);
    const std::vector<float> b = Numbers((embedding ? in : out) * kRank * depth, 0.1);
    std::vector<float>& merged = merged_[std::string(tensor.name)];
    merged.resize(tensor.elements());
    tensor.format->to_float(tensor.data.data(), static_cast<std::int64_t>(merged.size()), merged.data());
    for (std::size_t i = 0; i < merged.size(); ++i) {
      const std::uint64_t e = i / (in * out), row = i / in % out, column = i % in;
      double sum = 0;
      for (std::uint64_t k = 0; k < kRank; ++k) {
        sum += embedding ? static_cast<double>(b[column * kRank + k]) * static_cast<double>(a[row * kRank + k])
                         : static_cast<double>(b[(e * out + row) * kRank + k]) *
                               static_cast<double>(a[(e * kRank + k) * in + column]);
      }
      merged[i] = static_cast<float>(static_cast<double>(merged[i]) + kScale * sum);
    }
    std::vector<std::uint64_t> a_shape = {in, kRank}, b_shape = {kRank, out};
    if (embedding) a_shape = {kRank, out}, b_shape = {kRank, in};
    if (depth > 1) a_shape.push_back(depth), b_shape.push_back(depth);
    adapter_.AddF32(std::string(tensor.name) + ".lora_a", a_shape, a);
    adapter_.AddF32(std::string(tensor.name) + ".lora_b", b_shape, b);
  }

  const TinyGguf& adapter() const { return adapter_; }

  // A tied output head stays what it was.
  void WriteMerged(const std::filesystem::path& path) const {
    std::vector<TensorHeader> headers;
    std::vector<std::span<const std::byte>> data;
    const auto add = [&](std::string name, const GgufTensor& tensor, std::span<const std::byte> bytes, Format format) {
      const auto shape = std::span(tensor.shape).first(static_cast<std::size_t>(tensor.dimensions));
      headers.push_back({std::move(name), format, {shape.begin(), shape.end()}});
      data.push_back(bytes);
    };
    for (const GgufTensor& tensor : file_.tensors()) {
      const std::string name(tensor.name);
      const auto merged = merged_.find(name);
      if (merged == merged_.end()) {
        add(name, tensor, tensor.data, tensor.format->format);
        continue;
      }
      add(name, tensor, std::as_bytes(std::span(merged->second)), Format::kF32);
      if (name == "token_embd.weight" && file_.FindTensor("output.weight") == nullptr)
        add("output.weight", tensor, tensor.data, tensor.format->format);
    }
    Result<GgufWriter> writer = GgufWriter::Create(path, GgufMetadata(file_), headers);
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    for (const auto& bytes : data) ASSERT_TRUE(writer->Write(bytes).ok());
    ASSERT_TRUE(writer->Commit().ok());
  }

 private:
  std::vector<float> Numbers(std::uint64_t count, double deviation) {
    std::normal_distribution<double> normal(0, deviation);
    std::vector<float> numbers(count);
    for (float& number : numbers) number = static_cast<float>(normal(random_));
    return numbers;
  }

  const GgufFile& file_;
  TinyGguf adapter_;
  std::map<std::string, std::vector<float>> merged_;
  std::mt19937 random_{5};
};

// Every matrix that is multiplied, those of experts, of several in one tensor and the embedding included.
TEST_F(AdapterTest, AppliedIsMerged) {
  std::size_t tensors = 0;
  for (const char* name : {"llama3", "llama_spm", "gemma2", "gemma3n", "gemma4_dense", "gemma4_e", "mixtral",
                           "mixtral_legacy", "phi3_longrope", "qwen2_yarn", "qwen3moe", "llama_f16"}) {
    SCOPED_TRACE(name);
    const Fixture fixture = FindFixture(name);
    const Model model = OpenOrThrow(fixture.model());
    Merger merger(model);
    for (const GgufTensor& tensor : Internal::Impl(model.file()).gguf.tensors()) {
      const std::string_view base = tensor.name.substr(0, tensor.name.rfind('.'));
      const bool vector = tensor.dimensions < 2 || base.ends_with("_norm") || base.ends_with("altup_router") ||
                          base.ends_with("_coef") || base == "per_layer_token_embd";
      // Layers of these models that read an earlier one's keys and values have matrices that nothing is multiplied
      // with.
      const bool unread = std::string_view(name).starts_with("gemma3n") || std::string_view(name) == "gemma4_e";
      if (vector || (unread && (base.ends_with("attn_k") || base.ends_with("attn_v")))) continue;
      merger.Add(tensor);
      ++tensors;
    }
    const std::filesystem::path merged = folder_ / "merged.gguf";
    merger.WriteMerged(merged);
    const Adapter adapter = AdapterOrThrow(model, Write(merger.adapter()));
    const std::vector<Token> prompt = fixture.Prompt();
    const std::vector<float> applied = Logits(model, {{adapter, 1}}, prompt);
    const std::vector<float> expected = Logits(OpenOrThrow(merged), {}, prompt);
    EXPECT_LT(Compare(applied, expected).max_abs, 1e-3);
    EXPECT_GT(Compare(applied, Logits(model, {}, prompt)).max_abs, 0.1);
  }
  EXPECT_GT(tensors, 150u);
}

// Where products read int8 blocks alone, adapters read floats all the same: also of rows that were gathered.
TEST_F(AdapterTest, QuantizedExperts) {
  TinyModel tiny({.architecture = "qwen3moe", .experts = 4});
  const Result<Model> model = tiny.Quantize().Open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  Merger merger(*model);
  for (const GgufTensor& tensor : Internal::Impl(model->file()).gguf.tensors())
    if (tensor.name.find("_exps") != tensor.name.npos) merger.Add(tensor);
  const Adapter adapter = AdapterOrThrow(*model, Write(merger.adapter()));
  const std::vector<Token> tokens = {1, 2, 3, 5, 8, 13, 21, 34};
  const std::vector<float> one = Logits(*model, {{adapter, 1}}, tokens, {.context_length = 16, .batch_size = 1});
  EXPECT_TRUE(SameBits(Logits(*model, {{adapter, 1}}, tokens, {.context_length = 16}), one));
  EXPECT_GT(Compare(one, Logits(*model, {}, tokens, {.context_length = 16})).max_abs, 0.1);
}

TEST_F(AdapterTest, AWeightOfZeroIsTheBaseToTheBit) {
  const Adapter adapter = AdapterOrThrow(model_, DataPath("lora/llama3/adapter.gguf"));
  EXPECT_TRUE(SameBits(Logits(model_, {{adapter, 0}}, prompt_), Logits(model_, {}, prompt_)));
}

TEST_F(AdapterTest, WeightsScaleAndAdaptersAddUp) {
  const Adapter adapter = AdapterOrThrow(model_, DataPath("lora/llama3/adapter.gguf"));
  const std::vector<float> whole = Logits(model_, {{adapter, 1}}, prompt_);
  EXPECT_LT(Compare(Logits(model_, {{adapter, 0.25f}, {adapter, 0.75f}}, prompt_), whole).max_abs, 1e-4);
  EXPECT_GT(Compare(Logits(model_, {{adapter, 0.5f}}, prompt_), whole).max_abs, 0.05);
}

TEST_F(AdapterTest, TheSameBitsForThreadsStepsAndNeighbours) {
  for (const char* name : {"llama3", "gemma3"}) {
    const Fixture fixture = FindFixture(name);
    const Model model = OpenOrThrow(fixture.model());
    const Adapter adapter = AdapterOrThrow(model, DataPath("lora") / name / "adapter.gguf");
    const std::vector<Token> prompt = fixture.Prompt();
    const std::vector<float> expected = Logits(model, {{adapter, 1}}, prompt, {.context_length = 128, .threads = 1});
    for (const std::int32_t threads : {1, 3}) {
      for (const std::int32_t batch_size : {1, 7, 64}) {
        const SessionOptions options = {.context_length = 128, .threads = threads, .batch_size = batch_size};
        EXPECT_TRUE(SameBits(Logits(model, {{adapter, 1}}, prompt, options), expected)) << threads << " " << batch_size;
      }
    }
  }
}

// Sessions of a batch, each with adapters of its own.
TEST_F(AdapterTest, SessionsOfABatchKeepTheirOwn) {
  const Adapter adapter = AdapterOrThrow(model_, DataPath("lora/llama3/adapter.gguf"));
  const Result<Batch> batch = Batch::Create(model_, {.threads = 2});
  ASSERT_TRUE(batch.ok());
  std::vector<Session> sessions;
  const std::vector<std::vector<WeightedAdapter>> used = {{}, {{adapter, 1}}, {{adapter, 0.5f}}, {{adapter, 1}}};
  std::vector<std::vector<float>> expected;
  for (const std::vector<WeightedAdapter>& adapters : used) {
    sessions.push_back(SessionOrThrow(model_, {.context_length = 128, .batch = &*batch, .adapters = adapters}));
    Session alone = SessionOrThrow(model_, {.context_length = 128, .adapters = adapters});
    for (const Token token : prompt_) {
      const auto logits = alone.Append(std::span(&token, 1));
      ASSERT_TRUE(logits.ok());
      expected.emplace_back(logits->begin(), logits->end());
    }
  }
  std::vector<std::jthread> threads;
  std::vector<int> same(used.size());
  for (std::size_t i = 0; i < used.size(); ++i) {
    threads.emplace_back([&, i] {
      for (std::size_t t = 0; t < prompt_.size(); ++t) {
        const auto logits = sessions[i].Append(std::span(prompt_).subspan(t, 1));
        if (logits.ok() && SameBits(*logits, expected[i * prompt_.size() + t])) ++same[i];
      }
    });
  }
  threads.clear();
  EXPECT_THAT(same, ::testing::Each(static_cast<int>(prompt_.size())));
}

TEST_F(AdapterTest, OtherAdaptersForgetWhatWasRead) {
  const Adapter adapter = AdapterOrThrow(model_, DataPath("lora/llama3/adapter.gguf"));
  Session session = SessionOrThrow(model_, {.context_length = 128});
  const std::vector<float> base = AllLogits(session, prompt_);
  const std::vector<WeightedAdapter> half = {{adapter, 0.5f}};
  ASSERT_TRUE(session.SetAdapters(half).ok());
  EXPECT_EQ(session.position(), 0);
  EXPECT_EQ(session.adapters().size(), 1u);
  EXPECT_TRUE(SameBits(AllLogits(session, prompt_), Logits(model_, half, prompt_, {.context_length = 128})));
  ASSERT_TRUE(session.SetAdapters(half).ok());
  EXPECT_EQ(session.position(), std::ssize(prompt_));  // the same ones
  ASSERT_TRUE(session.SetAdapters({}).ok());
  EXPECT_TRUE(SameBits(AllLogits(session, prompt_), base));

  ASSERT_TRUE(session.SetAdapters(half).ok());
  ASSERT_TRUE(session.Append(prompt_).ok());
  Result<Session> fork = session.Fork();
  ASSERT_TRUE(fork.ok());
  const auto one = fork->Append(std::span(prompt_).first(1)), other = session.Append(std::span(prompt_).first(1));
  EXPECT_TRUE(SameBits(*one, *other));

  const Model again = OpenOrThrow(fixture_.model());
  const std::vector<WeightedAdapter> foreign = {{AdapterOrThrow(again, DataPath("lora/llama3/adapter.gguf")), 1}};
  EXPECT_THAT(session.SetAdapters(foreign).message(), HasSubstr("opened for another model"));
  const std::vector<WeightedAdapter> nan = {{adapter, NAN}};
  EXPECT_THAT(session.SetAdapters(nan).message(), HasSubstr("not finite"));
  EXPECT_EQ(session.position(), std::ssize(prompt_) + 1);
}

TEST_F(AdapterTest, SavedSessionsBelongToTheirAdapters) {
  const Adapter adapter = AdapterOrThrow(model_, DataPath("lora/llama3/adapter.gguf"));
  SessionOptions options = {.context_length = 128, .adapters = {{adapter, 0.5f}}};
  Session session = SessionOrThrow(model_, options);
  ASSERT_TRUE(session.Append(prompt_).ok());
  ASSERT_TRUE(session.Save(folder_ / "saved").ok());
  Result<RestoredSession> restored = Session::Restore(model_, folder_ / "saved", options);
  ASSERT_TRUE(restored.ok()) << restored.status().message();
  const auto one = restored->session.Append(std::span(prompt_).first(1));
  EXPECT_TRUE(SameBits(*one, *session.Append(std::span(prompt_).first(1))));
  for (const std::vector<WeightedAdapter>& others :
       std::vector<std::vector<WeightedAdapter>>{{}, {{adapter, 1}}, {{adapter, 0.5f}, {adapter, 1}}}) {
    options.adapters = others;
    const Result<RestoredSession> refused = Session::Restore(model_, folder_ / "saved", options);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(refused.status().message(), HasSubstr("saved with other adapters"));
  }
}

TEST_F(AdapterTest, MemoryIsEstimatedExactly) {
  const Adapter adapter = AdapterOrThrow(model_, DataPath("lora/llama3/adapter.gguf"));
  const SessionOptions options = {.context_length = 128, .adapters = {{adapter, 1}, {adapter, 2}}};
  const Result<MemoryEstimate> estimate = EstimateMemory(model_, options);
  ASSERT_TRUE(estimate.ok());
  Session session = SessionOrThrow(model_, options);
  EXPECT_EQ(estimate->scratch_bytes, session.scratch_bytes());
  Session other = SessionOrThrow(model_, {.context_length = 128});
  EXPECT_LT(other.scratch_bytes(), estimate->scratch_bytes);
  ASSERT_TRUE(other.SetAdapters(options.adapters).ok());
  EXPECT_EQ(other.scratch_bytes(), estimate->scratch_bytes);
}

TEST_F(AdapterTest, RefusesFilesThatDontFit) {
  const auto refusal = [&](const TinyGguf& file) {
    const Result<Adapter> adapter = Adapter::Open(model_, Write(file));
    return adapter.ok() ? "none" : adapter.status().message();
  };
  const std::string q = "blk.0.attn_q.weight";  // [64, 64]
  const std::vector<float> numbers(64 * 64, 0.5f);
  const auto floats = [&](std::size_t count) { return std::span(numbers).first(count); };
  const auto pair = [&](std::vector<std::uint64_t> a, std::vector<std::uint64_t> b) {
    TinyGguf file = AdapterFile("llama", 2);
    file.AddF32(q + ".lora_a", a, floats(a[0] * a[1])).AddF32(q + ".lora_b", b, floats(b[0] * b[1]));
    return file;
  };
  EXPECT_EQ(refusal(pair({64, 2}, {2, 64})), "none");
  EXPECT_THAT(refusal(pair({64, 2}, {3, 64})), HasSubstr("its rows of 3 numbers should be the rank"));
  EXPECT_THAT(refusal(pair({32, 2}, {2, 64})), HasSubstr("its shape is [32, 2], expected [64, 2, 1]"));
  EXPECT_THAT(refusal(pair({64, 2}, {2, 32})), HasSubstr("its shape is [2, 32], expected [2, 64, 1]"));

  EXPECT_THAT(refusal(AdapterFile("llama", 2).AddF32(q + ".lora_a", {64, 1}, floats(64))),
              HasSubstr("the other one of its pair is missing"));
  EXPECT_THAT(refusal(AdapterFile("llama", 2).AddF32("blk.9.attn_q.weight.lora_a", {64, 1}, floats(64))),
              HasSubstr("the model has no tensor blk.9.attn_q.weight"));
  EXPECT_THAT(refusal(AdapterFile("llama", 2).AddF32(q, {64, 1}, floats(64))), HasSubstr("its name should end in"));
  EXPECT_THAT(refusal(AdapterFile("llama", 2)
                          .AddF32("blk.0.attn_norm.weight.lora_a", {64, 1}, floats(64))
                          .AddF32("blk.0.attn_norm.weight.lora_b", {1, 1}, floats(1))),
              HasSubstr("nothing is multiplied with what it changes"));
  EXPECT_THAT(refusal(AdapterFile("gemma3", 2)), HasSubstr("for architecture \"gemma3\""));
  std::vector<float> infinite(64, 0.5f);
  infinite[7] = INFINITY;
  EXPECT_THAT(
      refusal(
          AdapterFile("llama", 2).AddF32(q + ".lora_a", {64, 1}, infinite).AddF32(q + ".lora_b", {1, 64}, floats(64))),
      HasSubstr("it holds NaN or infinity"));
  EXPECT_THAT(refusal(AdapterFile("llama", NAN)), HasSubstr("no finite number"));
  EXPECT_THAT(refusal(AdapterFile("llama", 2).Set("adapter.alora.invocation_tokens", std::vector<std::uint32_t>{1})),
              HasSubstr("activated LoRA"));
  EXPECT_THAT(refusal(TinyGguf().Set("general.architecture", "llama")), HasSubstr("is no LoRA adapter"));
  const Result<Adapter> model = Adapter::Open(model_, fixture_.model());
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.status().message(), HasSubstr("is no LoRA adapter"));
}

// Other formats, and files that scale B themselves.
TEST_F(AdapterTest, HalvesAndBlocksAndNoAlpha) {
  std::vector<float> a(64 * 32), b(32 * 64);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 5) - 2;  // exact in every format
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = (static_cast<float>(i % 5) - 2) / 64;
  const auto halves = [](const std::vector<float>& values) {
    std::string bytes;
    for (const float value : values) bytes += RawBytes().Append(FloatToHalf(value)).str();
    return bytes;
  };
  const auto blocks = [](const std::vector<float>& values, float scale) {
    RawBytes bytes;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i % 32 == 0) bytes.Append(FloatToHalf(scale));
      bytes.Append(static_cast<std::int8_t>(values[i] / scale));
    }
    return bytes.str();
  };
  const std::string q = "blk.1.attn_q.weight";
  const auto file = [&](Format format, const std::string& a_bytes, const std::string& b_bytes) {
    TinyGguf adapter = AdapterFile("llama", 0);
    adapter.AddTensor(q + ".lora_a", format, {64, 32}, a_bytes).AddTensor(q + ".lora_b", format, {32, 64}, b_bytes);
    return Write(adapter);
  };
  TinyGguf plain = AdapterFile("llama", 32);
  plain.AddF32(q + ".lora_a", {64, 32}, a).AddF32(q + ".lora_b", {32, 64}, b);
  const std::vector<float> expected = Logits(model_, {{AdapterOrThrow(model_, Write(plain)), 1}}, prompt_);
  EXPECT_GT(Compare(expected, Logits(model_, {}, prompt_)).max_abs, 0.01);
  auto path = file(Format::kF16, halves(a), halves(b));
  EXPECT_TRUE(SameBits(Logits(model_, {{AdapterOrThrow(model_, path), 1}}, prompt_), expected));
  path = file(Format::kQ8_0, blocks(a, 1), blocks(b, 1.0f / 64));
  EXPECT_TRUE(SameBits(Logits(model_, {{AdapterOrThrow(model_, path), 1}}, prompt_), expected));
}

}  // namespace
}  // namespace slm::test
