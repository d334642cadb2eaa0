// Damages a model of each architecture in tests/data/models, a byte or its end at a time, and uses what is left of it
// for three tokens on each kernel set of this machine.
//
// usage: damage_models [CHANGES TRUNCATIONS [SEED]]

#include <sanitizer/common_interface_defs.h>

#include <algorithm>
#include <map>
#include <random>

#include "dispatch.h"
#include "fuzz/fuzz_models.h"
#include "fuzz/fuzz_target.h"
#include "support/test_data.h"

namespace slm::test {
namespace {

std::string current;  // what is being tried: told when the process dies

// How often each outcome was seen.
using Outcomes = std::map<std::string, int>;

void Use(std::string_view bytes, Outcomes& outcomes) {
  const auto file = ModelFile::FromMemory(std::as_bytes(std::span(bytes)), "damaged");
  if (!file.ok()) {
    ++outcomes["refused as a file"];
    return;
  }
  UseFile(*file);
  for (const KernelSet* set : AllKernelSets()) {
    if (!CanRun(*set)) continue;
    const auto model = Model::Open(*file, {.kernels = set->name});
    ++outcomes[model.ok() ? std::string("used on ") + set->name : "refused as a model"];
    if (!model.ok()) return;
    UseModel(*model);
  }
}

std::size_t HeaderBytes(const std::string& bytes) {
  const auto file = ModelFile::FromMemory(std::as_bytes(std::span(bytes)), "sound");
  std::uint64_t first = bytes.size();
  for (const TensorInfo& tensor : file->tensors()) first = std::min(first, tensor.file_offset);
  return static_cast<std::size_t>(first);
}

// Half of the damage is done before the weights, where it matters most.
void Damage(const std::string& name, const std::string& sound, int changes, int truncations, unsigned seed) {
  std::mt19937 random(seed);
  const std::size_t header = HeaderBytes(sound);
  Outcomes outcomes;
  for (int i = 0; i < changes; ++i) {
    const std::size_t at = random() % (i % 2 == 0 ? header : sound.size());
    std::string bytes = sound;
    bytes[at] = static_cast<char>(random() >> 8);
    current = name + ": byte " + std::to_string(at) + " is " + std::to_string(static_cast<unsigned char>(bytes[at]));
    Use(bytes, outcomes);
  }
  for (int i = 0; i < truncations; ++i) {
    const std::size_t size = random() % (i % 2 == 0 ? header : sound.size());
    current = name + ": cut to " + std::to_string(size) + " bytes";
    Use(std::string(sound, 0, size), outcomes);
  }
  std::printf("%s:", name.c_str());
  for (const auto& [outcome, count] : outcomes) std::printf(" %s %d;", outcome.c_str(), count);
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace
}  // namespace slm::test

int main(int argc, char** argv) {
  using namespace slm::test;
  const int changes = argc > 1 ? std::atoi(argv[1]) : 2000;
  const int truncations = argc > 2 ? std::atoi(argv[2]) : 500;
  const unsigned seed = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1;
  __sanitizer_set_death_callback([] { std::fprintf(stderr, "while trying %s\n", current.c_str()); });

  std::map<std::string, std::filesystem::path> models;  // by architecture
  for (const auto& entry : std::filesystem::directory_iterator(DataPath("models"))) {
    const auto path = entry.path() / "model.gguf";
    const auto file = slm::ModelFile::Open(path);
    if (file.ok()) models.try_emplace(std::string(file->architecture()), path);
  }
  for (const auto& [architecture, path] : models) Damage(architecture, ReadFile(path), changes, truncations, seed);
}
