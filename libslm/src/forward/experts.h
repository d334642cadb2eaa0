// Feed-forward sub-layers that are mixtures of experts.

#ifndef SLM_FORWARD_EXPERTS_H_
#define SLM_FORWARD_EXPERTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "forward/activations.h"
#include "forward/forward_context.h"
#include "forward/parallel.h"
#include "forward/product.h"
#include "forward/working_memory.h"
#include "model/weights.h"

namespace slm {

// One of the experts a row goes to, and the share it has in the row's result.
struct Choice {
  std::int32_t expert = 0;
  float weight = 0;
};

// Takes a row's scores for all experts, makes them probabilities (softmax), and chooses as many of the most probable as
// `chosen` has room for, of equal ones those that come first. Their weights are the probabilities, scaled to add up to
// 1. A score that is not a number makes all weights so.
void ChooseExperts(std::span<float> scores, std::span<Choice> chosen);

// For each row x of a layer's input
//   out = sum over the experts chosen for x of weight * down(activation(gate x) * up x),  choice = router x
// in ascending order of the experts. Rows are grouped by expert, so that an expert's weights are read and unpacked once
// for all of its rows; experts no row goes to are not read.
//
// Experts beside a dense feed-forward read the residual stream through norms of their own. Then `out` holds the dense
// one's output and becomes norm(out) + norm(that of the experts).
//
// Owns its working memory, none for a model without experts. `context` must outlive it.
class MixtureOfExperts {
 public:
  explicit MixtureOfExperts(ForwardContext& context) : context_(&context) {}

  // False if there is no memory.
  [[nodiscard]] bool Allocate(WorkingMemory& memory);

  // Of all rows, for a layer that has experts: [rows][embedding_length]. Several steps.
  void Run(Worker& worker, std::size_t index, const ActivationRows& input, float* out);

 private:
  // A row at one of its experts. There are rows * expert_used_count of them, grouped by expert.
  struct Visit {
    std::int32_t row = 0;
    std::int32_t expert = 0;
    float weight = 0;
  };
  // The visits first..first + count - 1 are those of one expert.
  struct Group {
    std::int32_t expert = 0;
    std::int64_t first = 0;
    std::int64_t count = 0;
  };

  // Steps.
  void NormInputs(Worker& worker, std::size_t index);
  void Route(Worker& worker, std::size_t index, const ActivationRows& input);
  ActivationRows Gather(Worker& worker, std::size_t index, const ActivationRows& input);
  void GateAndUp(Worker& worker, std::size_t index, const ActivationRows& input);
  void Down(Worker& worker, std::size_t index, float* out);
  void JoinDense(Worker& worker, std::size_t index, float* dense);

  // Parts of steps.
  void GroupRows(std::size_t index);
  void DownOfGroup(const Worker& worker, std::size_t index, const Group& group, const ActivationRows& input,
                   Range range, float* out);

  std::int64_t Visits() const { return context_->rows * context_->config.expert_used_count; }
  const Expert& ExpertOf(std::size_t index, std::int32_t expert) const {
    return context_->weights.layers[index].ffn_experts.experts[static_cast<std::size_t>(expert)];
  }

  ForwardContext* context_;
  AlignedBuffer<float> scores_;           // [max_rows][expert_count]
  std::vector<Choice> choices_;           // [max_rows][expert_used_count]
  std::vector<Visit> visits_;             // [max_rows * expert_used_count]
  std::vector<Group> groups_;             // ascending by expert, none of them empty
  std::vector<std::int64_t> next_visit_;  // [expert_count]
  // Bytes of the weights the last rows made a layer read: [layers]. A cell of its own for each layer, because a worker
  // may look at it when others are already further on.
  struct BytesRead {
    double gate_up = 0;
    double down = 0;
  };
  std::vector<BytesRead> bytes_read_;

  Activations gathered_;   // [max_rows * expert_used_count][embedding_length], inputs by visit
  Activations activated_;  // [max_rows * expert_used_count][expert_feed_forward_length], likewise

  // Beside a dense feed-forward: what the router and the experts read, and what the experts give.
  Activations router_input_;  // [max_rows][embedding_length]
  Activations input_;         // [max_rows][embedding_length]
  AlignedBuffer<float> out_;  // [max_rows][embedding_length]
};

}  // namespace slm

#endif  // SLM_FORWARD_EXPERTS_H_
