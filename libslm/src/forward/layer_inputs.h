// Inputs that each layer gets of each token, beside the stream: from an embedding table of their own and from the
// token's embedding.

#ifndef SLM_FORWARD_LAYER_INPUTS_H_
#define SLM_FORWARD_LAYER_INPUTS_H_

#include <cstddef>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "forward/activations.h"
#include "forward/forward_context.h"
#include "forward/parallel.h"
#include "forward/working_memory.h"
#include "slm/tokenizer.h"

namespace slm {

// Owns its working memory, none for a model without such inputs. `context` must outlive it.
class LayerInputs {
 public:
  explicit LayerInputs(ForwardContext& context) : context_(&context) {}

  // False if there is no memory.
  [[nodiscard]] bool Allocate(WorkingMemory& memory);

  // Before the first layer: the share of the tokens' embeddings, for all rows. A step.
  void Project(Worker& worker, const ActivationRows& embeddings);
  // Then, for each row, the share of the token itself. Part of a step.
  void AddToken(const Worker& worker, Token token, std::int64_t row);

  // out = proj (activation(inp_gate x) * input) of all rows, [rows][embedding_length]. Several steps.
  void Run(Worker& worker, std::size_t index, const ActivationRows& input, float* out);

 private:
  // Inputs of all layers: layers * per_layer_width floats.
  std::int64_t Width() const;

  ForwardContext* context_;
  AlignedBuffer<float> inputs_;      // [max_rows][layers][per_layer_width]
  AlignedBuffer<float> gate_;        // [max_rows][per_layer_width]
  Activations gated_;                // [max_rows][per_layer_width]
  AlignedBuffer<float> embeddings_;  // [max_threads][layers][per_layer_width], a row of the table
};

}  // namespace slm

#endif  // SLM_FORWARD_LAYER_INPUTS_H_
