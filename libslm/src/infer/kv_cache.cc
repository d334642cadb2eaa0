#include "infer/kv_cache.h"

#include <algorithm>
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
  const std::int32_t lengths[] = {config.key_length, config.value_length};
  for (const std::int32_t length : lengths) {
    if (format != CacheFormat::kQ8_0 || length % kBlock == 0) continue;
    return Status(StatusCode::kUnsupported,
                  Cat("the model has heads of ", length, " dimensions, and a q8_0 key/value cache takes multiples of ",
                      kBlock, "; use the default, f16"));
  }
  Plan plan;
  KvCache& cache = plan.cache;
  cache.format_ = format;
  cache.sliding_cells_ = std::min(context_length, config.window + batch_size - 1);
  for (const LayerConfig& shape : config.layers) {
    Layer layer;
    layer.cells = shape.sliding ? cache.sliding_cells_ : context_length;
    layer.heads = shape.kv_heads;
    layer.key_bytes = static_cast<std::int64_t>(CacheBytes(format, config.key_length));
    layer.value_bytes = static_cast<std::int64_t>(CacheBytes(format, config.value_length));
    plan.total += RoundUp(layer.heads * layer.cells * layer.key_bytes);
    plan.total += RoundUp(layer.heads * layer.cells * layer.value_bytes);
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
  for (Layer& layer : cache.layers_) {
    layer.keys = at;
    at += RoundUp(layer.heads * layer.cells * layer.key_bytes);
    layer.values = at;
    at += RoundUp(layer.heads * layer.cells * layer.value_bytes);
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

}  // namespace slm
