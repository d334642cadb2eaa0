#include "support/memory_map.h"

#include <fstream>
#include <sstream>
#include <string>

namespace slm::test {

std::optional<MapUse> FindMapUse(const std::filesystem::path& path) {
  const std::string name = std::filesystem::canonical(path).string();
  std::ifstream smaps("/proc/self/smaps");
  std::optional<MapUse> use;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::string key;
    std::uint64_t kilobytes = 0;
    words >> key;
    if (!key.ends_with(':')) {  // "7f00-7f10 r--p 00000000 08:01 1234   /path" begins another mapping
      inside = line.ends_with(" " + name);
      if (inside && !use) use.emplace();
      continue;
    }
    if (!inside || !(words >> kilobytes)) continue;
    if (key == "Size:") use->size += kilobytes * 1024;
    if (key == "Rss:") use->resident += kilobytes * 1024;
    if (key == "Anonymous:") use->anonymous += kilobytes * 1024;
    if (key == "Locked:") use->locked += kilobytes * 1024;
  }
  return use;
}

}  // namespace slm::test
