// The architectures of the oracle, a function for each family. Step by step as their reference implementations.

#ifndef SLM_TESTS_SUPPORT_ORACLE_FAMILIES_H_
#define SLM_TESTS_SUPPORT_ORACLE_FAMILIES_H_

#include <span>

#include "slm/tokenizer.h"
#include "support/oracle_file.h"

namespace slm::test::oracle {

// llama (with experts: Mixtral), mistral3, smollm3, qwen2, qwen3, qwen3moe, phi3, granite.
Matrix LlamaLogits(const OracleFile& file, std::span<const Token> tokens, Index context_length);
// gemma, gemma2, gemma3.
Matrix GemmaLogits(const OracleFile& file, std::span<const Token> tokens, Index context_length);
Matrix Gemma3nLogits(const OracleFile& file, std::span<const Token> tokens);
Matrix Gemma4Logits(const OracleFile& file, std::span<const Token> tokens);

}  // namespace slm::test::oracle

#endif  // SLM_TESTS_SUPPORT_ORACLE_FAMILIES_H_
