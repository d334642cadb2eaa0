// Random numbers that are the same on every machine, as the standard library's distributions are not.

#ifndef SLM_BENCH_RANDOM_H_
#define SLM_BENCH_RANDOM_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace slm::bench {

// Blackman and Vigna's xoshiro256++, seeded by splitmix64.
class Random {
 public:
  // Each name has numbers of its own under the same seed.
  Random(std::uint64_t seed, std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    std::uint64_t state = seed ^ hash;
    for (std::uint64_t& word : state_) {
      state += 0x9e3779b97f4a7c15;
      std::uint64_t z = state;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      word = z ^ (z >> 31);
    }
  }

  std::uint64_t Next() {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // In [0, 1).
  float Uniform() { return static_cast<float>(Next() >> 40) * 0x1p-24f; }

  void Fill(std::span<std::byte> bytes) {
    for (; bytes.size() >= sizeof(std::uint64_t); bytes = bytes.subspan(sizeof(std::uint64_t))) {
      const std::uint64_t word = Next();
      std::memcpy(bytes.data(), &word, sizeof(word));
    }
    const std::uint64_t word = Next();
    std::memcpy(bytes.data(), &word, bytes.size());
  }

 private:
  std::uint64_t state_[4];
};

}  // namespace slm::bench

#endif  // SLM_BENCH_RANDOM_H_
