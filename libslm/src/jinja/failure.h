// How the parts of the template engine report failures to each other, and what bounds their work.
//
// Inside the engine a failure is an exception, because it leaves a recursive descent through dozens of small functions;
// Template::Parse() and Template::Render() are the only way in, and turn it into a Status. No exception leaves them.

#ifndef SLM_JINJA_FAILURE_H_
#define SLM_JINJA_FAILURE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace slm::jinja {

// Thrown inside the engine only.
struct Failure {
  explicit Failure(std::string text) : message(std::move(text)) {}
  Failure(std::string text, std::size_t offset) : message(std::move(text)), position(offset) {}

  std::string message;                  // a sentence without its full stop
  std::optional<std::size_t> position;  // in the source; filled in by the innermost statement or expression that knows
};

// Levels of nesting. Every level is a few stack frames, so the bounds keep hostile templates and values off the end of
// the stack even of a thread that has only 1 MB.
inline constexpr int kMaxSyntaxDepth = 200;  // of a template's expressions and blocks
inline constexpr int kMaxValueDepth = 200;   // of lists and dicts in each other

// Of a call, and parameters of a macro: each is looked up among the others.
inline constexpr std::size_t kMaxArguments = 255;

// What one rendering may still use.
class Budget {
 public:
  Budget(std::uint64_t steps, std::size_t text_bytes, int depth)
      : steps_left_(steps), max_text_(text_bytes), depth_left_(depth) {}

  // Pays for `count` evaluation steps: expressions evaluated, elements visited.
  void Charge(std::uint64_t count = 1) {
    if (count > steps_left_) throw Failure("the template takes too many steps; it may loop without end");
    steps_left_ -= count;
  }
  // Pays for looking at that much text, character by character.
  void ChargeReading(std::size_t bytes) { Charge(bytes / 8); }
  // Pays for a text of that size, before it is made.
  void ChargeText(std::size_t bytes) {
    CheckText(bytes);
    Charge(bytes / 16);
  }
  // Fails if a text of that size is not allowed.
  void CheckText(std::size_t bytes) const {
    if (bytes > max_text_) FailTooLarge();
  }
  // The size of `count` copies of `bytes`, if such a text is allowed.
  void ChargeCopies(std::size_t bytes, std::size_t count) {
    if (bytes != 0 && count > max_text_ / bytes) FailTooLarge();
    ChargeText(bytes * count);
  }

  // One level of evaluation, while it lives.
  class Level {
   public:
    explicit Level(Budget& budget) : budget_(budget) {
      if (budget_.depth_left_ == 0) throw Failure("the template is nested too deeply; it may recurse without end");
      --budget_.depth_left_;
    }
    ~Level() { ++budget_.depth_left_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Budget& budget_;
  };

 private:
  [[noreturn]] void FailTooLarge() const {
    throw Failure("the template makes a text larger than is allowed: more than " + std::to_string(max_text_) +
                  " bytes");
  }

  std::uint64_t steps_left_;
  std::size_t max_text_;
  int depth_left_;
};

}  // namespace slm::jinja

#endif  // SLM_JINJA_FAILURE_H_
