// The matcher of Knuth, Morris and Pratt, one state per stop string: linear in the text whatever the strings are, and
// what may be the beginning of a stop string is known after each byte.

#include "session/stop_matcher.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slm {

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  for (const std::string& text : stops) {
    if (text.empty()) continue;
    Stop stop{.text = text, .border = {0, 0}};
    for (std::size_t i = 1; i < text.size(); ++i) {
      Advance(stop, text[i]);
      stop.border.push_back(stop.matched);
    }
    stop.matched = 0;
    stops_.push_back(std::move(stop));
  }
}

void StopMatcher::Advance(Stop& stop, char byte) {
  while (stop.matched > 0 && stop.text[stop.matched] != byte) stop.matched = stop.border[stop.matched];
  if (stop.text[stop.matched] == byte) ++stop.matched;
}

std::string StopMatcher::Push(std::string_view text) {
  if (stopped_) return {};
  std::size_t longest = 0;  // of the beginnings of stop strings that the text ends with
  for (const char byte : text) {
    held_ += byte;
    longest = 0;
    std::size_t complete = 0;
    for (Stop& stop : stops_) {
      Advance(stop, byte);
      longest = std::max(longest, stop.matched);
      if (stop.matched == stop.text.size()) complete = std::max(complete, stop.matched);
    }
    if (complete > 0) {
      stopped_ = true;
      held_.resize(held_.size() - complete);
      return std::exchange(held_, {});
    }
  }
  if (text.empty()) return {};
  std::string ready = held_.substr(0, held_.size() - longest);
  held_.erase(0, ready.size());
  return ready;
}

std::string StopMatcher::Flush() {
  for (Stop& stop : stops_) stop.matched = 0;
  return std::exchange(held_, {});
}

}  // namespace slm
