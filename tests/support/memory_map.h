// What the system says of a mapped file: how much of it is in memory, and whose it is. Linux only.

#ifndef SLM_TESTS_SUPPORT_MEMORY_MAP_H_
#define SLM_TESTS_SUPPORT_MEMORY_MAP_H_

#include <cstdint>
#include <filesystem>
#include <optional>

namespace slm::test {

struct MapUse {
  std::uint64_t size = 0;       // bytes mapped
  std::uint64_t resident = 0;   // of them in memory
  std::uint64_t anonymous = 0;  // of them copied: no longer the file's own pages
  std::uint64_t locked = 0;     // of them kept from being dropped
};

// Of all mappings of a file in this process; nothing if there is none, or the system does not say.
std::optional<MapUse> FindMapUse(const std::filesystem::path& path);

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_MEMORY_MAP_H_
