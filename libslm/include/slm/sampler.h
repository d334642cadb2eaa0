// Choosing the next token from logits: the common chain, with the field's names and defaults (those of llama.cpp).
//
//   slm::Sampler sampler({.temperature = 0.7f, .seed = 42});
//   slm::Result<slm::Token> next = sampler.Sample(*logits);
//   sampler.Accept(*next);
//
// Order of the steps, each of which looks at what those before it left:
//
//   logit bias -> repetition, frequency and presence penalty -> DRY ->
//   top-n-sigma -> top-k -> typical -> top-p -> min-p -> XTC -> temperature -> draw
//
// The truncating steps thus look at the probabilities before temperature, and each keeps at least one token. Mirostat
// takes the place of all of them:
//
//   logit bias -> penalties -> DRY -> temperature -> mirostat -> draw
//
// Temperature 0 means the most likely token after bias, penalties and DRY (the lowest id among equals), whatever the
// seed and all other options; XTC takes nothing away then. A step with its off value changes nothing, to the last bit.
//
// Thread-safety: a Sampler must not be used from two threads at once. The same seed, tokens and logits give the same
// choices on every machine.

#ifndef SLM_SAMPLER_H_
#define SLM_SAMPLER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

struct LogitBias {
  Token token = 0;
  float bias = 0;  // added to the logit; -infinity: never chosen
};

// Temperature and truncation first, then what makes repetition less likely.
struct SamplerOptions {
  float temperature = 0.8f;  // logits are divided by it; 0: greedy
  // Above 0: the temperature goes from temperature - range (0 at least) where one token is certain to temperature +
  // range where all that are left are equal; in between as (entropy / its maximum)^exponent.
  float dynatemp_range = 0.0f;
  float dynatemp_exponent = 1.0f;

  std::int32_t top_k = 40;    // keep the k most likely; 0: all
  float top_p = 0.95f;        // keep the smallest set of the most likely whose probability reaches this; 1: all
  float min_p = 0.05f;        // keep what is at least this times as likely as the best; 0: all
  float typical_p = 1.0f;     // keep the smallest set of the least unusual (surprise nearest to the entropy) whose
                              // probability is above this; 1: all
  float top_n_sigma = -1.0f;  // keep logits at most this many standard deviations (of all logits) below the best;
                              // negative: all
  // XTC ("exclude top choices"), with this probability: of the tokens at least as likely as the threshold, keep only
  // the least likely one, and all that are below. A threshold above 0.5, which two tokens can't reach, removes nothing.
  float xtc_probability = 0.0f;  // 0: off
  float xtc_threshold = 0.1f;

  // Mirostat, version 2: keep what is less surprising than a bound that is moved, after each draw, until the mean
  // surprise of the text is tau bits.
  std::int32_t mirostat = 0;  // 0: off; 2: on
  float mirostat_tau = 5.0f;
  float mirostat_eta = 0.1f;  // how fast the bound moves, 0 to 1

  // Penalties on the tokens among the last repeat_last_n, the prompt's included, but not on those that end a turn.
  float repeat_penalty = 1.0f;      // divides positive, multiplies negative logits; 1: off
  float frequency_penalty = 0.0f;   // subtracted for each time the token occurs; 0: off
  float presence_penalty = 0.0f;    // subtracted once; 0: off
  std::int32_t repeat_last_n = 64;  // 0: none; -1: all tokens

  // DRY ("don't repeat yourself"): what would continue a repetition of `length` tokens among the last
  // dry_penalty_last_n loses multiplier * base^(length - dry_allowed_length) if length >= dry_allowed_length.
  float dry_multiplier = 0.0f;  // 0: off
  float dry_base = 1.75f;       // 1 or more
  std::int32_t dry_allowed_length = 2;
  std::int32_t dry_penalty_last_n = 64;  // 0: none; -1: all tokens
  // No repetition is counted across a token with which one of these strings ends, however the string is cut into
  // tokens, and tokens that contain one whole are never penalized. Control tokens count with the text they are stored
  // with.
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};

  std::vector<LogitBias> logit_bias = {};  // entries for the same token add up

  std::uint64_t seed = 0;  // of the generator that draws; any value
};

class Sampler {
 public:
  // `tokenizer` is that of the model, and must outlive the sampler. DRY with breakers needs it, and repetition,
  // frequency and presence penalties spare the tokens that end a turn.
  explicit Sampler(const SamplerOptions& options = {}, const Tokenizer* tokenizer = nullptr);
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;

  // kInvalidArgument if an option is outside its range; says which.
  static Status Validate(const SamplerOptions& options);

  // logits: [vocab_size], not changed. kInvalidNumber if a logit is NaN or +infinity or all are -infinity or banned;
  // kInvalidArgument if the options are not valid, need a tokenizer that was not given, or have a bias for a token
  // beyond the logits.
  Result<Token> Sample(std::span<const float> logits);

  // Tells the sampler that a token (of the prompt, or sampled) is now part of the text.
  void Accept(Token token);
  // Replaces all tokens accepted so far. Generator and mirostat go on where they were.
  void SetHistory(std::span<const Token> tokens);
  // Starts another random sequence, as a new request does: generator and mirostat's bound begin anew, the accepted
  // tokens stay. Then options().seed == seed.
  void Reseed(std::uint64_t seed);

  const SamplerOptions& options() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slm

#endif  // SLM_SAMPLER_H_
