#include "forward/experts.h"

#include <algorithm>
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

MixtureOfExperts::MixtureOfExperts(const ModelConfig& config, const KernelSet& kernels, const Options& options)
    : config_(&config), kernels_(&kernels), options_(options) {
  for (const LayerConfig& layer : config.layers)
    width_ = std::max(width_, std::int64_t{layer.expert_feed_forward_length});
}

bool MixtureOfExperts::Allocate(std::span<const LayerWeights> layers, WorkingMemory& memory) {
  if (width_ == 0) return true;
  const std::int64_t d = config_->embedding_length;
  const std::int64_t visits = options_.max_rows * config_->expert_used_count;
  const std::int64_t gathered = options_.max_rows > 1 ? visits : 0;
  bool values = false, blocks = false, down_blocks = false;  // what the experts' formats multiply
  bool beside_dense = false;
  for (const LayerWeights& layer : layers) {
    beside_dense |= !layer.ffn_experts.input_norm.empty();
    for (const Expert& expert : layer.ffn_experts.experts) {
      for (const Matrix* matrix : {&expert.gate, &expert.up})
        (matrix->format->activation == Activation::kFloat ? values : blocks) = true;
      down_blocks |= expert.down.format->activation == Activation::kInt8;
    }
  }
  const auto count = [](bool wanted, std::int64_t rows, std::int64_t width) {
    return wanted ? static_cast<std::size_t>(rows * width) : 0;
  };
  groups_.reserve(static_cast<std::size_t>(config_->expert_count));
  next_visit_.resize(static_cast<std::size_t>(config_->expert_count));
  bytes_read_.resize(layers.size());
  scratch_bytes_ = (MatMulScratchBytes(std::max(d, width_)) + 63) / 64 * 64;
  tile_floats_ = static_cast<std::size_t>(std::max(options_.max_rows * kRowGranule, kMaxChunkRows));
  const auto threads = static_cast<std::size_t>(options_.threads);
  return memory.Allocate(choices_, count(true, visits, 1)) && memory.Allocate(visits_, count(true, visits, 1)) &&
         memory.Allocate(scores_, count(true, options_.max_rows, config_->expert_count)) &&
         memory.Allocate(gathered_values_, count(values, gathered, d)) &&
         memory.Allocate(gathered_blocks_, count(blocks, gathered, d / kActivationBlock)) &&
         memory.Allocate(activated_values_, count(true, visits, width_)) &&
         memory.Allocate(activated_blocks_, count(down_blocks, visits, width_ / kActivationBlock)) &&
         memory.Allocate(router_input_, count(beside_dense, options_.max_rows, d)) &&
         memory.Allocate(input_values_, count(beside_dense, options_.max_rows, d)) &&
         memory.Allocate(input_blocks_, count(beside_dense && blocks, options_.max_rows, d / kActivationBlock)) &&
         memory.Allocate(out_, count(beside_dense, options_.max_rows, d)) &&
         memory.Allocate(tiles_, 2 * tile_floats_ * threads) && memory.Allocate(scratch_, scratch_bytes_ * threads);
}

void MixtureOfExperts::Run(Worker& worker, std::size_t layer, const ExpertWeights& weights, const ActivationRows& input,
                           std::int64_t rows, int threads, float* out) {
  Step step = {worker, weights, rows, threads, input, input};
  if (step.beside_dense()) {
    const std::int64_t d = config_->embedding_length;
    step.router_input = {router_input_.data(), d, nullptr, 0};
    step.input = {input_values_.data(), d, input_blocks_.data(), d / kActivationBlock};
  }
  Route(step, layer, input.values);
  GateAndUp(step, layer);
  Down(step, layer, out);
}

void MixtureOfExperts::NormInputs(const Step& step, const float* stream) {
  const std::int64_t d = config_->embedding_length, blocks = d / kActivationBlock;
  ForEachRow(step.worker, step.rows, [&](std::int64_t row) {
    const float* x = stream + row * d;
    float* input = input_values_.data() + row * d;
    kernels_->rms_norm(x, step.weights.router_norm.data(), d, config_->norm_epsilon, router_input_.data() + row * d);
    kernels_->rms_norm(x, step.weights.input_norm.data(), d, config_->norm_epsilon, input);
    if (input_blocks_.size() > 0) kernels_->quantize(input, d, input_blocks_.data() + row * blocks);
  });
}

void MixtureOfExperts::JoinDense(const Step& step, float* dense) {
  const std::int64_t d = config_->embedding_length;
  ForEachRow(step.worker, step.rows, [&](std::int64_t row) {
    float* y = dense + row * d;
    float* experts = out_.data() + row * d;
    kernels_->rms_norm(y, step.weights.dense_post_norm.data(), d, config_->norm_epsilon, y);
    kernels_->rms_norm(experts, step.weights.post_norm.data(), d, config_->norm_epsilon, experts);
    kernels_->add(y, experts, d);
  });
}

void MixtureOfExperts::Route(const Step& step, std::size_t layer, const float* input) {
  const Matrix& router = step.weights.router;
  ProfileScope scope = Measure(step.worker, Operation::kRouter, layer);
  scope.AddCost(CostOf(router, step.rows));
  if (step.beside_dense()) NormInputs(step, input);
  const std::int64_t experts = router.rows, used = config_->expert_used_count;
  const std::int64_t parts = DivideUp(experts, kRowGranule);
  step.worker.ForEach(DivideUp(step.rows, kActivationRows) * parts, [&](std::int64_t chunk) {
    const std::int64_t first = chunk / parts * kActivationRows, begin = chunk % parts * kRowGranule;
    Multiply(*kernels_, router, step.router_input.From(first), {begin, std::min(begin + kRowGranule, experts)},
             std::min(kActivationRows, step.rows - first), {scores_.data() + first * experts + begin, experts},
             Scratch(step.worker));
  });
  ForEachRow(step.worker, step.rows, [&](std::int64_t row) {
    ChooseExperts({scores_.data() + row * experts, static_cast<std::size_t>(experts)},
                  std::span(choices_).subspan(static_cast<std::size_t>(row * used), static_cast<std::size_t>(used)));
    if (step.rows == 1) GroupRows(step, layer);
  });
  if (step.rows == 1) return;
  step.worker.ForEach(1, [&](std::int64_t) { GroupRows(step, layer); });
  ForEachRow(step.worker, step.rows * used, [&](std::int64_t visit) { Gather(step, visit); });
}

// A counting sort: within a group rows ascend.
void MixtureOfExperts::GroupRows(const Step& step, std::size_t layer) {
  const std::span choices = std::span(choices_).first(static_cast<std::size_t>(step.rows) *
                                                      static_cast<std::size_t>(config_->expert_used_count));
  std::ranges::fill(next_visit_, 0);
  for (const Choice& choice : choices) ++next_visit_[static_cast<std::size_t>(choice.expert)];
  groups_.clear();
  BytesRead& read = bytes_read_[layer] = {};
  std::int64_t first = 0;
  for (std::size_t expert = 0; expert < next_visit_.size(); ++expert) {
    const std::int64_t count = std::exchange(next_visit_[expert], first);
    if (count == 0) continue;
    groups_.push_back({static_cast<std::int32_t>(expert), first, count});
    first += count;
    const Expert& weights = step.weights.experts[expert];
    read.gate_up += static_cast<double>(weights.gate.bytes() + weights.up.bytes());
    read.down += static_cast<double>(weights.down.bytes());
  }
  const auto used = static_cast<std::size_t>(config_->expert_used_count);
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const auto expert = static_cast<std::size_t>(choices[i].expert);
    visits_[static_cast<std::size_t>(next_visit_[expert]++)] = {static_cast<std::int32_t>(i / used),
                                                                choices[i].weight * step.weights.experts[expert].scale};
  }
}

void MixtureOfExperts::Gather(const Step& step, std::int64_t visit) {
  const std::int64_t d = config_->embedding_length, blocks = d / kActivationBlock;
  const ActivationRows row = step.input.From(visits_[static_cast<std::size_t>(visit)].row);
  if (gathered_values_.size() > 0) std::copy_n(row.values, d, gathered_values_.data() + visit * d);
  if (gathered_blocks_.size() > 0) std::copy_n(row.blocks, blocks, gathered_blocks_.data() + visit * blocks);
}

// The weight rows of all groups, one after the other, are cut into chunks that cost the same, however many tokens each
// group has. How many chunks depends on numbers alone that are the same for the whole run: a worker may be late and
// come here when the groups are already the next layer's.
void MixtureOfExperts::GateAndUp(const Step& step, std::size_t layer) {
  const std::int64_t d = config_->embedding_length;
  const std::int64_t width = config_->layers[layer].expert_feed_forward_length;
  const std::int64_t visits = step.rows * config_->expert_used_count;
  ProfileScope scope = Measure(step.worker, Operation::kExpertsGateUp, layer);
  scope.AddCost({2.0 * static_cast<double>(visits * width * d), bytes_read_[layer].gate_up});
  // A single row is the input of all of its experts.
  const ActivationRows input =
      step.rows == 1 ? ActivationRows{step.input.values, 0, step.input.blocks, 0}
                     : ActivationRows{gathered_values_.data(), d, gathered_blocks_.data(), d / kActivationBlock};
  const std::int64_t most_rows = std::min<std::int64_t>(visits, config_->expert_count) * width;
  const std::int64_t chunks = DivideUp(most_rows, ChunkRows(most_rows, step.rows, step.threads));
  const std::int64_t granules = DivideUp(width, kRowGranule);
  step.worker.ForEach(chunks, [&](std::int64_t chunk) {
    const std::int64_t total = (visits + std::ssize(groups_) * kUnpackCost) * granules;
    const Range share = {total * chunk / chunks, total * (chunk + 1) / chunks};
    std::int64_t before = 0;  // cost of the groups so far
    for (const Group& group : groups_) {
      const std::int64_t cost = group.count + kUnpackCost;  // of a granule of weight rows
      // The first weight row whose cost begins at or after `at`.
      const auto row = [&](std::int64_t at) {
        return std::min(DivideUp(std::max<std::int64_t>(at - before, 0), cost) * kRowGranule, width);
      };
      GateAndUpOfGroup(step, input, group, {row(share.begin), row(share.end)});
      before += cost * granules;
    }
  });
  if (activated_blocks_.size() == 0 || width % kActivationBlock != 0) return;
  ForEachRow(step.worker, visits, [&](std::int64_t visit) {
    kernels_->quantize(activated_values_.data() + visit * width, width,
                       activated_blocks_.data() + visit * (width / kActivationBlock));
  });
}

void MixtureOfExperts::GateAndUpOfGroup(const Step& step, const ActivationRows& input, const Group& group,
                                        Range range) {
  const Expert& expert = step.weights.experts[static_cast<std::size_t>(group.expert)];
  const std::int64_t width = expert.gate.rows;
  const auto activate =
      config_->architecture->activation == FfnActivation::kSilu ? kernels_->silu_mul : kernels_->gelu_mul;
  float* gate = Tile(step.worker, 0);
  float* up = Tile(step.worker, 1);
  const std::int64_t tile = TileRows(group.count);
  for (std::int64_t begin = range.begin; begin < range.end; begin += tile) {
    const Range piece = {begin, std::min(begin + tile, range.end)};
    const std::int64_t rows = piece.end - piece.begin;
    const ActivationRows x = input.From(group.first);
    Multiply(*kernels_, expert.gate, x, piece, group.count, {gate, rows}, Scratch(step.worker));
    Multiply(*kernels_, expert.up, x, piece, group.count, {up, rows}, Scratch(step.worker));
    for (std::int64_t i = 0; i < group.count; ++i)
      activate(gate + i * rows, up + i * rows, rows, activated_values_.data() + (group.first + i) * width + begin);
  }
}

// Every chunk takes the same weight rows of all groups, so that chunks cost the same and a row's experts are added up
// in ascending order by one worker.
void MixtureOfExperts::Down(const Step& step, std::size_t layer, float* out) {
  const std::int64_t d = config_->embedding_length;
  const std::int64_t visits = step.rows * config_->expert_used_count;
  ProfileScope scope = Measure(step.worker, Operation::kExpertsDown, layer);
  scope.AddCost(
      {static_cast<double>(visits * d) * config_->layers[layer].expert_feed_forward_length, bytes_read_[layer].down});
  float* sum = step.beside_dense() ? out_.data() : out;
  const std::int64_t size = ChunkRows(d, step.rows, step.threads);
  step.worker.ForEach(DivideUp(d, size), [&](std::int64_t chunk) {
    const Range range = {chunk * size, std::min(d, (chunk + 1) * size)};
    for (std::int64_t row = 0; row < step.rows; ++row)
      std::fill(sum + row * d + range.begin, sum + row * d + range.end, 0.0f);
    for (const Group& group : groups_) DownOfGroup(step, group, range, sum);
  });
  if (step.beside_dense()) JoinDense(step, out);
}

void MixtureOfExperts::DownOfGroup(const Step& step, const Group& group, Range range, float* out) {
  const Matrix& down = step.weights.experts[static_cast<std::size_t>(group.expert)].down;
  const std::int64_t width = down.columns;
  const ActivationRows activated = {activated_values_.data(), width, activated_blocks_.data(),
                                    width / kActivationBlock};
  float* tile = Tile(step.worker, 0);
  const std::int64_t tile_rows = TileRows(group.count);
  for (std::int64_t begin = range.begin; begin < range.end; begin += tile_rows) {
    const Range piece = {begin, std::min(begin + tile_rows, range.end)};
    const std::int64_t rows = piece.end - piece.begin;
    Multiply(*kernels_, down, activated.From(group.first), piece, group.count, {tile, rows}, Scratch(step.worker));
    for (std::int64_t i = 0; i < group.count; ++i) {
      const Visit& visit = visits_[static_cast<std::size_t>(group.first + i)];
      kernels_->scale(tile + i * rows, visit.weight, rows);
      kernels_->add(out + visit.row * down.rows + begin, tile + i * rows, rows);
    }
  }
}

ProfileScope MixtureOfExperts::Measure(const Worker& worker, Operation operation, std::size_t layer) const {
  return ProfileScope(worker.rank() == 0 ? options_.profiler : nullptr, operation, layer);
}

std::int64_t MixtureOfExperts::TileRows(std::int64_t tokens) const {
  return static_cast<std::int64_t>(tile_floats_) / tokens / kRowGranule * kRowGranule;
}

float* MixtureOfExperts::Tile(const Worker& worker, int which) {
  return tiles_.data() + tile_floats_ * static_cast<std::size_t>(2 * worker.rank() + which);
}

std::byte* MixtureOfExperts::Scratch(const Worker& worker) {
  return scratch_.data() + scratch_bytes_ * static_cast<std::size_t>(worker.rank());
}

}  // namespace slm
