// Bounds the memory that a rendering holds.

#ifndef SLM_JINJA_MEMORY_H_
#define SLM_JINJA_MEMORY_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/failure.h"

namespace slm::jinja {

// While one lives, what its thread allocates with Metered is counted, and a Failure is thrown where more than `limit`
// bytes would be held at once. Memory from before, which the values of the context are, does not count.
class MemoryMeter {
 public:
  explicit MemoryMeter(std::size_t limit) : limit_(limit), left_(limit), outer_(std::exchange(current, this)) {}
  ~MemoryMeter() { current = outer_; }
  MemoryMeter(const MemoryMeter&) = delete;
  MemoryMeter& operator=(const MemoryMeter&) = delete;

  static void Take(std::size_t bytes) {
    if (current == nullptr) return;
    if (bytes > current->left_) {
      throw Failure("the template needs too much memory: more than " + std::to_string(current->limit_ >> 20) +
                    " MB at once");
    }
    current->left_ -= bytes;
  }
  static void Give(std::size_t bytes) noexcept {
    if (current != nullptr) current->left_ = std::min(current->limit_, current->left_ + bytes);
  }

 private:
  static inline thread_local MemoryMeter* current = nullptr;

  const std::size_t limit_;
  std::size_t left_;
  MemoryMeter* const outer_;
};

// The allocator of all that values are made of.
template <typename T>
struct Metered {
  using value_type = T;
  Metered() = default;
  template <typename U>
  Metered(const Metered<U>&) {}  // NOLINT(google-explicit-constructor): as allocators convert

  T* allocate(std::size_t count) {
    MemoryMeter::Take(Cost(count));
    try {
      return std::allocator<T>().allocate(count);
    } catch (...) {
      MemoryMeter::Give(Cost(count));
      throw;
    }
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    std::allocator<T>().deallocate(memory, count);
    MemoryMeter::Give(Cost(count));
  }
  bool operator==(const Metered&) const = default;

 private:
  // With what the system keeps beside each block. Counts whose bytes do not fit are the allocator's own to refuse.
  static std::size_t Cost(std::size_t count) {
    return count * sizeof(T) + 16;  // NOLINT(bugprone-sizeof-expression): T may be a pointer
  }
};

template <typename T>
using Array = std::vector<T, Metered<T>>;
using Bytes = std::basic_string<char, std::char_traits<char>, Metered<char>>;

template <typename T, typename... Arguments>
std::shared_ptr<T> Make(Arguments&&... arguments) {
  return std::allocate_shared<T>(Metered<std::remove_const_t<T>>(), std::forward<Arguments>(arguments)...);
}

}  // namespace slm::jinja

#endif  // SLM_JINJA_MEMORY_H_
