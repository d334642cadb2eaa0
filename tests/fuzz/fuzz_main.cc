// A fuzz target under libFuzzer:  TARGET --write-seeds FOLDER  or libFuzzer's own arguments.

#include <cstring>
#include <filesystem>
#include <fstream>

#include "fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::strcmp((*argv)[1], "--write-seeds") != 0) return 0;
  const std::filesystem::path folder = (*argv)[2];
  std::filesystem::create_directories(folder);
  std::size_t count = 0;
  for (const std::string& seed : slm::test::Seeds())
    std::ofstream(folder / ("seed-" + std::to_string(count++)), std::ios::binary) << seed;
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slm::test::Fuzz({reinterpret_cast<const char*>(data), size});
  return 0;
}
