// Models small enough to fuzz.

#ifndef SLM_TESTS_FUZZ_FUZZ_MODELS_H_
#define SLM_TESTS_FUZZ_FUZZ_MODELS_H_

#include <string>
#include <string_view>
#include <vector>

#include "slm/model.h"

namespace slm::test {

// The bytes of a model of this architecture, with two layers and a few kilobytes of weights.
std::string SmallModel(std::string_view architecture);
// One of each row of the architecture table.
std::vector<std::string> SmallModels();

// The vocabularies of tests/data/tokenizers, whole files; and models that have them, a token for each.
std::vector<std::string> SmallVocabularies();

// Reads three tokens and goes back, and asks a file and its tokenizer everything. What fails must do so with a Status.
void UseModel(const Model& model);
void UseFile(const ModelFile& file);
void UseTokenizer(const Tokenizer& tokenizer);

}  // namespace slm::test

#endif  // SLM_TESTS_FUZZ_FUZZ_MODELS_H_
