// Speed of every kernel in every set this machine can run, on one thread and the layer shapes of real models.
//
//   slm-bench-kernels --benchmark_filter='avx2/Q4_K/.*tokens:1$'
//
// Beside times there are rates to hold against the machine's limits: MAC (multiply-adds; "6.7G/s" is 6.7 GMAC/s) for
// products and attention, and bytes (of weights, of keys and values, or of the operands of element-wise kernels).

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "formats.h"
#include "kernels.h"

namespace slm {

namespace {

using ::benchmark::Counter;
using ::benchmark::State;

// Bytes with the alignment that kernels ask of scratch.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size) : storage_(size + kAlignment) {}
  std::byte* data() {
    void* pointer = storage_.data();
    std::size_t space = storage_.size();
    return static_cast<std::byte*>(std::align(kAlignment, space - kAlignment, pointer, space));
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  std::vector<std::byte> storage_;
};

// Random bytes from 0x20 to 0x3b: wherever a format has a scale or an element, these are normal floating-point numbers
// of moderate size, so that no kernel meets NaN, infinity or denormals.
std::vector<std::byte> RandomBlocks(std::size_t size) {
  std::vector<std::byte> pattern(std::size_t{1} << 16);
  std::mt19937 random(1);
  for (std::byte& byte : pattern) byte = static_cast<std::byte>(0x20 + random() % 0x1c);
  std::vector<std::byte> bytes(size);
  for (std::size_t at = 0; at < size; at += pattern.size()) {
    std::memcpy(bytes.data() + at, pattern.data(), std::min(pattern.size(), size - at));
  }
  return bytes;
}

std::vector<float> RandomFloats(std::int64_t n) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& value : x) value = normal(random);
  return x;
}

// Both are per iteration; zero leaves a rate out.
void SetRates(State& state, double macs, double bytes) {
  if (macs > 0) state.counters["MAC"] = Counter(macs, Counter::kIsIterationInvariantRate);
  if (bytes > 0) state.counters["bytes"] = Counter(bytes, Counter::kIsIterationInvariantRate);
}

struct MatMulShape {
  const char* layer;
  std::int64_t rows;
  std::int64_t columns;
};

// Output heads are cut to a part that is still larger than the caches next to a core.
constexpr MatMulShape kMatMulShapes[] = {
    {"gemma3_270m_up", 2048, 640},     {"gemma3_270m_down", 640, 2048},   {"gemma3_270m_attn_output", 640, 1024},
    {"gemma3_270m_head", 32768, 640},  {"smollm2_135m_up", 1536, 576},    {"smollm2_135m_down", 576, 1536},
    {"smollm2_135m_attn_q", 576, 576}, {"mistral_7b_attn_q", 4096, 4096}, {"mistral_7b_down", 4096, 14336},
};
constexpr std::int64_t kTokens[] = {1, 64, 512};

void BenchMatMul(State& state, const KernelSet& set, const FormatInfo& format, const MatMulShape& shape,
                 std::int64_t tokens) {
  const std::size_t row_bytes = RowBytes(format, shape.columns);
  const std::vector<std::byte> weights = RandomBlocks(row_bytes * static_cast<std::size_t>(shape.rows));
  const std::vector<float> x = RandomFloats(tokens * shape.columns);
  std::vector<ActivationBlock> blocks;
  if (format.activation == Activation::kInt8) {
    blocks.resize(x.size() / 32);
    for (std::int64_t token = 0; token < tokens; ++token) {
      set.quantize(x.data() + token * shape.columns, shape.columns, blocks.data() + token * shape.columns / 32);
    }
  }
  std::vector<float> out(static_cast<std::size_t>(tokens * shape.rows));
  AlignedBytes scratch(MatMulScratchBytes(shape.columns));

  MatMulTask task;
  task.weights = weights.data();
  task.row_bytes = row_bytes;
  task.columns = shape.columns;
  task.row_end = shape.rows;
  task.activations = blocks.empty() ? static_cast<const void*>(x.data()) : blocks.data();
  task.activation_stride = blocks.empty() ? shape.columns : shape.columns / 32;
  task.tokens = tokens;
  task.out = out.data();
  task.out_stride = shape.rows;
  task.scratch = scratch.data();
  const KernelSet::MatMulFn matmul = set.matmul[static_cast<std::size_t>(format.format)];
  for (auto _ : state) {
    matmul(task);
    benchmark::ClobberMemory();
  }
  SetRates(state, static_cast<double>(shape.rows * shape.columns * tokens), static_cast<double>(weights.size()));
}

struct AttentionShape {
  const char* model;
  std::int64_t heads;  // that share one key/value head
  std::int64_t head_dim;
};
constexpr AttentionShape kAttentionShapes[] = {
    {"gemma3_270m", 4, 256}, {"smollm2_135m", 3, 64}, {"mistral_7b", 4, 128}};
constexpr std::int64_t kDepths[] = {512, 4096};

// `rows` queries that see about `depth` positions each.
void BenchAttention(State& state, const KernelSet& set, const AttentionShape& shape, CacheFormat cache,
                    std::int64_t depth, std::int64_t rows) {
  const std::int64_t cells = depth + rows;
  const std::size_t cell_bytes = CacheBytes(cache, shape.head_dim);
  const std::vector<std::byte> keys = RandomBlocks(static_cast<std::size_t>(cells) * cell_bytes);
  const std::vector<std::byte> values = RandomBlocks(keys.size());
  const std::vector<float> queries = RandomFloats(rows * shape.heads * shape.head_dim);
  std::vector<float> out(queries.size());
  AlignedBytes scratch(AttentionScratchBytes(shape.head_dim, shape.head_dim));

  AttentionTask task;
  task.queries = queries.data();
  task.query_stride = task.out_stride = shape.heads * shape.head_dim;
  task.out = out.data();
  task.rows = rows;
  task.heads = shape.heads;
  task.head_dim = task.value_dim = shape.head_dim;
  task.first_position = depth;
  task.keys = keys.data();
  task.values = values.data();
  task.key_stride = task.value_stride = static_cast<std::int64_t>(cell_bytes);
  task.cells = cells;
  task.cache_format = cache;
  task.scale = 0.0625f;
  task.scratch = scratch.data();
  for (auto _ : state) {
    set.attention(task);
    benchmark::ClobberMemory();
  }
  const std::int64_t pairs = rows * depth + rows * (rows + 1) / 2;  // (query, position) for each head
  SetRates(state, static_cast<double>(2 * pairs * shape.heads * shape.head_dim),
           static_cast<double>(keys.size() + values.size()));
}

// Kernels over one row of n numbers; widths of Gemma 3 270M and Mistral 7B, and a vocabulary.
constexpr std::int64_t kWidths[] = {640, 4096, 262144};

template <typename Kernel>
void BenchRow(State& state, std::int64_t n, std::size_t arrays, Kernel&& kernel) {
  const std::vector<float> x = RandomFloats(n);
  std::vector<float> y = RandomFloats(n);
  for (auto _ : state) {
    kernel(x.data(), y.data());
    benchmark::ClobberMemory();
  }
  SetRates(state, 0, static_cast<double>(n) * static_cast<double>(arrays * sizeof(float)));
}

void RegisterRows(const KernelSet& set) {
  for (const std::int64_t n : kWidths) {
    const auto name = [&](const char* kernel) {
      return std::string(set.name) + "/" + kernel + "/n:" + std::to_string(n);
    };
    benchmark::RegisterBenchmark(name("quantize").c_str(), [&set, n](State& state) {
      std::vector<ActivationBlock> blocks(static_cast<std::size_t>(n / 32));
      BenchRow(state, n, 1, [&](const float* x, float*) { set.quantize(x, n, blocks.data()); });
    });
    benchmark::RegisterBenchmark(name("rms_norm").c_str(), [&set, n](State& state) {
      BenchRow(state, n, 2, [&](const float* x, float* y) { set.rms_norm(x, nullptr, n, 1e-6f, y); });
    });
    benchmark::RegisterBenchmark(name("silu_mul").c_str(), [&set, n](State& state) {
      std::vector<float> out(static_cast<std::size_t>(n));
      BenchRow(state, n, 3, [&](const float* x, float* y) { set.silu_mul(x, y, n, out.data()); });
    });
    benchmark::RegisterBenchmark(name("gelu_mul").c_str(), [&set, n](State& state) {
      std::vector<float> out(static_cast<std::size_t>(n));
      BenchRow(state, n, 3, [&](const float* x, float* y) { set.gelu_mul(x, y, n, out.data()); });
    });
  }
}

void RegisterAttention(const KernelSet& set) {
  for (const AttentionShape& shape : kAttentionShapes) {
    for (const auto& [cache, cache_name] : {std::pair(CacheFormat::kF16, "f16"), std::pair(CacheFormat::kF32, "f32"),
                                            std::pair(CacheFormat::kQ8_0, "q8_0")}) {
      for (const std::int64_t depth : kDepths) {
        for (const std::int64_t rows : {1, 64}) {
          const std::string name = std::string(set.name) + "/attention/" + shape.model + "/" + cache_name +
                                   "/depth:" + std::to_string(depth) + "/rows:" + std::to_string(rows);
          benchmark::RegisterBenchmark(name.c_str(), [=, &set, &shape, format = cache](State& state) {
            BenchAttention(state, set, shape, format, depth, rows);
          });
        }
      }
    }
  }
}

void RegisterMatMul(const KernelSet& set) {
  for (const FormatInfo& format : AllFormats()) {
    for (const MatMulShape& shape : kMatMulShapes) {
      if (shape.columns % format.block_elements != 0) continue;
      for (const std::int64_t tokens : kTokens) {
        const std::string name = std::string(set.name) + "/" + format.name + "/" + shape.layer + "/" +
                                 std::to_string(shape.rows) + "x" + std::to_string(shape.columns) +
                                 "/tokens:" + std::to_string(tokens);
        benchmark::RegisterBenchmark(name.c_str(), [&set, &format, &shape, tokens](State& state) {
          BenchMatMul(state, set, format, shape, tokens);
        });
      }
    }
  }
}

void RegisterAll() {
  for (const KernelSet* set : AllKernelSets()) {
    if (!CanRun(*set)) continue;
    RegisterMatMul(*set);
    RegisterAttention(*set);
    RegisterRows(*set);
  }
}

}  // namespace

}  // namespace slm

int main(int argc, char** argv) {
  slm::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
