// Attention, each kernel set against scalar, and whole against parts that are merged.

#include <algorithm>

#include "base/aligned_buffer.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/kernel_input.h"

namespace slm::test {

namespace {

struct Problem {
  AttentionTask task;
  std::vector<float> queries, keys, values;
  std::vector<std::byte> stored_keys, stored_values;
};

Problem Draw(KernelInput& input) {
  Problem problem;
  AttentionTask& task = problem.task;
  task.cache_format = static_cast<CacheFormat>(input.Int(0, 2));
  const std::int64_t step = task.cache_format == CacheFormat::kQ8_0 ? 32 : 1;
  task.head_dim = step * input.Int(1, 96 / step);
  task.value_dim = step * input.Int(1, 96 / step);
  task.rows = input.Int(1, 12);
  task.heads = input.Int(1, 12);
  task.first_position = input.Int(0, 300);
  task.window = input.Int(0, 1) * input.Int(1, 200);
  const std::int64_t end = task.first_position + task.rows;
  task.cells = std::min(end, task.window == 0 ? end : task.window + task.rows) + input.Int(0, 3);
  task.softcap = input.Chance() ? 5.0f : 0.0f;
  task.scale = 1 / std::sqrt(static_cast<float>(task.head_dim));
  task.query_stride = task.heads * task.head_dim;
  task.out_stride = task.heads * task.value_dim;
  problem.queries = RandomFloats(static_cast<std::size_t>(task.rows * task.query_stride), input.random());
  problem.keys = RandomFloats(static_cast<std::size_t>(task.cells * task.head_dim), input.random());
  problem.values = RandomFloats(static_cast<std::size_t>(task.cells * task.value_dim), input.random());
  problem.stored_keys = Store(task.cache_format, problem.keys, task.head_dim);
  problem.stored_values = Store(task.cache_format, problem.values, task.value_dim);
  task.queries = problem.queries.data();
  task.keys = problem.stored_keys.data();
  task.values = problem.stored_values.data();
  task.key_stride = static_cast<std::int64_t>(CacheBytes(task.cache_format, task.head_dim));
  task.value_stride = static_cast<std::int64_t>(CacheBytes(task.cache_format, task.value_dim));
  return problem;
}

std::vector<float> Attend(const KernelSet& set, AttentionTask task, bool in_parts) {
  std::vector<float> out(static_cast<std::size_t>(task.rows * task.out_stride), Canary());
  AlignedBuffer<std::byte> scratch;
  AlignedBuffer<float> sums;
  const std::int64_t stride = task.heads * AttentionSumsFloats(task.value_dim);
  const std::int64_t first = task.window > 0 ? std::max<std::int64_t>(0, task.first_position - task.window + 1) : 0;
  const std::int64_t first_part = first / kAttentionPart, parts = task.first_position / kAttentionPart - first_part + 1;
  Require(scratch.Allocate(AttentionScratchBytes(task.head_dim, task.value_dim)) &&
              sums.Allocate(static_cast<std::size_t>(parts * stride)),
          "memory");
  task.scratch = scratch.data();
  task.out = out.data();
  if (!in_parts) {
    set.attention(task);
    return out;
  }
  for (std::int64_t i = 0; i < parts; ++i) set.attention_part(task, first_part + i, sums.data() + i * stride);
  set.attention_merge(task, sums.data(), stride, parts);
  return out;
}

}  // namespace

std::vector<std::string> Seeds() { return RandomSeeds(30, 40); }

void Fuzz(std::string_view bytes) {
  KernelInput input(bytes);
  const Problem problem = Draw(input);
  const std::vector<float> expected = Attend(ScalarSet(), problem.task, false);
  for (const KernelSet* set : OtherSets()) {
    const std::vector<float> actual = Attend(*set, problem.task, false);
    for (std::size_t i = 0; i < actual.size(); ++i)  // normal numbers below 6, and a few hundred roundings of them
      Require(Near(actual[i], expected[i], 4096 * kRounding * 6), "a set computes what scalar does");
    AttentionTask row = problem.task;
    row.rows = 1;
    const std::vector<float> whole = Attend(*set, row, false), merged = Attend(*set, row, true);
    for (std::size_t i = 0; i < whole.size(); ++i)
      Require(SameBits(whole[i], merged[i]) && SameBits(whole[i], actual[i]), "parts of the keys add up to the same");
  }
}

}  // namespace slm::test
