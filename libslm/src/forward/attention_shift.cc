// Moving what a cache holds to lower positions.

#include <algorithm>
#include <cstring>

#include "forward/attention.h"
#include "forward/cache_cell.h"

namespace slm {

namespace {

// Of one head, keys or values. `first` is the oldest position the ring holds.
void MoveCells(std::byte* cells, std::int64_t cell_bytes, std::int64_t count, std::int64_t first,
               const ContextShift& shift) {
  // Nothing of what is kept is in the ring: it turns as a whole. Going through it in order would not do, because a new
  // position may lie in the cell of an old one that is still to be moved.
  if (first > shift.keep) {
    std::rotate(cells, cells + shift.discard % count * cell_bytes, cells + count * cell_bytes);
    return;
  }
  for (std::int64_t position = shift.keep; position < shift.new_end(); ++position) {
    const std::int64_t from = (position + shift.discard) % count;
    std::memcpy(cells + position % count * cell_bytes, cells + from * cell_bytes, static_cast<std::size_t>(cell_bytes));
  }
}

}  // namespace

void Attention::PlaceShift(const KvCache& cache, const ContextShift& shift) {
  const bool long_context = LongContext(cache);
  rope_global_.FillTurn(0, -shift.discard, long_context);
  rope_sliding_.FillTurn(0, -shift.discard, long_context);
}

void Attention::Shift(Worker& worker, const KvCache& cache, const ContextShift& shift) {
  const auto layers = static_cast<std::int64_t>(context_->config.layers.size());
  worker.ForEach(layers, [&](std::int64_t layer) {
    const auto index = static_cast<std::size_t>(layer);
    if (!context_->config.owns_kv(index)) return;
    const KvCache::Layer& cells = cache.layer(index);
    const std::int64_t first = cache.FirstHeld(index);
    for (std::int64_t head = 0; head < cells.heads; ++head) {
      MoveCells(cells.Key(head, 0), cells.key_bytes, cells.cells, first, shift);
      MoveCells(cells.Value(head, 0), cells.value_bytes, cells.cells, first, shift);
      if (context_->config.layers[index].rotates) TurnKeys(worker, index, cache, head, shift);
    }
  });
}

// What was moved, from its old position to its new one.
void Attention::TurnKeys(const Worker& worker, std::size_t index, const KvCache& cache, std::int64_t head,
                         const ContextShift& shift) {
  const std::int64_t length = context_->config.layers[index].key_length;
  const KvCache::Layer& cells = cache.layer(index);
  float* key = reinterpret_cast<float*>(context_->Scratch(worker, static_cast<std::size_t>(length) * sizeof(float)));
  const std::int64_t first = std::max(shift.keep, cache.FirstHeld(index) - shift.discard);
  for (std::int64_t position = first; position < shift.new_end(); ++position) {
    std::byte* cell = cells.Key(head, position % cells.cells);
    LoadCell(cache.format(), cell, length, key);
    Turn(index, 0, key);
    StoreCell(context_->kernels, cache.format(), key, length, cell);
  }
}

}  // namespace slm
