// A GGUF file's bytes, from opening to three tokens on every kernel set of this machine.

#include "dispatch.h"
#include "fuzz/fuzz_models.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/gguf_mutator.h"

namespace slm::test {

std::vector<std::string> Seeds() { return SmallModels(); }

void Fuzz(std::string_view input) {
  const auto file = ModelFile::FromMemory(std::as_bytes(std::span(input)), "input");
  if (!file.ok()) return;
  UseFile(*file);
  for (const KernelSet* set : AllKernelSets()) {
    if (!CanRun(*set)) continue;
    const auto model = Model::Open(*file, {.log = [](LogLevel, std::string_view) {}, .kernels = set->name});
    if (!model.ok()) return;
    UseModel(*model);
  }
}

}  // namespace slm::test

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t capacity,
                                               unsigned seed) {
  return slm::test::MutateGguf(data, size, capacity, seed);
}
