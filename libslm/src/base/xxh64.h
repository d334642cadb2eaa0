// XXH64, a checksum as fast as memory: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
//
// Finds what goes wrong by accident. It is no protection from somebody who wants to deceive.

#ifndef SLM_BASE_XXH64_H_
#define SLM_BASE_XXH64_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace slm {

// Of bytes that come in pieces, with seed 0.
class Xxh64 {
 public:
  void Update(std::span<const std::byte> bytes);
  std::uint64_t Digest() const;

 private:
  static constexpr std::size_t kStripe = 32;  // bytes that are taken at once, 8 in each lane

  void TakeStripe(const std::byte* stripe);

  std::array<std::uint64_t, 4> lanes_ = kFirstLanes;
  std::array<std::byte, kStripe> rest_{};  // size_ % kStripe bytes that do not fill a stripe yet
  std::uint64_t size_ = 0;

  static const std::array<std::uint64_t, 4> kFirstLanes;
};

inline std::uint64_t Xxh64Of(std::span<const std::byte> bytes) {
  Xxh64 hash;
  hash.Update(bytes);
  return hash.Digest();
}

}  // namespace slm

#endif  // SLM_BASE_XXH64_H_
