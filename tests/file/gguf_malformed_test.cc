// Files that are damaged, cut short or made to do harm: each must be refused with a message that helps, in no time and
// without memory, and nothing may be read outside the file.

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "file/allocation_meter.h"
#include "file/gguf.h"
#include "tiny_gguf.h"

namespace slm {
namespace {

using test::AllocatedBytes;
using std::string_literals::operator""s;

constexpr std::uint64_t kHuge = std::uint64_t{1} << 63;
constexpr std::uint64_t kMost = ~std::uint64_t{0};

// A block of its own size, so that a sanitizer sees the first byte read beyond it.
std::vector<std::byte> Copy(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Case {
  const char* name;
  std::string bytes;
  std::vector<std::string> facts;  // what the message must say
  StatusCode code = StatusCode::kCorruptFile;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class GgufMalformedTest : public testing::TestWithParam<Case> {};

TEST_P(GgufMalformedTest, IsRefusedWithTheFactsAtOnce) {
  const std::vector<std::byte> bytes = Copy(GetParam().bytes);
  const std::size_t allocated_before = AllocatedBytes();
  const double seconds_before = CpuSeconds();
  const Result<GgufFile> file = GgufFile::Parse(bytes, "bad.gguf");
  const double seconds = CpuSeconds() - seconds_before;
  const std::size_t allocated = AllocatedBytes() - allocated_before;

  ASSERT_FALSE(file.ok());
  const std::string& message = file.status().message();
  EXPECT_EQ(StatusCodeName(file.status().code()), StatusCodeName(GetParam().code)) << message;
  EXPECT_TRUE(message.starts_with("bad.gguf: ")) << message;
  EXPECT_TRUE(message.ends_with('.')) << message;
  for (const std::string& fact : GetParam().facts) {
    EXPECT_NE(message.find(fact), std::string::npos) << "\"" << fact << "\" is missing in: " << message;
  }
  EXPECT_LT(seconds, 0.010);
  // Messages, and what was read before the fault.
  EXPECT_LT(allocated, 16384 + 16 * bytes.size());
}

RawBytes Header(std::uint64_t tensors, std::uint64_t entries) {
  return RawBytes().Bytes("GGUF").U32(3).U64(tensors).U64(entries);
}

// A file that is good so far.
TinyGguf Base() { return TinyGguf().Set("general.architecture", "llama").Set("llama.block_count", 2u); }

// A good file, then one tensor, called by this name in messages.
constexpr const char* kTensor = "tensor \"blk.0.attn_q.weight\"";
TinyGguf WithTensor(std::uint32_t type, std::vector<std::uint64_t> shape, std::size_t bytes = 32) {
  return Base().AddTensor("blk.0.attn_q.weight", type, std::move(shape), std::string(bytes, '\1'));
}

// A good file, then an array with this head and 16 bytes.
TinyGguf WithArray(std::uint32_t element_type, std::uint64_t count) {
  return Base().SetRaw("bad.array", 9, RawBytes().U32(element_type).U64(count).U64(0).U64(0).str());
}

constexpr auto kUnsupported = StatusCode::kUnsupported;

std::vector<Case> HeaderCases() {
  return {
      {"Empty", "", {"file truncated: needs at least 4 bytes, has 0 (4 missing)"}},
      {"HalfTheMagic", "GG", {"file truncated: needs at least 4 bytes, has 2 (2 missing)"}},
      {"MagicAlone", "GGUF", {"file truncated: needs at least 8 bytes, has 4 (4 missing)", "version"}},
      {"WrongMagic", "GGUX" + std::string(60, '\0'), {"not a GGUF file", "\"GGUX\\x00"}, kUnsupported},
      {"Version0", Base().set_version(0).Build(), {"version 0 at byte 4", "versions 2 and 3"}},
      {"Version1", Base().set_version(1).Build(), {"version 1 at byte 4", "too old", "convert it again"}, kUnsupported},
      {"Version4", Base().set_version(4).Build(), {"version 4 at byte 4", "versions 2 and 3", "too new"}, kUnsupported},
      {"BigEndian",
       Base().set_version(0x03000000).Build(),
       {"other byte order", "Fetch a little-endian"},
       kUnsupported},
      {"TensorCount2p63",
       Base().set_tensor_count(kHuge).Build(),
       {"tensor count at byte 8 is 9223372036854775808", "have room for"}},
      {"TensorCount2p61", Base().set_tensor_count(kHuge >> 2).Build(), {"tensor count at byte 8"}},
      {"TensorCountJustTooLarge", Header(2, 0).Bytes(std::string(39, '\0')).str(), {"tensor count at byte 8"}},
      {"EntryCount2p63",
       Base().set_entry_count(kHuge).Build(),
       {"metadata count at byte 16 is 9223372036854775808", "have room for"}},
      {"EntryCount2p60", Base().set_entry_count(kHuge >> 3).Build(), {"metadata count at byte 16"}},
      {"EntryCountJustTooLarge", Header(0, 2).Bytes(std::string(25, '\0')).str(), {"metadata count at byte 16"}},
  };
}

std::vector<Case> ForeignCases() {
  const std::string safetensors = R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  return {
      {"LfsPointer",
       "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 253113024\n",
       {"not a GGUF file", "Git-LFS pointer", "git lfs pull"},
       kUnsupported},
      {"XetPointer", "# xet version 0\nfilesize = 253113024\n", {"Xet pointer", "Download the file"}, kUnsupported},
      {"AnnexPointer", "/annex/objects/SHA256E-s253113024--4d7a.gguf\n", {"git-annex pointer"}, kUnsupported},
      {"Html",
       "<!DOCTYPE html>\n<html lang=\"en\">",
       {"not a GGUF file", "HTML page", "Download the file"},
       kUnsupported},
      {"HtmlAfterBlankLines", "\xef\xbb\xbf\n  <HTML><head>", {"HTML page"}, kUnsupported},
      {"Xml", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", {"XML", "refuse"}, kUnsupported},
      {"Json", "{\"error\":\"Repository not found\"}", {"JSON"}, kUnsupported},
      {"Safetensors", RawBytes().String(safetensors).U32(0).str(), {"safetensors", "Convert it to GGUF"}, kUnsupported},
      {"SafetensorsTruncated",
       RawBytes().String(safetensors).str().substr(0, 30),
       {"safetensors", "Convert it to GGUF"},
       kUnsupported},
      {"Pickle", "\x80\x02\x8a\nl\xfc\x9c" + std::string(40, '\0'), {"Python pickle", "PyTorch"}, kUnsupported},
      {"Hdf5", "\x89HDF\r\n\x1a\n" + std::string(40, '\0'), {"HDF5", "Keras"}, kUnsupported},
      {"TensorFlowLite", "\x1c\0\0\0TFL3"s + std::string(40, '\0'), {"TensorFlow Lite"}, kUnsupported},
      {"Llamafile", "MZqFpD='\n" + std::string(40, '\0'), {"llamafile", "Unzip it"}, kUnsupported},
      {"Tar", "model.gguf" + std::string(247, '\0') + "ustar\00000"s, {"tar archive", "Unpack"}, kUnsupported},
      {"Bzip2", "BZh91AY&SY", {"bzip2", "Decompress"}, kUnsupported},
      {"Zstd", "\x28\xb5\x2f\xfd" + std::string(40, '\0'), {"zstd", "Decompress"}, kUnsupported},
      {"Xz", "\xfd" + "7zXZ\0"s + std::string(40, '\0'), {"xz-compressed", "Decompress"}, kUnsupported},
      {"SevenZip", "7z\xbc\xaf\x27\x1c" + std::string(40, '\0'), {"7z archive"}, kUnsupported},
      {"UnfinishedDownload", std::string(4096, '\0'), {"zeros", "download", "fetch the file again"}, kUnsupported},
      {"Zip", "PK\x03\x04" + std::string(40, '\0'), {"zip archive", "PyTorch"}, kUnsupported},
      {"Gzip", "\x1f\x8b\x08\0\0\0\0\0"s, {"gzip"}, kUnsupported},
      {"OldGgml", "lmgg" + std::string(40, '\0'), {"old GGML format", "GGUF file of the model"}, kUnsupported},
      {"OldGgmf", "fmgg" + std::string(40, '\0'), {"GGMF", "GGUF file of the model"}, kUnsupported},
      {"OldGgjt", "tjgg" + std::string(40, '\0'), {"GGJT", "GGUF file of the model"}, kUnsupported},
      {"OldGgla", "algg" + std::string(40, '\0'), {"GGLA", "LoRA"}, kUnsupported},
      {"ReversedMagic", "FUGG" + std::string(40, '\0'), {"other byte order"}, kUnsupported},
      {"ErrorText", "Entry not found", {"not a GGUF file", "\"Entry not found\""}, kUnsupported},
  };
}

std::vector<Case> KeyCases() {
  return {
      {"KeyLength2p64",
       Header(0, 1).U64(kMost).U64(0).U64(0).str(),
       {"key of metadata entry 1 at byte 24", "18446744073709551615 bytes", "65535 allowed"}},
      {"KeyTooLong", Base().Set(std::string(65536, 'k'), 1).Build(), {"metadata entry 3", "65536 bytes"}},
      {"KeyPastTheEnd",
       Header(0, 1).U64(200).Bytes("general.name").str(),
       {"file truncated: needs at least 232 bytes, has 44 (188 missing)", "metadata entry 1"}},
      {"EmptyKey", Base().Set("", 1).Build(), {"key of metadata entry 3", "is empty"}},
      {"NulInKey", Base().Set("general\0.name"s, 1).Build(), {"NUL byte", "\"general\\x00.name\""}},
      {"DuplicateKey",
       Base().Set("llama.block_count", 3u).Build(),
       {"key \"llama.block_count\" occurs twice", "at byte"}},
  };
}

std::vector<Case> ValueCases() {
  return {
      {"ValueType13",
       Base().SetRaw("bad", 13, "12345678").Build(),
       {"value type of metadata entry \"bad\" at byte", "is 13", "0 to 12"}},
      {"ValueTypeMost", Base().SetRaw("bad", 0xffffffff, "12345678").Build(), {"\"bad\"", "is 4294967295"}},
      {"String2p63",
       Base().SetRaw("bad.string", 8, RawBytes().U64(kHuge).U64(0).str()).Build(),
       {"value of metadata entry \"bad.string\" at byte", "9223372036854775808 bytes"}},
      {"StringPastTheEnd",
       Base().SetRaw("bad.string", 8, RawBytes().U64(1000).str()).Build(),
       {"file truncated", "value of metadata entry \"bad.string\""}},
      {"NumberPastTheEnd",
       Base().SetRaw("bad.number", 10, "1234567").Build(),
       {"file truncated", "(1 missing)", "value of metadata entry \"bad.number\""}},
  };
}

// Each holds the next one, the last a byte.
TinyGguf NestedArrays(int depth) {
  RawBytes raw;
  for (int i = 1; i < depth; ++i) raw.U32(9).U64(1);
  return Base().SetRaw("bad.array", 9, raw.U32(0).U64(1).U8(7).str());
}

std::vector<Case> ArrayCases() {
  return {
      {"ArrayOfU64Count2p62",
       WithArray(10, kHuge >> 1).Build(),
       {"array of metadata entry \"bad.array\" at byte", "4611686018427387904 elements"}},
      {"ArrayOfStringsCount2p61", WithArray(8, kHuge >> 2).Build(), {"\"bad.array\"", "2305843009213693952"}},
      {"ArrayOfU8Count2p63", WithArray(0, kHuge).Build(), {"\"bad.array\"", "9223372036854775808"}},
      {"ArrayOfU64PastTheEnd", WithArray(10, 3).Build(), {"file truncated", "(8 missing)", "\"bad.array\""}},
      {"ArrayOfStringsPastTheEnd", WithArray(8, 3).Build(), {"file truncated", "(8 missing)", "\"bad.array\""}},
      {"ArrayOfManyStringsPastTheEnd", WithArray(8, 1 << 30).Build(), {"file truncated", "\"bad.array\""}},
      {"StringInArray2p63",
       Base().SetRaw("bad.array", 9, RawBytes().U32(8).U64(1).U64(kHuge).str()).Build(),
       {"string in the array of metadata entry \"bad.array\"", "9223372036854775808 bytes"}},
      {"StringInArrayPastTheEnd",
       Base().SetRaw("bad.array", 9, RawBytes().U32(8).U64(1).U64(5).str()).Build(),
       {"file truncated", "(5 missing)", "string in the array of metadata entry \"bad.array\""}},
      {"ArrayOfArraysPastTheEnd",
       Base().SetRaw("bad.array", 9, RawBytes().U32(9).U64(2).U32(0).U64(0).U32(0).str()).Build(),
       {"file truncated", "(8 missing)", "\"bad.array\""}},
      {"ArrayOfArraysCount2p63", WithArray(9, kHuge).Build(), {"\"bad.array\"", "9223372036854775808"}},
      {"ArraysNineDeep", NestedArrays(9).Build(), {"\"bad.array\"", "more than 8 deep"}},
      {"ArrayOfType13", WithArray(13, 1).Build(), {"element type of metadata entry \"bad.array\"", "is 13"}},
  };
}

std::vector<Case> AlignmentCases() {
  return {
      {"Alignment0", Base().Set("general.alignment", 0u).Build(), {"general.alignment", "power of two", "holds 0"}},
      {"Alignment3", Base().Set("general.alignment", 3u).Build(), {"general.alignment", "power of two", "holds 3"}},
      {"Alignment2p31",
       Base().Set("general.alignment", 1u << 31).Build(),
       {"general.alignment", "up to 1048576", "holds 2147483648"}},
      {"AlignmentString", Base().Set("general.alignment", "32").Build(), {"general.alignment", "u32", "string"}},
      {"AlignmentI32", Base().Set("general.alignment", 32).Build(), {"general.alignment", "u32", "i32"}},
      {"AlignmentArray",
       Base().Set("general.alignment", std::vector<std::uint32_t>{32}).Build(),
       {"general.alignment", "array of u32"}},
  };
}

std::vector<Case> ShapeCases() {
  const std::uint64_t most_elements = kHuge - 1;
  return {
      {"Dimensions5", WithTensor(0, {1, 1, 1, 1, 1}).Build(), {kTensor, "5 dimensions at byte", "allowed is 4"}},
      {"Dimensions9", WithTensor(0, {1}).set_dimension_count(9).Build(), {kTensor, "9 dimensions"}},
      {"DimensionsMost", WithTensor(0, {1}).set_dimension_count(0xffffffff).Build(), {kTensor, "4294967295"}},
      {"ScalarOfQ4_0", WithTensor(2, {}).Build(), {kTensor, "Q4_0", "multiple of 32"}},
      {"Shape2p32x2p32", WithTensor(0, {1ull << 32, 1ull << 32}).Build(), {kTensor, "dimension 1 is 4294967296"}},
      {"Shape2p64x2", WithTensor(0, {kMost, 2}).Build(), {kTensor, "dimension 0 is 18446744073709551615"}},
      {"Shape2x2p64", WithTensor(0, {2, kMost}).Build(), {kTensor, "dimension 1 is 18446744073709551615"}},
      {"Shape2p62OfF32", WithTensor(0, {1ull << 62}).Build(), {kTensor, "[4611686018427387904] of F32", "any file"}},
      {"ShapeMostOfF16", WithTensor(1, {most_elements}).Build(), {kTensor, "of F16", "any file"}},
      {"ShapeMostOfUnknown", WithTensor(255, {2, most_elements}).Build(), {kTensor, "dimension 1"}},
      {"Dimension0", WithTensor(0, {0}).Build(), {kTensor, "dimension 0 is 0 at byte", "at least 1"}},
      {"Dimension0After2p62", WithTensor(0, {1ull << 62, 0}).Build(), {kTensor, "dimension 1 is 0"}},
      {"Q4_0Columns33", WithTensor(2, {33}).Build(), {kTensor, "[33]", "Q4_0", "multiple of 32", "not 33"}},
      {"Q4_KColumns32", WithTensor(12, {32}).Build(), {kTensor, "Q4_K", "multiple of 256", "not 32"}},
  };
}

std::vector<Case> PlaceCases() {
  return {
      {"OffsetUnaligned",
       WithTensor(0, {1}).set_offset(4).Build(),
       {kTensor, "offset 4 at byte", "not a multiple of the alignment, 32"}},
      {"Offset2p40", WithTensor(0, {1}).set_offset(1ull << 40).Build(), {"file truncated: needs 1099511", kTensor}},
      {"OffsetWraps",
       WithTensor(0, {8}).set_offset(kMost - 31).Build(),
       {kTensor, "offset 18446744073709551584", "beyond the end of any file"}},
      {"OffsetOfUnknownWraps", WithTensor(255, {8}).set_offset(kMost - 31).Build(), {kTensor, "any file"}},
      {"OffsetPlusSizeWraps", WithTensor(0, {1ull << 60}).set_offset(kHuge - 32).Build(), {kTensor, "any file"}},
      {"OffsetPlusLargestSizeWraps",
       WithTensor(1, {(1ull << 62) - 1}).set_offset(kHuge).Build(),
       {kTensor, "any file"}},
      {"DataPastTheEnd", WithTensor(0, {9}).Build(), {"file truncated: needs ", "(4 missing)", kTensor}},
      {"UnknownPastTheEnd", WithTensor(255, {9}).set_offset(32).Build(), {"file truncated", kTensor}},
      {"Overlap",
       WithTensor(0, {16}, 64).AddTensor("b", 0, {8}, std::string(32, 'b')).set_offset(32).Build(),
       {"tensors \"blk.0.attn_q.weight\" and \"b\" overlap"}},
      {"OverlapOutOfOrder",
       WithTensor(0, {8}, 64).set_offset(32).AddTensor("b", 0, {16}, "").set_offset(0).Build(),
       {"tensors \"b\" and \"blk.0.attn_q.weight\" overlap"}},
      {"SamePlace", WithTensor(0, {8}).AddTensor("b", 0, {8}, "").set_offset(0).Build(), {"overlap"}},
      {"SamePlaceAsUnknown", WithTensor(255, {8}).AddTensor("b", 0, {8}, "").set_offset(0).Build(), {"overlap"}},
  };
}

std::vector<Case> TensorNameCases() {
  return {
      {"DuplicateTensor",
       WithTensor(0, {8}).AddTensor("blk.0.attn_q.weight", 0, {8}, std::string(32, 'b')).Build(),
       {kTensor, "occurs twice", "at byte"}},
      {"TensorName65",
       Base().AddTensor(std::string(65, 'n'), 0, {1}, "1234").Build(),
       {"name of tensor 1", "65 bytes", "64 allowed"}},
      {"TensorName2p64", Header(1, 0).U64(kMost).U64(0).U64(0).str(), {"name of tensor 1", "18446744073709551615"}},
      {"TensorNameEmpty", Base().AddTensor("", 0, {1}, "1234").Build(), {"name of tensor 1", "is empty"}},
      {"TensorNameWithNul", Base().AddTensor("a\0b"s, 0, {1}, "1234").Build(), {"NUL byte", "\"a\\x00b\""}},
      {"TableEndsEarly",
       Header(1, 0).String("t").U32(1).U64(1).Bytes("\0\0\0"s).str(),
       {"file truncated", "(1 missing)", "type of tensor \"t\""}},
  };
}

std::string CaseName(const testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Header, GgufMalformedTest, testing::ValuesIn(HeaderCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Foreign, GgufMalformedTest, testing::ValuesIn(ForeignCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Keys, GgufMalformedTest, testing::ValuesIn(KeyCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Values, GgufMalformedTest, testing::ValuesIn(ValueCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Arrays, GgufMalformedTest, testing::ValuesIn(ArrayCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Alignment, GgufMalformedTest, testing::ValuesIn(AlignmentCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Shapes, GgufMalformedTest, testing::ValuesIn(ShapeCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Places, GgufMalformedTest, testing::ValuesIn(PlaceCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(TensorNames, GgufMalformedTest, testing::ValuesIn(TensorNameCases()), CaseName);

// Metadata of every type and tensors of several formats; the last tensor needs no padding.
std::string FileWithEverything() {
  const std::vector<float> weights(16, 0.5f);
  return TinyGguf()
      .Set("general.architecture", "llama")
      .Set("u8", std::uint8_t{1})
      .Set("i8", std::int8_t{-1})
      .Set("u16", std::uint16_t{2})
      .Set("i16", std::int16_t{-2})
      .Set("u32", 3u)
      .Set("i32", -3)
      .Set("f32", 1.5f)
      .Set("bool", true)
      .Set("u64", std::uint64_t{4})
      .Set("i64", std::int64_t{-4})
      .Set("f64", 2.5)
      .Set("strings", std::vector<std::string>{"a", "", "ccc"})
      .Set("floats", std::vector<float>{1, 2, 3})
      .Set("bytes", std::vector<std::uint8_t>{1, 2, 3})
      .Set("flags", std::vector<std::int64_t>{0, 1})
      .Set("general.alignment", 32u)
      .AddF32("norm", {16}, weights)
      .AddTensor("scale", Format::kF16, {}, "hh")
      .AddTensor("proj", Format::kQ4_0, {32, 2}, std::string(36, 'q'))
      .AddTensor("odd", 31, {7}, std::string(9, 'x'))
      .AddTensor("cube", Format::kQ8_0, {32, 1, 16}, std::string(16 * 34, 'c'))
      .Build();
}

// Follows every view the parser gave out; those of tensors must lie in `bytes`.
std::size_t TouchEverything(const GgufFile& file, std::span<const std::byte> bytes) {
  std::size_t sum = 0;
  for (const GgufFile::Entry& entry : file.entries()) {
    const GgufValue& value = entry.value;
    sum += entry.key.size() + value.ToString(100).size() + value.TypeName().size();
    sum += static_cast<std::size_t>(value.AsInt().value_or(0));
    sum += static_cast<std::size_t>(value.AsUnsigned().value_or(0));
    sum += value.AsDouble().has_value() + value.AsBool().value_or(false) + value.AsString().value_or("").size();
    sum += value.AsInts().value_or(std::vector<std::int64_t>()).size() + value.AsFloats().has_value();
    sum += value.AsBools().has_value();
    for (const std::string_view text : value.AsStrings().value_or(std::vector<std::string_view>())) {
      sum = std::accumulate(text.begin(), text.end(), sum);
    }
    EXPECT_EQ(file.Find(entry.key), &value);
  }
  for (const GgufTensor& tensor : file.tensors()) {
    EXPECT_EQ(file.FindTensor(tensor.name), &tensor);
    EXPECT_LE(tensor.offset, bytes.size());
    if (tensor.format == nullptr) continue;
    EXPECT_EQ(tensor.data.data(), bytes.data() + tensor.offset);
    EXPECT_LE(tensor.data.size(), bytes.size() - tensor.offset);
    for (const std::byte b : tensor.data) sum += static_cast<std::size_t>(b);
  }
  return sum;
}

TEST(GgufTruncationTest, EveryPrefixIsRefused) {
  const std::string whole = FileWithEverything();
  const std::vector<std::byte> bytes = Copy(whole);
  const Result<GgufFile> file = GgufFile::Parse(bytes, "whole.gguf");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_GT(TouchEverything(*file, bytes), 0u);
  const std::uint64_t last = file->FindTensor("cube")->offset;

  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::vector<std::byte> prefix = Copy(whole.substr(0, length));
    const Result<GgufFile> result = GgufFile::Parse(prefix, "prefix.gguf");
    ASSERT_FALSE(result.ok()) << length;
    ASSERT_EQ(result.status().code(), StatusCode::kCorruptFile) << result.status().message();
    const std::string& message = result.status().message();
    ASSERT_NE(message.find("truncated"), std::string::npos) << message;
    if (length < last) continue;
    const std::string numbers = "needs " + std::to_string(whole.size()) + " bytes, has " + std::to_string(length) +
                                " (" + std::to_string(whole.size() - length) + " missing)";
    ASSERT_NE(message.find(numbers), std::string::npos) << message;
  }
}

TEST(GgufMutationTest, NoByteLeadsOutsideTheFile) {
  const std::string whole = FileWithEverything();
  int accepted = 0;
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    const auto original = static_cast<std::uint8_t>(whole[at]);
    const std::array<int, 11> values = {0, 1, 8, 9, 31, 0x7f, 0x80, 0xff, original ^ 1, original ^ 0x80, original + 1};
    for (const int value : values) {
      std::string mutated = whole;
      mutated[at] = static_cast<char>(value);
      const std::vector<std::byte> bytes = Copy(mutated);
      const Result<GgufFile> file = GgufFile::Parse(bytes, "mutated.gguf");
      file.ok() ? ++accepted : ++refused;
      if (file.ok()) TouchEverything(*file, bytes);
      ASSERT_FALSE(testing::Test::HasFailure()) << "byte " << at << " set to " << value;
    }
  }
  EXPECT_GT(accepted, 0);
  EXPECT_GT(refused, 0);
}

TEST(GgufMutationTest, NoNumberLeadsOutsideTheFile) {
  const std::string whole = FileWithEverything();
  for (std::size_t at = 0; at + 8 <= whole.size(); ++at) {
    for (const std::uint64_t value :
         {kMost, kMost - 31, kHuge, kHuge - 1, kHuge >> 1, kHuge >> 2, std::uint64_t{1} << 32,
          std::uint64_t{whole.size()}, std::uint64_t{whole.size() - at - 8}}) {
      std::string mutated = whole;
      mutated.replace(at, 8, RawBytes().U64(value).str());
      const std::vector<std::byte> bytes = Copy(mutated);
      const std::size_t allocated = AllocatedBytes();
      const Result<GgufFile> file = GgufFile::Parse(bytes, "mutated.gguf");
      ASSERT_LT(AllocatedBytes() - allocated, 65536u) << "byte " << at << " set to " << value;
      if (file.ok()) TouchEverything(*file, bytes);
      ASSERT_FALSE(testing::Test::HasFailure()) << "byte " << at << " set to " << value;
    }
  }
}

// Walking a vocabulary must not allocate for each token.
TEST(GgufMemoryTest, LargeTokenArrayTakesNoMemory) {
  const std::vector<std::byte> bytes =
      Copy(TinyGguf().Set("tokenizer.ggml.tokens", std::vector<std::string>(262144, "token")).Build());
  const std::size_t allocated = AllocatedBytes();
  const Result<GgufFile> file = GgufFile::Parse(bytes, "vocabulary.gguf");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_LT(AllocatedBytes() - allocated, 4096u);
  EXPECT_EQ(file->Find("tokenizer.ggml.tokens")->count(), 262144u);
}

// However many entries a header claims, memory grows with the file only.
TEST(GgufMemoryTest, MemoryIsProportionalToTheFile) {
  TinyGguf many;
  for (int i = 0; i < 20000; ++i) many.Set(std::to_string(i), std::uint8_t{0});
  const std::vector<std::byte> bytes = Copy(many.Build());
  const std::size_t allocated = AllocatedBytes();
  ASSERT_TRUE(GgufFile::Parse(bytes, "many.gguf").ok());
  EXPECT_LT(AllocatedBytes() - allocated, 32 * bytes.size());
}

}  // namespace
}  // namespace slm
