// A GGUF file's bytes as a vocabulary: loading, encoding, decoding, and the template of its family.

#include "fuzz/fuzz_models.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/gguf_mutator.h"
#include "slm/chat_template.h"
#include "slm/tokenizer.h"

namespace slm::test {

std::vector<std::string> Seeds() { return SmallVocabularies(); }

void Fuzz(std::string_view input) {
  const auto file = ModelFile::FromMemory(std::as_bytes(std::span(input)), "input");
  if (!file.ok()) return;
  const auto tokenizer = Tokenizer::Open(*file);
  if (!tokenizer.ok()) return;
  UseTokenizer(*tokenizer);
  const auto chat_template = ChatTemplate::ForModel(*file, *tokenizer);
  if (!chat_template.ok()) return;
  const auto prompt = chat_template->Render(R"({"messages": [{"role": "user", "content": "Hi <s>"}]})");
  if (prompt.ok()) static_cast<void>(EncodePrompt(*tokenizer, *prompt));
}

}  // namespace slm::test

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t capacity,
                                               unsigned seed) {
  return slm::test::MutateGguf(data, size, capacity, seed);
}
