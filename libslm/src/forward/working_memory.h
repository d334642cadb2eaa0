// The working memory of a forward pass, which its parts take bit by bit, or would take.

#ifndef SLM_FORWARD_WORKING_MEMORY_H_
#define SLM_FORWARD_WORKING_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"

namespace slm {

class WorkingMemory {
 public:
  enum class Purpose : std::uint8_t { kAllocate, kCount };

  explicit WorkingMemory(Purpose purpose) : counts_only_(purpose == Purpose::kCount) {}

  // False if there is no memory. While counting, buffers stay empty.
  template <class T>
  [[nodiscard]] bool Allocate(AlignedBuffer<T>& buffer, std::size_t count) {
    bytes_ += count * sizeof(T);
    return counts_only_ || buffer.Allocate(count);
  }
  template <class T>
  [[nodiscard]] bool Allocate(std::vector<T>& buffer, std::size_t count) {
    bytes_ += count * sizeof(T);
    if (!counts_only_) buffer.resize(count);
    return true;
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  bool counts_only_;
  std::uint64_t bytes_ = 0;
};

}  // namespace slm

#endif  // SLM_FORWARD_WORKING_MEMORY_H_
