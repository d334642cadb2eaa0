#include "infer/kv_cache.h"

#include <algorithm>

#include "base/format.h"

namespace slm {

namespace {

constexpr std::size_t kLayerAlignment = 64;
// More than processes can address. A layer's part is below 2^57 (2^31 cells, 2^22 elements of 4 bytes, keys and
// values), so that a total that is checked after each layer can't wrap.
constexpr std::size_t kMaxBytes = std::size_t{1} << 47;

std::size_t RoundUp(std::size_t bytes) { return (bytes + kLayerAlignment - 1) / kLayerAlignment * kLayerAlignment; }

}  // namespace

Result<KvCache> KvCache::Create(const ModelConfig& config, std::int64_t context_length, std::int64_t batch_size,
                                CacheFormat format) {
  KvCache cache;
  cache.format_ = format;
  cache.sliding_cells_ = std::min(context_length, config.window + batch_size - 1);
  std::size_t total = 0;
  for (const LayerConfig& shape : config.layers) {
    Layer layer;
    layer.cells = shape.sliding ? cache.sliding_cells_ : context_length;
    layer.key_stride = std::int64_t{shape.kv_heads} * config.key_length;
    layer.value_stride = std::int64_t{shape.kv_heads} * config.value_length;
    total += RoundUp(static_cast<std::size_t>(layer.cells * layer.key_stride) * cache.element_bytes());
    total += RoundUp(static_cast<std::size_t>(layer.cells * layer.value_stride) * cache.element_bytes());
    if (shape.sliding) cache.window_ = config.window;
    cache.layers_.push_back(layer);
    if (total > kMaxBytes) break;
  }
  if (total > kMaxBytes || !cache.buffer_.Allocate(total)) {
    return Status(StatusCode::kOutOfMemory, Cat("no memory for the key/value cache: at least ", total,
                                                " bytes for a context of ", context_length, " tokens"));
  }
  std::byte* at = cache.buffer_.data();
  for (Layer& layer : cache.layers_) {
    layer.keys = at;
    at += RoundUp(static_cast<std::size_t>(layer.cells * layer.key_stride) * cache.element_bytes());
    layer.values = at;
    at += RoundUp(static_cast<std::size_t>(layer.cells * layer.value_stride) * cache.element_bytes());
  }
  return cache;
}

void KvCache::Wrote(std::int64_t end) {
  if (window_ != 0) first_kept_ = std::max(first_kept_, end - sliding_cells_);
}

std::int64_t KvCache::FirstRewindPosition() const {
  // Going on at position p looks back to p - window + 1.
  return first_kept_ == 0 ? 0 : first_kept_ + window_ - 1;
}

}  // namespace slm
