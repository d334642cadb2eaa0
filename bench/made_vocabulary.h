// Made-up vocabularies of real sizes, so that loading a model and choosing among its tokens cost what they really do.

#ifndef SLM_BENCH_MADE_VOCABULARY_H_
#define SLM_BENCH_MADE_VOCABULARY_H_

#include <cstdint>

#include "file/gguf_writer.h"
#include "model_shapes.h"

namespace slm::bench {

// Adds tokenizer.ggml.* for a vocabulary of `size` tokens. Special tokens, bytes and their ids are the real models';
// the other pieces are random letters, joined as byte-pair encoding joins them: each from two earlier ones.
void AddVocabulary(VocabularyKind kind, std::int32_t size, std::uint64_t seed, GgufMetadata& file);

}  // namespace slm::bench

#endif  // SLM_BENCH_MADE_VOCABULARY_H_
