// The adapters that rows are computed with.

#ifndef SLM_FORWARD_ADAPTER_SET_H_
#define SLM_FORWARD_ADAPTER_SET_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels.h"
#include "model/adapter_impl.h"
#include "model/weights.h"
#include "slm/adapter.h"

namespace slm {

// Immutable. A row's product with a matrix W takes two steps: what the adapters' A make of the row goes to the row's
// narrow values, and these times B are added to rows of W x as they are computed.
class AdapterSet {
 public:
  // Those with a weight of 0 are left out.
  AdapterSet(std::span<const WeightedAdapter> adapters, const Weights& weights);

  bool operator==(const AdapterSet& other) const;
  // Of the adapters' files and weights; 0 if there are none.
  std::uint64_t Fingerprint() const;
  std::int64_t narrow_width() const { return narrow_width_; }  // floats of a row
  std::span<const WeightedAdapter> adapters() const { return adapters_; }

  // A share of A x for one row x: part 0 of 1 is all of it. `scratch` as in MatMulTask.
  struct Share {
    std::int64_t part = 0;
    std::int64_t of = 1;
  };
  void Narrow(const KernelSet& kernels, const Matrix& matrix, const float* x, Share share, float* narrow,
              std::byte* scratch) const;
  // Adds B times that to rows first..first + count - 1 of W x, the first a multiple of kRowGranule.
  void Add(const KernelSet& kernels, const Matrix& matrix, const float* narrow, std::int64_t first, std::int64_t count,
           float* product) const;
  // Adds what the embedding of a token has besides. `factors` has room for narrow_width().
  void AddEmbedding(const KernelSet& kernels, std::int64_t token, std::int64_t width, float* factors,
                    float* embedding) const;

 private:
  struct Part {
    const LowRank* low;
    float weight;
    std::int64_t offset;  // of its rank numbers among the narrow ones
  };
  std::int64_t Width(const Matrix& matrix) const;
  // Matrices that read the same row have their narrow numbers side by side.
  void Place(std::span<const Matrix* const> matrices);

  std::vector<WeightedAdapter> adapters_;
  std::unordered_map<const std::byte*, std::vector<Part>> parts_;  // by where W lies
  std::int64_t narrow_width_ = 0;
};

}  // namespace slm

#endif  // SLM_FORWARD_ADAPTER_SET_H_
