// Where streamed text ends because a stop string is complete.

#ifndef SLM_SESSION_STOP_MATCHER_H_
#define SLM_SESSION_STOP_MATCHER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slm {

// Finds stop strings in streamed text. The first to be complete ends the text, the longest if several are complete at
// the same character; how the text is cut into pieces makes no difference. Not thread-safe.
class StopMatcher {
 public:
  // Empty strings are ignored.
  explicit StopMatcher(const std::vector<std::string>& stops);
  // Appends text and returns what can be delivered now. Once a stop string is complete, stopped() is true and nothing
  // more is delivered.
  std::string Push(std::string_view text);
  // Returns what was held back; nothing if stopped.
  std::string Flush();
  bool stopped() const { return stopped_; }

 private:
  // A stop string and how many of its bytes the text so far ends with.
  struct Stop {
    std::string text;
    // border[n]: the longest proper prefix of text[0, n) that it also ends with.
    std::vector<std::size_t> border;
    std::size_t matched = 0;
  };
  static void Advance(Stop& stop, char byte);

  std::vector<Stop> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace slm

#endif  // SLM_SESSION_STOP_MATCHER_H_
