// Random weights in the formats of GGUF files, made block by block.

#ifndef SLM_BENCH_RANDOM_WEIGHTS_H_
#define SLM_BENCH_RANDOM_WEIGHTS_H_

#include <array>
#include <cstddef>
#include <span>

#include "formats.h"
#include "random.h"

namespace slm::bench {

// Weights of mean 0 and this standard deviation: random codes under scales that differ from block to block by up to a
// quarter, so that no two parts of a tensor are alike. Only values that a quantizer also writes: finite scales, and no
// -128 in Q8_0.
class RandomWeights {
 public:
  // Formats: F32 and those of the mixtures, Q4_0 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K.
  RandomWeights(Format format, float deviation);

  // Whole blocks.
  void Fill(Random& random, std::span<std::byte> blocks) const;

 private:
  Format format_;
  float deviation_;
  std::array<Half, 256> scales_;    // of a block, chosen by a random byte
  std::array<Half, 256> minimums_;  // that go with them
};

}  // namespace slm::bench

#endif  // SLM_BENCH_RANDOM_WEIGHTS_H_
