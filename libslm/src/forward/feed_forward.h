// The feed-forward sub-layer.

#ifndef SLM_FORWARD_FEED_FORWARD_H_
#define SLM_FORWARD_FEED_FORWARD_H_

#include <cstddef>
#include <cstdint>

#include "forward/activations.h"
#include "forward/experts.h"
#include "forward/forward_context.h"
#include "forward/parallel.h"
#include "forward/working_memory.h"

namespace slm {

// Owns its working memory. `context` must outlive it.
class FeedForward {
 public:
  explicit FeedForward(ForwardContext& context) : context_(&context), experts_(context) {}

  // False if there is no memory.
  [[nodiscard]] bool Allocate(WorkingMemory& memory);

  // out = Wdown (activation(Wgate x) * (Wup x)) of all rows, [rows][embedding_length], or what a mixture of experts
  // gives, or both. Several steps.
  void Run(Worker& worker, std::size_t index, const ActivationRows& input, float* out);

 private:
  void RunDense(Worker& worker, std::size_t index, const ActivationRows& input, float* out);
  void SparseGate(Worker& worker, std::size_t index, const ActivationRows& input);
  void GateAndUp(Worker& worker, std::size_t index, const ActivationRows& input);

  ForwardContext* context_;
  Activations activated_;  // [max_rows][feed_forward_length]
  MixtureOfExperts experts_;
};

}  // namespace slm

#endif  // SLM_FORWARD_FEED_FORWARD_H_
