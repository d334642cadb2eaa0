#include "support/test_data.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace slm::test {

namespace fs = std::filesystem;

namespace {

fs::path ModelCache() {
  if (const char* dir = std::getenv("SLM_MODEL_DIR")) return dir;
  if (const char* dir = std::getenv("XDG_CACHE_HOME"); dir != nullptr && *dir != '\0') return fs::path(dir) / "libslm";
  if (const char* home = std::getenv("HOME")) return fs::path(home) / ".cache" / "libslm";
  return {};
}

}  // namespace

fs::path DataPath(const fs::path& relative) { return fs::path(SLM_TEST_DATA_DIR) / relative; }

std::optional<fs::path> SharedFixture(const fs::path& relative) {
  fs::path path = fs::path(SLM_SHARED_FIXTURES_DIR) / relative;
  if (fs::exists(path)) return path;
  return std::nullopt;
}

std::optional<fs::path> RealModel(const std::string& name) {
  const fs::path path = ModelCache() / (name + ".gguf");
  if (fs::exists(path)) return path;
  return std::nullopt;
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

NpyArray ReadNpy(const fs::path& path) {
  const std::string bytes = ReadFile(path);
  if (bytes.size() < 10 || bytes.compare(0, 8, std::string("\x93NUMPY\x01\x00", 8)) != 0) {
    throw std::runtime_error(path.string() + " is not a version 1.0 .npy file");
  }
  const std::size_t header_size = static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  const std::string header = bytes.substr(10, header_size);
  if (header.find("'<f4'") == std::string::npos || header.find("'fortran_order': False") == std::string::npos) {
    throw std::runtime_error(path.string() + " is not a C-order float32 array: " + header);
  }
  NpyArray array;
  std::size_t at = header.find("'shape': (") + std::strlen("'shape': (");
  std::size_t count = 1;
  while (header[at] != ')') {
    std::size_t used = 0;
    array.shape.push_back(std::stoul(header.substr(at), &used));
    count *= array.shape.back();
    at += used;
    while (header[at] == ',' || header[at] == ' ') ++at;
  }
  if (bytes.size() != 10 + header_size + count * sizeof(float))
    throw std::runtime_error(path.string() + " has another size than its shape");
  array.values.resize(count);
  std::memcpy(array.values.data(), bytes.data() + 10 + header_size, count * sizeof(float));
  return array;
}

}  // namespace slm::test
