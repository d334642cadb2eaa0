#include "base/xxh64.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace slm {

namespace {

constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87;
constexpr std::uint64_t kPrime2 = 0xC2B2AE3D27D4EB4F;
constexpr std::uint64_t kPrime3 = 0x165667B19E3779F9;
constexpr std::uint64_t kPrime4 = 0x85EBCA77C2B2AE63;
constexpr std::uint64_t kPrime5 = 0x27D4EB2F165667C5;

template <typename T>
T Load(const std::byte* from) {
  static_assert(std::endian::native == std::endian::little, "the numbers of XXH64 are little endian");
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::uint64_t Round(std::uint64_t lane, std::uint64_t input) { return std::rotl(lane + input * kPrime2, 31) * kPrime1; }

std::uint64_t MergeLane(std::uint64_t hash, std::uint64_t lane) { return (hash ^ Round(0, lane)) * kPrime1 + kPrime4; }

std::uint64_t TakeRest(std::uint64_t hash, std::span<const std::byte> rest) {
  for (; rest.size() >= 8; rest = rest.subspan(8))
    hash = std::rotl(hash ^ Round(0, Load<std::uint64_t>(rest.data())), 27) * kPrime1 + kPrime4;
  for (; rest.size() >= 4; rest = rest.subspan(4))
    hash = std::rotl(hash ^ Load<std::uint32_t>(rest.data()) * kPrime1, 23) * kPrime2 + kPrime3;
  for (const std::byte byte : rest)
    hash = std::rotl(hash ^ std::to_integer<std::uint64_t>(byte) * kPrime5, 11) * kPrime1;
  return hash;
}

}  // namespace

constexpr std::array<std::uint64_t, 4> Xxh64::kFirstLanes = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};

void Xxh64::TakeStripe(const std::byte* stripe) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i] = Round(lanes_[i], Load<std::uint64_t>(stripe + 8 * i));
}

void Xxh64::Update(std::span<const std::byte> bytes) {
  const std::size_t held = size_ % kStripe;
  size_ += bytes.size();
  if (held != 0) {
    const std::size_t taken = std::min(kStripe - held, bytes.size());
    std::copy_n(bytes.data(), taken, rest_.data() + held);
    bytes = bytes.subspan(taken);
    if (held + taken < kStripe) return;
    TakeStripe(rest_.data());
  }
  for (; bytes.size() >= kStripe; bytes = bytes.subspan(kStripe)) TakeStripe(bytes.data());
  std::copy_n(bytes.data(), bytes.size(), rest_.data());
}

std::uint64_t Xxh64::Digest() const {
  std::uint64_t hash = kPrime5;
  if (size_ >= kStripe) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = MergeLane(hash, lane);
  }
  hash = TakeRest(hash + size_, std::span(rest_).first(size_ % kStripe));
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

}  // namespace slm
