#include "base/xxh64.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace slm::test {
namespace {

std::uint64_t Hash(std::string_view text) { return Xxh64Of(std::as_bytes(std::span(text))); }

// Lengths around those at which the algorithm goes another way. Byte i is 7 i + length mod 256; hashes from libxxhash
// 0.8.1.
std::string Text(std::size_t length) {
  std::string text;
  for (std::size_t i = 0; i < length; ++i) text.push_back(static_cast<char>(i * 7 + length));
  return text;
}

TEST(Xxh64Test, IsWhatTheReferenceComputes) {
  EXPECT_EQ(Hash(""), 0xef46db3751d8e999);
  EXPECT_EQ(Hash("abc"), 0x44bc2cf5ad770999);
  constexpr std::pair<std::size_t, std::uint64_t> kReference[] = {
      {1, 0x8a4127811b21e730},  {3, 0x31d2363f52e564c9},  {4, 0xb4d516af63f9c743},  {7, 0x2163df11c0cdf8cd},
      {8, 0xd5474d6ca50def58},  {15, 0x646187cf6e75240d}, {31, 0xc025b4c3c4880c7a}, {32, 0x178ae25cee6f7994},
      {33, 0x4072a28263e977ef}, {39, 0x035bc7dcd4043e6b}, {44, 0xc3adb1c1f5a9071},  {63, 0x47948108b5ff3162},
      {64, 0xcf35552f599ba94d}, {65, 0x8c963e88dc8ea52d}, {100, 0x3a7fdc0febf6f5dc}};
  for (const auto& [length, expected] : kReference) EXPECT_EQ(Hash(Text(length)), expected) << length;
}

TEST(Xxh64Test, PiecesOfAnySizeGiveTheSame) {
  const std::string text = Text(201);
  for (std::size_t piece = 1; piece <= 70; ++piece) {
    Xxh64 hash;
    for (std::size_t i = 0; i < text.size(); i += piece)
      hash.Update(std::as_bytes(std::span(text)).subspan(i, std::min(piece, text.size() - i)));
    EXPECT_EQ(hash.Digest(), Hash(text)) << piece;
  }
}

}  // namespace
}  // namespace slm::test
