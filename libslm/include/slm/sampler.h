// Choosing the next token from logits.
//
// Order: repetition penalty -> top-k -> top-p -> min-p -> temperature -> draw. The truncating steps look at the
// probabilities before temperature. Temperature 0 means the most likely token (the lowest id among equals), whatever
// the seed. Names and defaults are those the field uses (llama.cpp's common chain).
//
//   slm::Sampler sampler({.temperature = 0.7f, .seed = 42});
//   slm::Result<slm::Token> next = sampler.Sample(*logits);
//   sampler.Accept(*next);
//
// Thread-safety: a Sampler must not be used from two threads at once. The same seed and logits give the same tokens on
// every machine whose kernels give the same logits.

#ifndef SLM_SAMPLER_H_
#define SLM_SAMPLER_H_

#include <cstdint>
#include <memory>
#include <span>

#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

struct SamplerOptions {
  float temperature = 0.8f;         // 0: greedy
  std::int32_t top_k = 40;          // keep the k most likely; 0: all
  float top_p = 0.95f;              // keep the smallest set whose probability reaches this; 1: all
  float min_p = 0.05f;              // keep what is at least this times as likely as the best; 0: all
  float repeat_penalty = 1.0f;      // divides positive, multiplies negative logits of recent tokens; 1: off
  std::int32_t repeat_last_n = 64;  // how many recent tokens that looks at, the prompt's included
  std::uint64_t seed = 0;           // of the generator that draws; any value
};

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options = {});
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;

  // kInvalidArgument if an option is outside its range; says which.
  static Status Validate(const SamplerOptions& options);

  // logits: [vocab_size], not changed. kInvalidNumber if a logit is NaN or +infinity or all are -infinity, and
  // kInvalidArgument if the options are not valid.
  Result<Token> Sample(std::span<const float> logits);

  // Tells the sampler that a token (of the prompt, or sampled) is now part of the text.
  void Accept(Token token);
  // Replaces all tokens accepted so far. The generator goes on where it was.
  void SetHistory(std::span<const Token> tokens);

  const SamplerOptions& options() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slm

#endif  // SLM_SAMPLER_H_
