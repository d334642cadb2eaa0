// Hashing of what a file or a text spells: with a key of the process, so that nobody can choose names that collide.

#ifndef SLM_BASE_KEYED_HASH_H_
#define SLM_BASE_KEYED_HASH_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace slm {

// Another one in each process; nothing derived from it is stored or shown.
std::uint64_t KeyedHash(std::string_view bytes);
std::uint64_t KeyedHash(std::uint64_t number);

// For the standard library's tables, which may be searched by a string_view.
struct KeyedHasher {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return static_cast<std::size_t>(KeyedHash(text)); }
};

// Slots of an open-addressing table for `entries` entries: a power of two, at most two thirds of it used and never all.
inline std::size_t HashTableSize(std::size_t entries) { return std::bit_ceil(entries + entries / 2 + 1); }

}  // namespace slm

#endif  // SLM_BASE_KEYED_HASH_H_
