#include "base/keyed_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <chrono>
#include <random>
#include <stdexcept>

namespace slm {

namespace {

using Secret = std::array<std::uint32_t, 48>;  // as large as the one XXH3 has built in

Secret MakeSecret() {
  Secret secret;
  try {
    std::random_device random;
    for (std::uint32_t& word : secret) word = random();
  } catch (const std::runtime_error&) {  // a system without a source of random numbers: what differs between processes
    std::mt19937_64 mixer(static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) ^
                          reinterpret_cast<std::uintptr_t>(&secret));
    for (std::uint32_t& word : secret) word = static_cast<std::uint32_t>(mixer());
  }
  return secret;
}

std::uint64_t Hash(const void* data, std::size_t size) {
  static const Secret kSecret = MakeSecret();
  return XXH3_64bits_withSecret(data, size, kSecret.data(), sizeof kSecret);
}

}  // namespace

std::uint64_t KeyedHash(std::string_view bytes) { return Hash(bytes.data(), bytes.size()); }
std::uint64_t KeyedHash(std::uint64_t number) { return Hash(&number, sizeof number); }

}  // namespace slm
