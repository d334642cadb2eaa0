#include "forward/experts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

namespace slm {

namespace {

// What it takes to read and unpack a weight row, in tokens that meet it.
constexpr std::int64_t kUnpackCost = 8;

void Softmax(std::span<float> scores) {
  const float largest = *std::ranges::max_element(scores);
  float total = 0;
  for (float& score : scores) {
    score = std::exp(score - largest);
    total += score;
  }
  for (float& score : scores) score /= total;
}

}  // namespace

void ChooseExperts(std::span<float> scores, std::span<Choice> chosen) {
  Softmax(scores);
  std::size_t found = 0;
  for (std::size_t expert = 0; expert < scores.size(); ++expert) {
    const float probability = scores[expert];
    if (found == chosen.size() && !(probability > chosen.back().weight)) continue;
    std::size_t at = found < chosen.size() ? found++ : found - 1;
    for (; at > 0 && probability > chosen[at - 1].weight; --at) chosen[at] = chosen[at - 1];
    chosen[at] = {static_cast<std::int32_t>(expert), probability};
  }
  // The most probable of n has at least 1 / n: this is never 0.
  float total = 0;
  for (const Choice& choice : chosen) total += choice.weight;
  for (Choice& choice : chosen) choice.weight /= total;
}

bool MixtureOfExperts::Allocate(WorkingMemory& memory) {
  const ModelConfig& config = context_->config;
  const std::int64_t rows = context_->max_rows, d = config.embedding_length;
  const std::int64_t visits = rows * config.expert_used_count;
  const std::int64_t gathered = rows > 1 ? visits : 0;  // a single row is the input of all of its experts
  std::int64_t width = 0, beside_dense = 0;             // rows, where experts are there
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    width = std::max(width, std::int64_t{config.layers[i].expert_feed_forward_length});
    if (!context_->weights.layers[i].ffn_experts.input_norm.empty()) beside_dense = rows;
  }
  groups_.reserve(static_cast<std::size_t>(config.expert_count));
  next_visit_.resize(static_cast<std::size_t>(config.expert_count));
  bytes_read_.resize(config.layers.size());
  return memory.Allocate(choices_, static_cast<std::size_t>(visits)) &&
         memory.Allocate(visits_, static_cast<std::size_t>(visits)) &&
         memory.Allocate(scores_, static_cast<std::size_t>(rows * config.expert_count)) &&
         gathered_.Allocate(memory, gathered, d) && activated_.Allocate(memory, visits, width) &&
         router_input_.Allocate(memory, beside_dense, d) && input_.Allocate(memory, beside_dense, d) &&
         memory.Allocate(out_, static_cast<std::size_t>(beside_dense * d));
}

void MixtureOfExperts::Run(Worker& worker, std::size_t index, const ActivationRows& input, float* out) {
  const bool beside_dense = !context_->weights.layers[index].ffn_experts.input_norm.empty();
  if (beside_dense) NormInputs(worker, index);
  Route(worker, index, beside_dense ? router_input_.rows() : input);
  GateAndUp(worker, index, Gather(worker, index, beside_dense ? input_.rows() : input));
  Down(worker, index, beside_dense ? out_.data() : out);
  if (beside_dense) JoinDense(worker, index, out);
}

void MixtureOfExperts::NormInputs(Worker& worker, std::size_t index) {
  const ExpertWeights& weights = context_->weights.layers[index].ffn_experts;
  const ProfileScope scope = context_->Measure(worker, Operation::kRouter, index);
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    context_->NormRow(context_->StreamRow(row), weights.router_norm, router_input_, row);
    context_->NormRow(context_->StreamRow(row), weights.input_norm, input_, row);
  });
}

void MixtureOfExperts::JoinDense(Worker& worker, std::size_t index, float* dense) {
  const ExpertWeights& weights = context_->weights.layers[index].ffn_experts;
  const ProfileScope scope = context_->Measure(worker, Operation::kExpertsDown, index);
  const std::int64_t d = context_->config.embedding_length;
  const float epsilon = context_->config.norm_epsilon;
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    float* y = dense + row * d;
    float* experts = out_.data() + row * d;
    context_->kernels.rms_norm(y, weights.dense_post_norm.data(), d, epsilon, y);
    context_->kernels.rms_norm(experts, weights.post_norm.data(), d, epsilon, experts);
    context_->kernels.add(y, experts, d);
  });
}

void MixtureOfExperts::Route(Worker& worker, std::size_t index, const ActivationRows& input) {
  const Matrix& router = context_->weights.layers[index].ffn_experts.router;
  const std::int64_t rows = context_->rows, experts = router.rows, used = context_->config.expert_used_count;
  ProfileScope scope = context_->Measure(worker, Operation::kRouter, index);
  scope.AddCost(CostOf(router, rows));
  const ActivationRows adapted = context_->Adapt(worker, input, rows, {&router});
  const std::int64_t parts = DivideUp(experts, kRowGranule);
  worker.ForEach(DivideUp(rows, kActivationRows) * parts, [&](std::int64_t chunk) {
    const std::int64_t first = chunk / parts * kActivationRows, begin = chunk % parts * kRowGranule;
    context_->MatMul(worker, router, {}, adapted.From(first), {begin, std::min(begin + kRowGranule, experts)},
                     std::min(kActivationRows, rows - first), {scores_.data() + first * experts + begin, experts});
  });
  ForEachRow(worker, rows, [&](std::int64_t row) {
    ChooseExperts({scores_.data() + row * experts, static_cast<std::size_t>(experts)},
                  std::span(choices_).subspan(static_cast<std::size_t>(row * used), static_cast<std::size_t>(used)));
    if (rows == 1) GroupRows(index);
  });
  if (rows > 1) worker.ForEach(1, [&](std::int64_t) { GroupRows(index); });
}

// A counting sort: within a group rows ascend.
void MixtureOfExperts::GroupRows(std::size_t index) {
  const std::span choices = std::span(choices_).first(static_cast<std::size_t>(Visits()));
  std::ranges::fill(next_visit_, 0);
  for (const Choice& choice : choices) ++next_visit_[static_cast<std::size_t>(choice.expert)];
  groups_.clear();
  BytesRead& read = bytes_read_[index] = {};
  std::int64_t first = 0;
  for (std::size_t i = 0; i < next_visit_.size(); ++i) {
    const std::int64_t count = std::exchange(next_visit_[i], first);
    if (count == 0) continue;
    groups_.push_back({static_cast<std::int32_t>(i), first, count});
    first += count;
    const Expert& expert = ExpertOf(index, groups_.back().expert);
    read.gate_up += static_cast<double>(expert.gate.bytes() + expert.up.bytes());
    read.down += static_cast<double>(expert.down.bytes());
  }
  const auto used = static_cast<std::size_t>(context_->config.expert_used_count);
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const auto [expert, weight] = choices[i];
    const auto visit = static_cast<std::size_t>(next_visit_[static_cast<std::size_t>(expert)]++);
    visits_[visit] = {static_cast<std::int32_t>(i / used), expert, weight * ExpertOf(index, expert).scale};
  }
}

// The input of every visit. A single row is that of all of its experts.
ActivationRows MixtureOfExperts::Gather(Worker& worker, std::size_t index, const ActivationRows& input) {
  if (context_->rows == 1) return {input.values, 0, input.blocks, 0};
  const ProfileScope scope = context_->Measure(worker, Operation::kRouter, index);
  ForEachRow(worker, Visits(), [&](std::int64_t i) {
    const Visit& visit = visits_[static_cast<std::size_t>(i)];
    const Expert& expert = ExpertOf(index, visit.expert);
    const bool values = expert.gate.multiplies_floats() || expert.up.multiplies_floats() || context_->needs_values();
    gathered_.CopyRow(i, input.From(visit.row), values);
  });
  return gathered_.rows();
}

// The weight rows of all groups, one after the other, are cut into chunks that cost the same, however many tokens each
// group has. How many chunks depends on numbers alone that are the same for the whole run: a worker may be late and
// come here when the groups are already the next layer's.
void MixtureOfExperts::GateAndUp(Worker& worker, std::size_t index, const ActivationRows& input) {
  const ModelConfig& config = context_->config;
  const std::int64_t width = config.layers[index].expert_feed_forward_length;
  const std::int64_t visits = Visits();
  ProfileScope scope = context_->Measure(worker, Operation::kExpertsGateUp, index);
  scope.AddCost({2.0 * static_cast<double>(visits * width * config.embedding_length), bytes_read_[index].gate_up});
  const ActivationRows adapted = context_->Adapt(worker, input, visits, [&](std::int64_t i) {
    const Expert& expert = ExpertOf(index, visits_[static_cast<std::size_t>(i)].expert);
    return std::array{&expert.gate, &expert.up};
  });
  const std::int64_t chunks = context_->Chunks(std::min<std::int64_t>(visits, config.expert_count) * width);
  const std::int64_t granules = DivideUp(width, kRowGranule);
  worker.ForEach(chunks, [&](std::int64_t chunk) {
    const std::int64_t total = (visits + std::ssize(groups_) * kUnpackCost) * granules;
    const Range share = {total * chunk / chunks, total * (chunk + 1) / chunks};
    std::int64_t before = 0;  // cost of the groups so far
    for (const Group& group : groups_) {
      const std::int64_t cost = group.count + kUnpackCost;  // of a granule of weight rows
      // The first weight row whose cost begins at or after `at`.
      const auto row = [&](std::int64_t at) {
        return std::min(DivideUp(std::max<std::int64_t>(at - before, 0), cost) * kRowGranule, width);
      };
      const Range range = {row(share.begin), row(share.end)};
      const Expert& expert = ExpertOf(index, group.expert);
      context_->GatedMatMul(worker, expert.gate, expert.up, adapted.From(group.first), range, group.count,
                            {activated_.Row(group.first) + range.begin, activated_.stride()});
      before += cost * granules;
    }
  });
  ForEachRow(worker, visits, [&](std::int64_t visit) { activated_.Quantize(context_->kernels, visit, width); });
}

// Every chunk takes the same weight rows of all groups, so that chunks cost the same and a row's experts are added up
// in ascending order by one worker.
void MixtureOfExperts::Down(Worker& worker, std::size_t index, float* out) {
  const std::int64_t d = context_->config.embedding_length;
  const std::int64_t width = context_->config.layers[index].expert_feed_forward_length;
  ProfileScope scope = context_->Measure(worker, Operation::kExpertsDown, index);
  scope.AddCost({static_cast<double>(Visits() * d * width), bytes_read_[index].down});
  const ActivationRows adapted = context_->Adapt(worker, activated_.rows(), Visits(), [&](std::int64_t i) {
    return std::array{&ExpertOf(index, visits_[static_cast<std::size_t>(i)].expert).down};
  });
  worker.ForEach(context_->Chunks(d), [&](std::int64_t chunk) {
    const Range range = context_->ChunkRange(d, chunk);
    for (std::int64_t row = 0; row < context_->rows; ++row)
      std::fill(out + row * d + range.begin, out + row * d + range.end, 0.0f);
    for (const Group& group : groups_) DownOfGroup(worker, index, group, adapted, range, out);
  });
}

void MixtureOfExperts::DownOfGroup(const Worker& worker, std::size_t index, const Group& group,
                                   const ActivationRows& input, Range range, float* out) {
  const Matrix& down = ExpertOf(index, group.expert).down;
  const ActivationRows activated = input.From(group.first);
  context_->ForEachPiece(worker, range, group.count, [&](Range piece, float* tile) {
    const std::int64_t rows = piece.end - piece.begin;
    context_->MatMul(worker, down, {}, activated, piece, group.count, {tile, rows});
    for (std::int64_t i = 0; i < group.count; ++i) {
      const Visit& visit = visits_[static_cast<std::size_t>(group.first + i)];
      context_->kernels.scale(tile + i * rows, visit.weight, rows);
      context_->kernels.add(out + visit.row * down.rows + piece.begin, tile + i * rows, rows);
    }
  });
}

}  // namespace slm
