// An independent opinion on what a model computes: a transformer in double precision, written for clarity from the
// published formulas of each architecture. It shares no code with the engine's own reading of a model (only the GGUF
// container, which has tests of its own), has no cache, no batches and no tables of architectures: the whole text goes
// through at once, in matrices of a row for each token.
//
//   const GgufFile file = GgufFile::Parse(bytes, "model.gguf").value();
//   const oracle::Matrix logits = oracle::Logits(file, tokens, {.context_length = 64});   // [tokens, vocabulary]

#ifndef SLM_TESTS_SUPPORT_ORACLE_H_
#define SLM_TESTS_SUPPORT_ORACLE_H_

#include <cstdint>
#include <span>

#include "file/gguf.h"
#include "slm/tokenizer.h"
#include "support/oracle_parts.h"

namespace slm::test::oracle {

struct Options {
  // Tokens the session is created for: what chooses between the two tables of a longrope model.
  std::int32_t context_length = 0;
};

// The logits after every token. All tensors must be F32. Throws std::runtime_error for an architecture that the oracle
// does not know, or a key or tensor that is missing.
Matrix Logits(const GgufFile& file, std::span<const Token> tokens, const Options& options);

}  // namespace slm::test::oracle

#endif  // SLM_TESTS_SUPPORT_ORACLE_H_
