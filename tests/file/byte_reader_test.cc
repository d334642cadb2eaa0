#include "file/byte_reader.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace slm {
namespace {

std::vector<std::byte> Bytes(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

TEST(ByteReaderTest, ReadsLittleEndianInOrder) {
  const std::vector<std::byte> bytes = Bytes({1, 2, 3, 0xff, 0, 0, 0x80, 0x3f});
  ByteReader in(bytes);
  EXPECT_EQ(in.size(), 8u);
  EXPECT_EQ(in.Read<std::uint8_t>(), 1);
  EXPECT_EQ(in.Read<std::uint16_t>(), 0x302);
  EXPECT_EQ(in.Read<std::int8_t>(), -1);
  EXPECT_EQ(in.position(), 4u);
  EXPECT_EQ(in.Read<float>(), 1.0f);
  EXPECT_EQ(in.remaining(), 0u);
}

TEST(ByteReaderTest, WhatIsNotThereLeavesTheCursorAlone) {
  const std::vector<std::byte> bytes = Bytes({1, 2, 3, 4});
  ByteReader in(bytes);
  ASSERT_TRUE(in.Read<std::uint8_t>());
  EXPECT_FALSE(in.Read<std::uint32_t>());
  EXPECT_FALSE(in.Take(4));
  EXPECT_EQ(in.position(), 1u);
  ASSERT_TRUE(in.Take(3));
  EXPECT_FALSE(in.Read<std::uint8_t>());
  EXPECT_TRUE(in.Take(0));
}

TEST(ByteReaderTest, NoLengthWraps) {
  const std::vector<std::byte> bytes = Bytes({1, 2, 3, 4});
  ByteReader in(bytes);
  ASSERT_TRUE(in.Take(2));
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t length : {kMost, kMost - 1, kMost - 2, std::uint64_t{1} << 63}) {
    EXPECT_FALSE(in.Take(length)) << length;
  }
  EXPECT_EQ(in.Take(2)->data(), bytes.data() + 2);
}

TEST(ByteReaderTest, NothingToRead) {
  ByteReader in({});
  EXPECT_FALSE(in.Read<std::uint8_t>());
  EXPECT_TRUE(in.Take(0));
}

}  // namespace
}  // namespace slm
