// The working memory of a forward pass: one list of buffers, by which it is counted and allocated.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "infer/forward.h"

namespace slm {

template <class F>
bool Forward::ForEachBuffer(const F& f) {
  const std::int64_t d = config_->embedding_length;
  const std::int64_t angles = config_->rope_dimensions / 2;
  const std::size_t threads = static_cast<std::size_t>(team_->threads());
  const auto rows = [&](auto& buffer, std::int64_t width) {
    return f(buffer, static_cast<std::size_t>(max_rows_ * width));
  };
  const auto input = [&](Input& x) { return rows(x.values, x.stride) && rows(x.blocks, x.block_stride); };
  const auto rope = [&](RopeTable& table) { return rows(table.cos, angles) && rows(table.sin, angles); };
  return rows(stream_, d) && input(normed_) && rows(queries_, query_width_) && rows(keys_, key_width_) &&
         rows(values_, value_width_) && input(attended_) && input(activated_) &&
         f(attention_sums_,
           static_cast<std::size_t>(kAttentionParts * heads_ * AttentionSumsFloats(config_->value_length))) &&
         rows(product_, d) && input(head_input_) && rope(rope_global_) && rope(rope_sliding_) &&
         f(gate_up_, 2 * tile_floats_ * threads) && f(scratch_, scratch_bytes_ * threads);
}

std::uint64_t Forward::ScratchBytesNeeded(const ModelImpl& model, Team& team, const ForwardOptions& options) {
  Forward forward(model, team, options);
  forward.PlanMemory();
  std::uint64_t bytes = 0;
  forward.ForEachBuffer([&]<class T>(AlignedBuffer<T>&, std::size_t count) {
    bytes += count * sizeof(T);
    return true;
  });
  return bytes;
}

bool Forward::Allocate() {
  PlanMemory();
  return ForEachBuffer([this](auto& buffer, std::size_t count) {
    if (!buffer.Allocate(count)) return false;
    allocated_bytes_ += buffer.bytes();
    return true;
  });
}

void Forward::PlanMemory() {
  for (const LayerConfig& layer : config_->layers) {
    heads_ = std::max(heads_, std::int64_t{layer.heads});
    query_width_ = std::max(query_width_, std::int64_t{layer.heads} * config_->key_length);
    key_width_ = std::max(key_width_, std::int64_t{layer.kv_heads} * config_->key_length);
    value_width_ = std::max(value_width_, std::int64_t{layer.kv_heads} * config_->value_length);
    attention_width_ = std::max(attention_width_, std::int64_t{layer.heads} * config_->value_length);
    ffn_width_ = std::max(ffn_width_, std::int64_t{layer.feed_forward_length});
  }
  const std::int64_t d = config_->embedding_length;
  const std::int64_t widest = std::max({d, attention_width_, ffn_width_});
  scratch_bytes_ =
      std::max(MatMulScratchBytes(widest), AttentionScratchBytes(config_->key_length, config_->value_length));
  scratch_bytes_ = (scratch_bytes_ + 63) / 64 * 64;
  tile_floats_ = static_cast<std::size_t>(std::max(max_rows_ * kRowGranule, kMaxChunkRows));
  const auto plan_input = [](Input& input, std::int64_t columns) {
    input.stride = columns;
    input.block_stride = columns % kBlock == 0 ? columns / kBlock : 0;
  };
  plan_input(normed_, d);
  plan_input(attended_, attention_width_);
  plan_input(activated_, ffn_width_);
  plan_input(head_input_, d);
}

}  // namespace slm
