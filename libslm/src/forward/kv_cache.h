// The keys and values of one sequence.

#ifndef SLM_FORWARD_KV_CACHE_H_
#define SLM_FORWARD_KV_CACHE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels.h"
#include "model/model_config.h"
#include "slm/status.h"

namespace slm {

// Of a sequence of `end` tokens the `discard` that follow the first `keep` go, and later ones take their positions.
struct ContextShift {
  std::int64_t keep = 0;
  std::int64_t discard = 0;
  std::int64_t end = 0;

  std::int64_t new_end() const { return end - discard; }
};

// Each layer has a ring of cells; position p lives in cell p % cells, keys after RoPE. Global layers have a cell for
// every position of the context. Sliding layers have as many as the window and one batch need, so that a batch can be
// written before its first row looks back. A layer without keys and values of its own has the ring of the one it reads.
class KvCache {
 public:
  // The cells of a head are next to each other, as attention reads them.
  struct Layer {
    // Positions first..end - 1 as runs of neighbouring cells, in order: visit(cell, count).
    template <class F>
    void ForEachRun(std::int64_t first, std::int64_t end, const F& visit) const;

    std::byte* Key(std::int64_t head, std::int64_t cell) const { return keys + (head * cells + cell) * key_bytes; }
    std::byte* Value(std::int64_t head, std::int64_t cell) const {
      return values + (head * cells + cell) * value_bytes;
    }

    std::byte* keys = nullptr;
    std::byte* values = nullptr;
    std::int64_t key_bytes = 0;  // of a cell of one head
    std::int64_t value_bytes = 0;
    std::int64_t heads = 0;
    std::int64_t cells = 0;
    bool sliding = false;
  };

  // kOutOfMemory says how much was wanted; kUnsupported that the format can't hold heads of the model's length.
  static Result<KvCache> Create(const ModelConfig& config, std::int64_t context_length, std::int64_t batch_size,
                                CacheFormat format);
  // What bytes() of such a cache would be, without allocating it. Fails as Create does, but for a lack of memory only
  // if no machine could have that much.
  static Result<std::uint64_t> BytesNeeded(const ModelConfig& config, std::int64_t context_length,
                                           std::int64_t batch_size, CacheFormat format);

  const Layer& layer(std::size_t index) const { return layers_[index]; }
  std::int64_t context_length() const { return context_length_; }
  CacheFormat format() const { return format_; }
  std::uint64_t bytes() const { return buffer_.bytes(); }

  // Tells the cache that positions below `end` have been written since the last Clear.
  void Wrote(std::int64_t end);
  // Position 0 comes next, whatever the cells hold.
  void Clear() { first_kept_ = 0; }
  // The lowest position other than 0 at which the sequence can go on: before it, a sliding layer has overwritten keys
  // and values the next row would look at. Position 0 itself when nothing was overwritten yet.
  std::int64_t FirstRewindPosition() const;

  // The oldest position whose keys and values a layer still holds.
  std::int64_t FirstHeld(std::size_t index) const { return layers_[index].sliding ? first_kept_ : 0; }
  std::int64_t first_kept() const { return first_kept_; }  // of sliding layers; 0 without any

  // Takes over what another cache of the same shape holds of its first `end` tokens.
  void CopyCells(const KvCache& from, std::int64_t end);

  // Whether a sequence of `end` tokens can go on with a sliding window of which only `first` and later positions are
  // left. Then cells can be filled with them from elsewhere, with the last ones if a ring has no room for all.
  bool CanRestore(std::int64_t first, std::int64_t end) const;
  void Restored(std::int64_t first, std::int64_t end);

  // kInvalidArgument if sliding layers have dropped what the next token would look at: says how much can go instead.
  Status CheckShift(const ContextShift& shift) const;
  // Keys and values have been moved.
  void Shifted(const ContextShift& shift);

 private:
  // A cache that lacks only its memory, of which it needs `total` bytes.
  struct Plan;
  static Result<Plan> MakePlan(const ModelConfig& config, std::int64_t context_length, std::int64_t batch_size,
                               CacheFormat format);

  std::vector<Layer> layers_;
  AlignedBuffer<std::byte> buffer_;
  std::int64_t context_length_ = 0;
  CacheFormat format_ = CacheFormat::kF16;
  std::int64_t window_ = 0;  // 0: no layer slides
  std::int64_t sliding_cells_ = 0;
  std::int64_t first_kept_ = 0;  // oldest position every sliding layer still holds
};

template <class F>
void KvCache::Layer::ForEachRun(std::int64_t first, std::int64_t end, const F& visit) const {
  while (first < end) {
    const std::int64_t cell = first % cells;
    const std::int64_t count = std::min(end - first, cells - cell);
    visit(cell, count);
    first += count;
  }
}

}  // namespace slm

#endif  // SLM_FORWARD_KV_CACHE_H_
