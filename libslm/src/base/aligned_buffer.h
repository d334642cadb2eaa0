// Memory for numbers: 64-byte aligned, not initialised, so that pages nobody touches cost nothing.

#ifndef SLM_BASE_ALIGNED_BUFFER_H_
#define SLM_BASE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <type_traits>

namespace slm {

template <typename T>
class AlignedBuffer {
  static_assert(std::is_trivial_v<T>);

 public:
  AlignedBuffer() = default;

  // False if the memory can't be had; the buffer is then empty.
  [[nodiscard]] bool Allocate(std::size_t count) {
    constexpr std::size_t kAlignment = 64;
    constexpr std::size_t kLimit = static_cast<std::size_t>(-1) / 2;
    size_ = 0;
    data_.reset();
    if (count > (kLimit - kAlignment) / sizeof(T)) return false;
    const std::size_t bytes = (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    data_.reset(static_cast<T*>(std::aligned_alloc(kAlignment, bytes != 0 ? bytes : kAlignment)));
    if (data_ == nullptr) return false;
    size_ = count;
    return true;
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }

 private:
  struct Free {
    void operator()(T* data) const { std::free(data); }
  };
  std::unique_ptr<T[], Free> data_;
  std::size_t size_ = 0;
};

}  // namespace slm

#endif  // SLM_BASE_ALIGNED_BUFFER_H_
