#include "forward/kv_cache.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"

namespace slm {

namespace {

constexpr std::size_t kLayerAlignment = 64;
constexpr std::int64_t kBlock = 32;  // elements of a BlockQ8_0
// More than processes can address. A layer's part is below 2^57 (2^31 cells, 2^22 elements of 4 bytes, keys and
// values), so that a total that is checked after each layer can't wrap.
constexpr std::size_t kMaxBytes = std::size_t{1} << 47;

std::size_t RoundUp(std::int64_t bytes) {
  return (static_cast<std::size_t>(bytes) + kLayerAlignment - 1) / kLayerAlignment * kLayerAlignment;
}

std::size_t KeyBytes(const KvCache::Layer& layer) { return RoundUp(layer.heads * layer.cells * layer.key_bytes); }
std::size_t ValueBytes(const KvCache::Layer& layer) { return RoundUp(layer.heads * layer.cells * layer.value_bytes); }

Status NoMemory(std::size_t bytes, std::int64_t context_length) {
  return Status(StatusCode::kOutOfMemory, Cat("no memory for the key/value cache: at least ", bytes,
                                              " bytes for a context of ", context_length, " tokens"));
}

}  // namespace

struct KvCache::Plan {
  KvCache cache;
  std::size_t total = 0;
};

Result<KvCache::Plan> KvCache::MakePlan(const ModelConfig& config, std::int64_t context_length, std::int64_t batch_size,
                                        CacheFormat format) {
  for (const LayerConfig& shape : config.layers) {
    for (const std::int32_t length : {shape.key_length, shape.value_length}) {
      if (format != CacheFormat::kQ8_0 || length % kBlock == 0) continue;
      return Status(StatusCode::kUnsupported, Cat("the model has heads of ", length,
                                                  " dimensions, and a q8_0 key/value cache takes multiples of ", kBlock,
                                                  "; use the default, f16"));
    }
  }
  Plan plan;
  KvCache& cache = plan.cache;
  cache.context_length_ = context_length;
  cache.format_ = format;
  cache.sliding_cells_ = std::min(context_length, config.window + batch_size - 1);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const LayerConfig& shape = config.layers[i];
    Layer layer;
    layer.cells = shape.sliding ? cache.sliding_cells_ : context_length;
    layer.heads = shape.kv_heads;
    layer.sliding = shape.sliding;
    layer.key_bytes = static_cast<std::int64_t>(CacheBytes(format, shape.key_length));
    layer.value_bytes = static_cast<std::int64_t>(CacheBytes(format, shape.value_length));
    if (config.owns_kv(i)) plan.total += KeyBytes(layer) + ValueBytes(layer);
    if (shape.sliding) cache.window_ = config.window;
    cache.layers_.push_back(layer);
    if (plan.total > kMaxBytes) return NoMemory(plan.total, context_length);
  }
  return plan;
}

Result<std::uint64_t> KvCache::BytesNeeded(const ModelConfig& config, std::int64_t context_length,
                                           std::int64_t batch_size, CacheFormat format) {
  SLM_ASSIGN_OR_RETURN(const Plan plan, MakePlan(config, context_length, batch_size, format));
  return std::uint64_t{plan.total};
}

Result<KvCache> KvCache::Create(const ModelConfig& config, std::int64_t context_length, std::int64_t batch_size,
                                CacheFormat format) {
  SLM_ASSIGN_OR_RETURN(Plan plan, MakePlan(config, context_length, batch_size, format));
  KvCache& cache = plan.cache;
  if (!cache.buffer_.Allocate(plan.total)) return NoMemory(plan.total, context_length);
  std::byte* at = cache.buffer_.data();
  for (std::size_t i = 0; i < cache.layers_.size(); ++i) {
    Layer& layer = cache.layers_[i];
    if (!config.owns_kv(i)) {
      layer = cache.layers_[static_cast<std::size_t>(config.layers[i].kv_layer)];
      continue;
    }
    layer.keys = at;
    layer.values = at + KeyBytes(layer);
    at += KeyBytes(layer) + ValueBytes(layer);
  }
  return std::move(cache);
}

void KvCache::Wrote(std::int64_t end) {
  if (window_ != 0) first_kept_ = std::max(first_kept_, end - sliding_cells_);
}

std::int64_t KvCache::FirstRewindPosition() const {
  // Going on at position p looks back to p - window + 1.
  return first_kept_ == 0 ? 0 : first_kept_ + window_ - 1;
}

void KvCache::CopyCells(const KvCache& from, std::int64_t end) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& to = layers_[i];
    to.ForEachRun(std::min(from.FirstHeld(i), end), end, [&](std::int64_t cell, std::int64_t count) {
      for (std::int64_t head = 0; head < to.heads; ++head) {
        std::copy_n(from.layers_[i].Key(head, cell), count * to.key_bytes, to.Key(head, cell));
        std::copy_n(from.layers_[i].Value(head, cell), count * to.value_bytes, to.Value(head, cell));
      }
    });
  }
  first_kept_ = from.first_kept_;
}

bool KvCache::CanRestore(std::int64_t first, std::int64_t end) const {
  return first == 0 || (window_ != 0 && first <= end - (window_ - 1));
}

void KvCache::Restored(std::int64_t first, std::int64_t end) {
  first_kept_ = first;
  Wrote(end);
}

Status KvCache::CheckShift(const ContextShift& shift) const {
  const std::int64_t first_seen = std::max<std::int64_t>(0, shift.new_end() - window_ + 1);  // by the next token
  if (first_kept_ <= first_seen || shift.keep <= first_seen) return {};
  const std::int64_t most = shift.end - shift.keep - (window_ - 1);
  const std::string instead = most > 0 ? Cat("at most ", most) : "none";
  return Status(
      StatusCode::kInvalidArgument,
      Cat("cannot forget ", shift.discard, " tokens from position ", shift.keep, ": the next token would look ",
          "back to position ", first_seen, ", but sliding-window layers have dropped what came before ", first_kept_,
          "; of the ", shift.end, " tokens, ", instead, " can go from there"));
}

void KvCache::Shifted(const ContextShift& shift) {
  if (first_kept_ > shift.keep) first_kept_ = std::max(shift.keep, first_kept_ - shift.discard);
}

}  // namespace slm
