// What the parts of a forward pass share.

#ifndef SLM_FORWARD_FORWARD_CONTEXT_H_
#define SLM_FORWARD_FORWARD_CONTEXT_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "base/aligned_buffer.h"
#include "forward/activation_statistics.h"
#include "forward/activations.h"
#include "forward/adapter_set.h"
#include "forward/kv_cache.h"
#include "forward/parallel.h"
#include "forward/product.h"
#include "forward/profiler.h"
#include "forward/working_memory.h"
#include "kernels.h"
#include "model/model_config.h"
#include "model/weights.h"
#include "slm/tokenizer.h"

namespace slm {

// KernelSet's function for out = activation(gate) * up.
using GatedFn = decltype(KernelSet::silu_mul);

// Consecutive rows of one cache.
struct Segment {
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t position = 0;
  KvCache* cache = nullptr;
};

// A row of the last run, and where the logits after it go: [vocab_size].
struct LogitsRow {
  std::int64_t row = 0;
  float* out = nullptr;
};

// The model, what is evaluated at the moment, the stream of its rows, and memory of each worker. Functions with a
// Worker that is not const are a step of the team's work.
class ForwardContext {
 public:
  // `model_config`, `model_weights` and `kernel_set` must outlive it.
  ForwardContext(const ModelConfig& model_config, const Weights& model_weights, const KernelSet& kernel_set,
                 int team_threads, std::int64_t most_rows, Profiler* times,
                 ActivationStatistics* activation_statistics = nullptr);

  // False if there is no memory.
  [[nodiscard]] bool Allocate(WorkingMemory& memory);

  // Row `row` of the input of the next sub-layer: norm(x), or x where there is no weight.
  void SetInput(const float* x, const Vector& weight, std::int64_t row) { NormRow(x, weight, normed, row); }
  void NormRow(const float* x, const Vector& weight, Activations& out, std::int64_t row) const;

  // The input of products with some matrices, and what adapters make of each of its rows: a step, where there are any.
  // matrices(row): those that the row meets, a range of pointers. Holds until the next call.
  template <class F>
  ActivationRows Adapt(Worker& worker, const ActivationRows& input, std::int64_t tokens, const F& matrices);
  ActivationRows Adapt(Worker& worker, const ActivationRows& input, std::int64_t tokens,
                       std::initializer_list<const Matrix*> matrices) {
    return Adapt(worker, input, tokens, [&](std::int64_t) { return matrices; });
  }
  // Row `row` of the stream, which is a token's embedding, with what adapters add to it.
  void AdaptEmbedding(Token token, std::int64_t row);
  // Room for what adapters make of a row: AdapterSet::narrow_width. False if there is no memory.
  [[nodiscard]] bool AllocateNarrow(WorkingMemory& memory, std::int64_t width);
  std::int64_t narrow_width() const { return narrow_width_; }
  std::uint64_t narrow_bytes() const { return narrow_.bytes(); }

  // A product of all of a matrix's rows with the first `tokens` rows of the input.
  void Product(Worker& worker, const Matrix& matrix, const Vector& bias, const ActivationRows& input,
               std::int64_t tokens, const ProductOutput& output);
  // Weight rows `range` of one, on this worker. The input is that of Adapt.
  void MatMul(const Worker& worker, const Matrix& matrix, const Vector& bias, const ActivationRows& input, Range range,
              std::int64_t tokens, const ProductOutput& output);
  // The same rows of gate and up, and what joins them: out = activation(gate x) * (up x). An absent gate is what the
  // output holds already.
  void GatedMatMul(const Worker& worker, const Matrix& gate, const Matrix& up, const ActivationRows& input, Range range,
                   std::int64_t tokens, const ProductOutput& output);
  // Cuts weight rows into pieces that are still in the cache when something is done with their products: f(piece,
  // tile), where the worker's tile has room for those with `tokens` rows, twice.
  template <class F>
  void ForEachPiece(const Worker& worker, Range range, std::int64_t tokens, const F& f);
  // How a matrix's rows are dealt out.
  std::int64_t Chunks(std::int64_t weight_rows) const;
  Range ChunkRange(std::int64_t weight_rows, std::int64_t chunk) const;

  std::byte* Scratch(const Worker& worker, std::size_t bytes);  // for a kernel that needs so much
  ProfileScope Measure(const Worker& worker, Operation operation, std::size_t layer) const;

  const ModelConfig& config;
  const Weights& weights;
  const KernelSet& kernels;
  const std::int64_t max_rows;
  const int max_threads;  // of the team
  Profiler* const profiler;
  ActivationStatistics* const statistics;  // or nullptr
  const GatedFn activate;

  // Of the last run.
  std::int64_t rows = 0;
  int threads = 1;
  std::vector<Segment> segments;
  const AdapterSet* adapters = nullptr;  // or nullptr
  // The layer before which it was cancelled; as many as there are: it was not.
  std::atomic<std::size_t> cancelled_at{0};

  AlignedBuffer<float> stream;   // [max_rows][embedding_length], the residual stream
  Activations normed;            // [max_rows][embedding_length], what the next sub-layer reads
  AlignedBuffer<float> product;  // [max_rows][embedding_length], what the last sub-layer computed

  // Whether somebody reads the floats of activations whose products need their blocks alone.
  bool needs_values() const { return statistics != nullptr || adapters != nullptr; }
  float* StreamRow(std::int64_t row) { return stream.data() + row * config.embedding_length; }
  float* ProductRow(std::int64_t row) { return product.data() + row * config.embedding_length; }

 private:
  AlignedBuffer<std::byte> scratch_;  // [max_threads][scratch_bytes_]
  std::size_t scratch_bytes_ = 0;
  AlignedBuffer<float> tiles_;  // [max_threads][2][tile_floats_]
  std::int64_t tile_floats_;
  AlignedBuffer<float> narrow_;  // [max_rows times experts used by a row, at least 1][narrow_width_]
  std::int64_t narrow_width_ = 0;
};

template <class F>
ActivationRows ForwardContext::Adapt(Worker& worker, const ActivationRows& input, std::int64_t tokens,
                                     const F& matrices) {
  if (adapters == nullptr) return input;
  // One row is work for all of them, too.
  const std::int64_t shares = tokens < threads ? threads : 1;
  worker.ForEach(tokens * shares, [&](std::int64_t chunk) {
    const std::int64_t row = chunk / shares;
    for (const Matrix* const matrix : matrices(row)) {
      adapters->Narrow(kernels, *matrix, input.From(row).values, {chunk % shares, shares},
                       narrow_.data() + row * narrow_width_, Scratch(worker, MatMulScratchBytes(matrix->columns)));
    }
  });
  ActivationRows adapted = input;
  adapted.narrow = narrow_.data();
  adapted.narrow_stride = narrow_width_;
  return adapted;
}

template <class F>
void ForwardContext::ForEachPiece(const Worker& worker, Range range, std::int64_t tokens, const F& f) {
  float* tile = tiles_.data() + 2 * tile_floats_ * worker.rank();
  const std::int64_t size = tile_floats_ / tokens / kRowGranule * kRowGranule;
  for (std::int64_t begin = range.begin; begin < range.end; begin += size)
    f(Range{begin, std::min(begin + size, range.end)}, tile);
}

}  // namespace slm

#endif  // SLM_FORWARD_FORWARD_CONTEXT_H_
