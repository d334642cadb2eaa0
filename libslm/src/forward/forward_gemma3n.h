// Layers of ResidualWiring::kAltUp, as in Gemma 3n: several streams, of which a layer computes the first. It predicts
// all of them from what they were, computes, and corrects all by what the first turned out to be. A low-rank path
// (LAuReL) runs beside attention, and the layer's own input of the token joins the other streams at the end.

#ifndef SLM_FORWARD_FORWARD_GEMMA3N_H_
#define SLM_FORWARD_FORWARD_GEMMA3N_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/aligned_buffer.h"
#include "forward/activations.h"
#include "forward/attention.h"
#include "forward/feed_forward.h"
#include "forward/forward_context.h"
#include "forward/layer_inputs.h"
#include "forward/parallel.h"
#include "forward/working_memory.h"

namespace slm {

// What a layer is made of.
struct SubLayers {
  Attention attention;
  FeedForward feed_forward;
  LayerInputs layer_inputs;
};

// Owns the streams, no memory for a model of another wiring. `context` must outlive it.
class AltUpLayers {
 public:
  explicit AltUpLayers(ForwardContext& context) : context_(&context) {}

  // False if there is no memory.
  [[nodiscard]] bool Allocate(WorkingMemory& memory);

  // Before the first layer: makes streams of the embeddings, which the context's stream and input hold. Several steps,
  // as are the others.
  void Begin(Worker& worker);
  void RunLayer(Worker& worker, std::size_t index, SubLayers& parts);
  // After the last: the context's stream of these rows, from all streams. `input` has room for as many.
  void Merge(Worker& worker, std::span<const LogitsRow> rows, Activations& input);

 private:
  // Steps.
  void Laurel(Worker& worker, std::size_t index);
  void AddAttention(Worker& worker, std::size_t index);
  void Correct(Worker& worker, std::size_t index);
  void AddLayerInput(Worker& worker, std::size_t index);

  // Parts of steps.
  void Route(const Worker& worker, const AltUpWeights& altup, const float* x, float* modes);
  void PredictRow(const Worker& worker, std::size_t index, std::int64_t row);
  void CorrectRow(const Worker& worker, std::size_t index, std::int64_t row);
  float* Stream(std::int64_t stream, std::int64_t row);
  float* Prediction(std::int64_t stream, std::int64_t row);

  ForwardContext* context_;
  AlignedBuffer<float> streams_;      // [altup_streams][max_rows][embedding_length]
  AlignedBuffer<float> predictions_;  // [altup_streams][max_rows][embedding_length]
  Activations narrow_;                // [max_rows][rank], inside the low-rank path
  AlignedBuffer<float> laurel_;       // [max_rows][embedding_length]
  AlignedBuffer<float> routed_;       // [max_threads][embedding_length]
};

}  // namespace slm

#endif  // SLM_FORWARD_FORWARD_GEMMA3N_H_
