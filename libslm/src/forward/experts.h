// Feed-forward sub-layers that are mixtures of experts.

#ifndef SLM_FORWARD_EXPERTS_H_
#define SLM_FORWARD_EXPERTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "forward/parallel.h"
#include "forward/product.h"
#include "forward/profiler.h"
#include "forward/working_memory.h"
#include "kernels.h"
#include "model/model_config.h"
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
// Owns the working memory for up to `max_rows` rows. Like Forward's, a row's result depends on that row alone.
class MixtureOfExperts {
 public:
  struct Options {
    std::int64_t max_rows = 1;
    int threads = 1;  // of the team
    Profiler* profiler = nullptr;
  };
  // `config` and `kernels` must outlive it.
  MixtureOfExperts(const ModelConfig& config, const KernelSet& kernels, const Options& options);

  // False if there is not enough memory. Takes none for a model without experts.
  [[nodiscard]] bool Allocate(std::span<const LayerWeights> layers, WorkingMemory& memory);

  // Several steps of the team's work: `input` is [rows][d], `out` too. `threads` are at work.
  //
  // Experts beside a dense feed-forward read the residual stream, which is their `input`, through norms of their own.
  // Then `out` holds the dense one's output and becomes norm(out) + norm(that of the experts).
  void Run(Worker& worker, std::size_t layer, const ExpertWeights& weights, const ActivationRows& input,
           std::int64_t rows, int threads, float* out);

 private:
  // A row at one of its experts. There are rows * expert_used_count of them, grouped by expert.
  struct Visit {
    std::int32_t row = 0;
    float weight = 0;
  };
  // The visits first..first + count - 1 are those of one expert.
  struct Group {
    std::int32_t expert = 0;
    std::int64_t first = 0;
    std::int64_t count = 0;
  };
  // What does not change during a step.
  struct Step {
    Worker& worker;
    const ExpertWeights& weights;
    std::int64_t rows;
    int threads;
    ActivationRows router_input;
    ActivationRows input;  // of the experts

    bool beside_dense() const { return !weights.input_norm.empty(); }
  };

  void Route(const Step& step, std::size_t layer, const float* input);
  void GateAndUp(const Step& step, std::size_t layer);
  void Down(const Step& step, std::size_t layer, float* out);

  void NormInputs(const Step& step, const float* stream);
  void JoinDense(const Step& step, float* dense);
  void GroupRows(const Step& step, std::size_t layer);
  void Gather(const Step& step, std::int64_t visit);
  void GateAndUpOfGroup(const Step& step, const ActivationRows& input, const Group& group, Range range);
  void DownOfGroup(const Step& step, const Group& group, Range range, float* out);

  ProfileScope Measure(const Worker& worker, Operation operation, std::size_t layer) const;
  std::int64_t TileRows(std::int64_t tokens) const;
  float* Tile(const Worker& worker, int which);
  std::byte* Scratch(const Worker& worker);

  const ModelConfig* config_;
  const KernelSet* kernels_;
  Options options_;
  std::int64_t width_ = 0;  // largest of the layers' experts

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

  // [max_rows * expert_used_count] rows: inputs by visit (of a single row there is no need), and what gate and up give.
  AlignedBuffer<float> gathered_values_;
  AlignedBuffer<ActivationBlock> gathered_blocks_;
  AlignedBuffer<float> activated_values_;
  AlignedBuffer<ActivationBlock> activated_blocks_;

  // Beside a dense feed-forward: what the router and the experts read, and what the experts give, [max_rows][d].
  AlignedBuffer<float> router_input_;
  AlignedBuffer<float> input_values_;
  AlignedBuffer<ActivationBlock> input_blocks_;
  AlignedBuffer<float> out_;

  AlignedBuffer<float> tiles_;  // [threads][2][tile_floats_]
  std::size_t tile_floats_ = 0;
  AlignedBuffer<std::byte> scratch_;  // [threads][scratch_bytes_]
  std::size_t scratch_bytes_ = 0;
};

}  // namespace slm

#endif  // SLM_FORWARD_EXPERTS_H_
