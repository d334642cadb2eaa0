// Hashing for the open-addressing tables of this folder. Not stable across machines; nothing derived from it is stored.

#ifndef SLM_TEXT_HASH_H_
#define SLM_TEXT_HASH_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace slm {

inline std::uint64_t MixHash(std::uint64_t value) {
  value *= 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  value ^= value >> 32;
  value *= 0x9E3779B97F4A7C15;
  return value ^ value >> 29;
}

inline std::uint64_t HashBytes(std::string_view bytes) {
  std::uint64_t hash = bytes.size();
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    hash = MixHash(hash ^ word);
    bytes.remove_prefix(sizeof word);
  }
  std::uint64_t rest = 0;
  for (const char c : bytes) rest = rest << 8 | static_cast<unsigned char>(c);
  return MixHash(hash ^ rest);
}

// Slots of a table for `entries` entries: a power of two, at most two thirds of it used and never all.
inline std::size_t HashTableSize(std::size_t entries) { return std::bit_ceil(entries + entries / 2 + 1); }

}  // namespace slm

#endif  // SLM_TEXT_HASH_H_
