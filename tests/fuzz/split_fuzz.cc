// Models split into files: an input is the parts one after the other, each behind its length (u32).

#include <cstring>
#include <filesystem>
#include <fstream>

#include "fuzz/fuzz_models.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/gguf_mutator.h"
#include "slm/model_file.h"
#include "support/tiny_model.h"

namespace slm::test {

namespace {

constexpr std::size_t kMostParts = 4;

std::vector<std::string> Parts(std::string_view input) {
  std::vector<std::string> parts;
  for (std::uint32_t size; input.size() >= sizeof size && parts.size() < kMostParts;) {
    std::memcpy(&size, input.data(), sizeof size);
    input.remove_prefix(sizeof size);
    parts.emplace_back(input.substr(0, size));
    input.remove_prefix(parts.back().size());
  }
  return parts;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) {
    const auto size = static_cast<std::uint32_t>(part.size());
    joined.append(reinterpret_cast<const char*>(&size), sizeof size) += part;
  }
  return joined;
}

// A folder of this process, which lasts as long as it does.
const std::filesystem::path& Folder() {
  static const struct Temporary {
    std::filesystem::path path = [] {
      std::string name = std::filesystem::temp_directory_path() / "split_fuzz_XXXXXX";
      Require(mkdtemp(name.data()) != nullptr, "a folder");
      return name;
    }();
    ~Temporary() { std::filesystem::remove_all(path); }
  } folder;
  return folder.path;
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (std::size_t count = 1; count <= kMostParts; ++count) {
    std::vector<std::string> parts;
    for (const TinyGguf& part :
         TinyModel({.vocab = 6, .width = 8, .layers = 1, .head_dim = 2, .ffn_width = 8}).Split(count))
      parts.push_back(part.Build());
    seeds.push_back(Joined(parts));
  }
  return seeds;
}

void Fuzz(std::string_view input) {
  const std::vector<std::string> parts = Parts(input);
  if (parts.empty()) return;
  std::vector<std::filesystem::path> paths;
  for (const std::string& part : parts) {
    paths.push_back(
        Folder() / ("m-0000" + std::to_string(paths.size() + 1) + "-of-0000" + std::to_string(parts.size()) + ".gguf"));
    std::ofstream(paths.back(), std::ios::binary) << part;
  }
  for (const auto& path : {paths.front(), paths.back()}) {
    const auto file = ModelFile::Open(path);
    if (!file.ok()) continue;
    UseFile(*file);
    if (const auto model = Model::Open(*file); model.ok()) UseModel(*model);
  }
  for (const auto& path : paths) std::filesystem::remove(path);
}

}  // namespace slm::test

// One of the parts as a file of its own.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t capacity,
                                               unsigned seed) {
  std::vector<std::string> parts = slm::test::Parts({reinterpret_cast<const char*>(data), size});
  if (parts.empty() || seed % 8 == 0) return LLVMFuzzerMutate(data, size, capacity);
  std::string& part = parts[seed / 8 % parts.size()];
  const std::size_t room = capacity > size ? capacity - size : 0, before = part.size();
  part.resize(before + room);
  part.resize(slm::test::MutateGguf(reinterpret_cast<std::uint8_t*>(part.data()), before, part.size(), seed / 32));
  const std::string joined = slm::test::Joined(parts);
  std::memcpy(data, joined.data(), joined.size());
  return joined.size();
}
