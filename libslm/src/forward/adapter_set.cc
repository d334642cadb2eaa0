#include "forward/adapter_set.h"

#include <algorithm>
#include <bit>

#include "base/checksum.h"
#include "forward/product.h"

namespace slm {

namespace {

// Rows first..first + count - 1 of B times `factors`.
void AddRows(const KernelSet& kernels, const LowRank& low, const float* factors, std::int64_t first, std::int64_t count,
             float* out) {
  const std::byte* const panels = low.Panel(first);
  if (low.a.format->format == Format::kF16) {
    kernels.add_low_rank_f16(out, reinterpret_cast<const Half*>(panels), factors, low.rank, count);
  } else {
    kernels.add_low_rank(out, reinterpret_cast<const float*>(panels), factors, low.rank, count);
  }
}

}  // namespace

AdapterSet::AdapterSet(std::span<const WeightedAdapter> adapters, const Weights& weights) {
  for (const WeightedAdapter& weighted : adapters) {
    if (weighted.weight == 0) continue;
    adapters_.push_back(weighted);
    const AdapterImpl& adapter = Internal::Impl(weighted.adapter);
    for (const auto& [data, low] : adapter.matrices) {
      std::vector<Part>& parts = parts_[data];
      parts.push_back({&low, weighted.weight, parts.empty() ? 0 : parts.back().offset + parts.back().low->rank});
    }
    if (adapter.embedding) narrow_width_ = std::max(narrow_width_, adapter.embedding->rank);
  }
  for (const auto& [data, parts] : parts_)
    narrow_width_ = std::max(narrow_width_, parts.back().offset + parts.back().low->rank);
  for (const LayerWeights& layer : weights.layers) {
    Place(std::array{&layer.attn_q, &layer.attn_k, &layer.attn_v});
    Place(std::array{&layer.ffn_gate, &layer.ffn_up});
    for (const Expert& expert : layer.ffn_experts.experts) Place(std::array{&expert.gate, &expert.up});
  }
}

std::int64_t AdapterSet::Width(const Matrix& matrix) const {
  const auto found = parts_.find(matrix.data);
  return found == parts_.end() ? 0 : found->second.back().offset + found->second.back().low->rank;
}

void AdapterSet::Place(std::span<const Matrix* const> matrices) {
  std::int64_t offset = 0;
  for (const Matrix* const matrix : matrices) {
    const std::int64_t width = Width(*matrix);
    if (width == 0) continue;
    for (Part& part : parts_[matrix->data]) part.offset += offset;
    offset += width;
  }
  narrow_width_ = std::max(narrow_width_, offset);
}

bool AdapterSet::operator==(const AdapterSet& other) const {
  return std::ranges::equal(adapters_, other.adapters_, [](const WeightedAdapter& a, const WeightedAdapter& b) {
    return &Internal::Impl(a.adapter) == &Internal::Impl(b.adapter) && a.weight == b.weight;
  });
}

std::uint64_t AdapterSet::Fingerprint() const {
  if (adapters_.empty()) return 0;
  std::vector<std::uint64_t> numbers;
  for (const WeightedAdapter& weighted : adapters_) {
    numbers.push_back(Internal::Impl(weighted.adapter).fingerprint);
    numbers.push_back(std::bit_cast<std::uint32_t>(weighted.weight));
  }
  return ChecksumOf(std::as_bytes(std::span(numbers)));
}

void AdapterSet::Narrow(const KernelSet& kernels, const Matrix& matrix, const float* x, Share share, float* narrow,
                        std::byte* scratch) const {
  const auto found = parts_.find(matrix.data);
  if (found == parts_.end()) return;
  for (const Part& part : found->second) {
    const std::int64_t rank = part.low->rank;
    const Range rows = {rank * share.part / share.of, rank * (share.part + 1) / share.of};
    float* const out = narrow + part.offset + rows.begin;
    Multiply(kernels, part.low->a, {.values = x}, rows, 1, {out, rank}, scratch);
    kernels.scale(out, part.weight * part.low->scale, rows.end - rows.begin);
  }
}

void AdapterSet::Add(const KernelSet& kernels, const Matrix& matrix, const float* narrow, std::int64_t first,
                     std::int64_t count, float* product) const {
  const auto found = parts_.find(matrix.data);
  if (found == parts_.end()) return;
  for (const Part& part : found->second) AddRows(kernels, *part.low, narrow + part.offset, first, count, product);
}

void AdapterSet::AddEmbedding(const KernelSet& kernels, std::int64_t token, std::int64_t width, float* factors,
                              float* embedding) const {
  for (const WeightedAdapter& weighted : adapters_) {
    const std::optional<LowRank>& low = Internal::Impl(weighted.adapter).embedding;
    if (!low) continue;
    low->a.format->to_float(low->a.data + static_cast<std::size_t>(token) * low->a.row_bytes, low->rank, factors);
    kernels.scale(factors, weighted.weight * low->scale, low->rank);
    AddRows(kernels, *low, factors, 0, width, embedding);
  }
}

}  // namespace slm
