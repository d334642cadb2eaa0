// What the parts of the soak test share.

#ifndef SLM_TESTS_SOAK_SOAK_H_
#define SLM_TESTS_SOAK_SOAK_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <string_view>

#include "slm/model.h"

namespace slm::test {

// How often each thing was done or seen.
using Counts = std::map<std::string, std::uint64_t>;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  int Below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  bool Chance(int one_in) { return Below(one_in) == 0; }
  template <typename T>
  const auto& Of(const T& items) {
    return items[static_cast<std::size_t>(Below(static_cast<int>(std::size(items))))];
  }

 private:
  std::mt19937_64 random_;
};

// Ends the process, and says what had been promised, unless the condition holds.
void Require(bool condition, const std::string& promise);

// What every part is given. Each call does one thing of its kind.
struct World {
  std::filesystem::path model_path;
  std::filesystem::path folder;  // for files; empty at the beginning
  Dice dice;
  Counts counts;
};

// A conversation from its beginning to its end, in some 30 steps: sends, retries, undoes, edits, saves, restores, is
// cancelled and meets faults. Every answer is compared with that of a fresh model and session.
void RunConversation(World& world);

// Tokens read, taken back, shifted, saved and restored; then the same without faults on a fresh model: the same bits.
void RunTokens(World& world);

// Files that are damaged, shortened or no files, opened and restored.
void RunDamagedFiles(World& world);

// Kills a process while it saves, at so many random moments: the old file or the new one is there, whole.
void KillWhileSaving(World& world, int times);

}  // namespace slm::test

#endif  // SLM_TESTS_SOAK_SOAK_H_
