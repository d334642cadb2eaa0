// Times of the operations of a forward pass.

#ifndef SLM_FORWARD_PROFILER_H_
#define SLM_FORWARD_PROFILER_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "slm/profile.h"

namespace slm {

// In the order of the forward pass.
enum class Operation : std::uint8_t {
  kEmbed,          // embedding rows, rotation angles, first norm
  kQkv,            // products: queries, keys, values
  kRopeStore,      // norms of heads, RoPE, keys and values into the cache
  kAttention,      // and its output as activations
  kAttnOutput,     // product
  kAttnAddNorm,    // norm of the output, residual, norm of the feed-forward's input
  kSparseGate,     // product, and what remains of it; where a layer's gate is sparse
  kGateUp,         // products, and the activation function
  kDown,           // product
  kRouter,         // product with the router, choice of experts, rows grouped by expert
  kExpertsGateUp,  // as kGateUp, of the chosen experts
  kExpertsDown,    // products, and the weighted sum of the experts
  kFfnAddNorm,     // as kAttnAddNorm, for the next layer
  kLayerInput,     // the layer's own input of each token, where it has one: products, residual, norm
  kLaurel,         // products of a low-rank path beside attention, and what joins the two
  kOutputHead,     // norm, product with the vocabulary
};

inline constexpr std::array<std::string_view, 16> kOperationNames = {
    "embed",           "attn_qkv",    "rope_store", "attention",  "attn_output",     "attn_add_norm",
    "ffn_sparse_gate", "ffn_gate_up", "ffn_down",   "ffn_router", "experts_gate_up", "experts_down",
    "ffn_add_norm",    "layer_input", "laurel",     "output_head"};

// What an operation computes and reads.
struct Cost {
  double multiply_adds = 0;
  double bytes = 0;

  Cost& operator+=(const Cost& other) {
    multiply_adds += other.multiply_adds;
    bytes += other.bytes;
    return *this;
  }
};

// Only the first worker of a team may use it while the team runs.
class Profiler {
 public:
  explicit Profiler(std::size_t layers) : entries_((layers + 1) * kOperationNames.size()) {}

  // layer: kNoLayer for what belongs to none.
  static constexpr std::size_t kNoLayer = ~std::size_t{0};
  void Add(Operation operation, std::size_t layer, double seconds, const Cost& cost);

  std::vector<ProfileEntry> Entries() const;
  void Clear() { entries_.assign(entries_.size(), {}); }

 private:
  std::vector<ProfileEntry> entries_;  // [layers + 1][operations]; the last row is kNoLayer's
};

// Charges the time from its making to its end to an operation; nothing if there is no profiler.
class ProfileScope {
 public:
  ProfileScope(Profiler* profiler, Operation operation, std::size_t layer)
      : profiler_(profiler), operation_(operation), layer_(layer) {
    if (profiler_ != nullptr) start_ = Clock::now();
  }
  ~ProfileScope() {
    if (profiler_ == nullptr) return;
    profiler_->Add(operation_, layer_, std::chrono::duration<double>(Clock::now() - start_).count(), cost_);
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

  bool active() const { return profiler_ != nullptr; }
  void AddCost(const Cost& cost) { cost_ += cost; }

 private:
  using Clock = std::chrono::steady_clock;
  Profiler* profiler_;
  Operation operation_;
  std::size_t layer_;
  Clock::time_point start_;
  Cost cost_;
};

}  // namespace slm

#endif  // SLM_FORWARD_PROFILER_H_
