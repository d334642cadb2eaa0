// Where tests find their files.

#ifndef SLM_TESTS_SUPPORT_TEST_DATA_H_
#define SLM_TESTS_SUPPORT_TEST_DATA_H_

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace slm::test {

// A file or folder below tests/data, which is part of the repository.
std::filesystem::path DataPath(const std::filesystem::path& relative);

// A file or folder below the shared fixtures, if they lie beside this checkout; they are too large for the repository.
// Tests skip, and say so, when they do not.
std::optional<std::filesystem::path> SharedFixture(const std::filesystem::path& relative);

// A real model by its name in tools/fetch-model ("smollm2-135m", "gemma-3-270m"), if it is in the model cache:
// $SLM_MODEL_DIR, or $XDG_CACHE_HOME/libslm, or ~/.cache/libslm.
std::optional<std::filesystem::path> RealModel(const std::string& name);

std::string ReadFile(const std::filesystem::path& path);

// A float32 C-order array of a .npy file.
struct NpyArray {
  std::vector<std::size_t> shape;
  std::vector<float> values;
};
NpyArray ReadNpy(const std::filesystem::path& path);

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_TEST_DATA_H_
