// Reads little-endian values from bytes nobody vouches for.

#ifndef SLM_FILE_BYTE_READER_H_
#define SLM_FILE_BYTE_READER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace slm {

static_assert(std::endian::native == std::endian::little,
              "files are little endian, and weights are used where they are mapped");

// A cursor over a byte budget. Every read compares what it wants with what remains, so no length from a file, however
// large, can wrap an addition; a read that wants too much returns nothing and leaves the cursor where it was.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::size_t size() const { return bytes_.size(); }
  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }

  template <typename T>
  std::optional<T> Read() {
    static_assert(std::is_arithmetic_v<T>);
    if (sizeof(T) > remaining()) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  std::optional<std::span<const std::byte>> Take(std::uint64_t count) {
    if (count > remaining()) return std::nullopt;
    const auto taken = bytes_.subspan(position_, static_cast<std::size_t>(count));
    position_ += taken.size();
    return taken;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

}  // namespace slm

#endif  // SLM_FILE_BYTE_READER_H_
