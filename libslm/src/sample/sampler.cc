#include "slm/sampler.h"

#include <cstdint>
#include <memory>
#include <span>

#include "base/status_macros.h"
#include "sample/sampler_chain.h"

namespace slm {

struct Sampler::State {
  State(const SamplerOptions& options, const Tokenizer* tokenizer) : chain(options, tokenizer) {}

  SamplerChain chain;
};

Sampler::Sampler(const SamplerOptions& options, const Tokenizer* tokenizer)
    : state_(std::make_unique<State>(options, tokenizer)) {}
Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

Status Sampler::Validate(const SamplerOptions& options) try { return ValidateSamplerOptions(options); }
SLM_CATCH_OUT_OF_MEMORY

Result<Token> Sampler::Sample(std::span<const float> logits) try {
  SLM_RETURN_IF_ERROR(state_->chain.Distribute(logits));
  return state_->chain.Draw();
}
SLM_CATCH_OUT_OF_MEMORY

void Sampler::Accept(Token token) { state_->chain.Accept(token); }

void Sampler::SetHistory(std::span<const Token> tokens) {
  state_->chain.ClearHistory();
  for (const Token token : tokens) state_->chain.Accept(token);
}

void Sampler::Reseed(std::uint64_t seed) { state_->chain.Reseed(seed); }

const SamplerOptions& Sampler::options() const { return state_->chain.options(); }

}  // namespace slm
