#include "session/stop_matcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace slm {
namespace {

// Everything delivered, piece by piece, then what Flush returns.
std::string Stream(StopMatcher& matcher, const std::vector<std::string>& pieces) {
  std::string delivered;
  for (const std::string& piece : pieces) delivered += matcher.Push(piece);
  return delivered + matcher.Flush();
}

TEST(StopMatcherTest, StopStringSplitOverPieces) {
  StopMatcher matcher({"beta gam"});
  EXPECT_EQ(matcher.Push("al"), "al");
  EXPECT_EQ(matcher.Push("pha be"), "pha ");
  EXPECT_EQ(matcher.Push("ta gam"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.Push("ma"), "");
  EXPECT_EQ(matcher.Flush(), "");
}

TEST(StopMatcherTest, HeldTextIsDeliveredAtTheEnd) {
  StopMatcher matcher({"TRE\nAAAA"});
  EXPECT_EQ(matcher.Push("UNO DUE TRE"), "UNO DUE ");
  EXPECT_EQ(matcher.Flush(), "TRE");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcherTest, StopStringThatBeginsInsideAPiece) {
  StopMatcher matcher({"\nUser:"});
  EXPECT_EQ(Stream(matcher, {"Fine.", "\nUser", ":", " more"}), "Fine.");
  EXPECT_TRUE(matcher.stopped());
}

TEST(StopMatcherTest, StopStringInsideOnePiece) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.Push("text END tail END"), "text ");
  EXPECT_TRUE(matcher.stopped());
}

TEST(StopMatcherTest, TheFirstToBeCompleteWins) {
  StopMatcher overlapping({"beta gamma", "ta"});
  EXPECT_EQ(overlapping.Push("alpha beta gamma"), "alpha be");
  StopMatcher same_end({"c", "abc", "bc"});
  EXPECT_EQ(same_end.Push("xxabc"), "xx");
}

TEST(StopMatcherTest, WithoutStopStringsAllIsDelivered) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.Push("text"), "text");
  EXPECT_EQ(matcher.Push(""), "");
  StopMatcher empty_string({""});
  EXPECT_EQ(empty_string.Push("text"), "text");
  EXPECT_FALSE(empty_string.stopped());
}

TEST(StopMatcherTest, RepeatedBeginnings) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(matcher.Push("aaaa"), "aa");
  EXPECT_EQ(matcher.Push("b"), "");
  EXPECT_TRUE(matcher.stopped());
}

// Looks at the text so far as a whole, byte by byte.
struct PlainMatcher {
  std::vector<std::string> stops;

  struct Answer {
    std::string deliverable;
    bool stopped;
  };
  Answer At(std::string_view text) const {
    for (std::size_t end = 1; end <= text.size(); ++end) {
      std::size_t longest = 0;
      for (const std::string& stop : stops) {
        if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
      }
      if (longest > 0) return {std::string(text.substr(0, end - longest)), true};
    }
    std::size_t held = 0;
    for (std::size_t n = 1; n <= text.size(); ++n) {
      for (const std::string& stop : stops) {
        if (n < stop.size() && stop.starts_with(text.substr(text.size() - n))) held = n;
      }
    }
    return {std::string(text.substr(0, text.size() - held)), false};
  }
};

TEST(StopMatcherTest, HoldsBackExactlyWhatMayBecomeAStopString) {
  std::mt19937 random(1);
  const auto random_text = [&](std::size_t size) {
    std::string text;
    while (text.size() < size) text += static_cast<char>('a' + random() % 2);
    return text;
  };
  int stopped = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops;
    for (std::size_t i = 0; i < 1 + random() % 3; ++i) stops.push_back(random_text(1 + random() % 8));
    StopMatcher matcher(stops);
    const PlainMatcher plain{stops};
    std::string text;
    std::string delivered;
    for (int piece = 0; piece < 8; ++piece) {
      const std::string next = random_text(random() % 5);
      text += next;
      delivered += matcher.Push(next);
      const PlainMatcher::Answer answer = plain.At(text);
      ASSERT_EQ(delivered, answer.deliverable) << text;
      ASSERT_EQ(matcher.stopped(), answer.stopped) << text;
    }
    stopped += matcher.stopped();
    delivered += matcher.Flush();
    ASSERT_EQ(delivered, matcher.stopped() ? plain.At(text).deliverable : text);
  }
  EXPECT_GT(stopped, 500);
  EXPECT_LT(stopped, 2990);
}

}  // namespace
}  // namespace slm
