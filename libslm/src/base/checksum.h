// A checksum as fast as memory: XXH3, 64 bits (https://xxhash.com).
//
// Finds what goes wrong by accident. It is no protection from somebody who wants to deceive.

#ifndef SLM_BASE_CHECKSUM_H_
#define SLM_BASE_CHECKSUM_H_

#define XXH_INLINE_ALL  // no library to link
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace slm {

// Of bytes that come in pieces.
class Checksum {
 public:
  Checksum() { XXH3_64bits_reset(&state_); }

  void Update(std::span<const std::byte> bytes) { XXH3_64bits_update(&state_, bytes.data(), bytes.size()); }
  std::uint64_t Digest() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

inline std::uint64_t ChecksumOf(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace slm

#endif  // SLM_BASE_CHECKSUM_H_
