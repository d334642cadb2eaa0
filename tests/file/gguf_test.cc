// Well-formed GGUF files: what is in them, and what is tolerated.

#include "file/gguf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "tiny_gguf.h"

namespace slm {
namespace {

using std::string_literals::operator""s;

std::span<const std::byte> AsBytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string_view Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A parsed file and the bytes it looks into.
class Parsed {
 public:
  explicit Parsed(std::string bytes) : bytes_(std::move(bytes)), file_(GgufFile::Parse(AsBytes(bytes_), "test.gguf")) {
    EXPECT_TRUE(file_.ok()) << file_.status().message();
  }
  explicit Parsed(const TinyGguf& file) : Parsed(file.Build()) {}
  Parsed(const Parsed&) = delete;
  Parsed& operator=(const Parsed&) = delete;

  bool ok() const { return file_.ok(); }
  const GgufFile* operator->() const { return &*file_; }
  const std::string& bytes() const { return bytes_; }
  const GgufValue& value(std::string_view key) const {
    static const GgufValue kNone;
    const GgufValue* found = file_->Find(key);
    EXPECT_NE(found, nullptr) << key;
    return found != nullptr ? *found : kNone;
  }

 private:
  std::string bytes_;
  Result<GgufFile> file_;
};

TEST(GgufTest, EmptyFile) {
  const Parsed file{TinyGguf()};
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->alignment(), 32u);
  EXPECT_TRUE(file->entries().empty());
  EXPECT_TRUE(file->tensors().empty());
  EXPECT_EQ(file->Find("general.name"), nullptr);
  EXPECT_EQ(file->FindTensor("output.weight"), nullptr);
}

TEST(GgufTest, Version2) {
  const Parsed file(TinyGguf().set_version(2).Set("general.architecture", "llama"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->version(), 2u);
}

TEST(GgufTest, EntriesKeepTheirOrderAndTypes) {
  const Parsed file(TinyGguf()
                        .Set("u8", std::uint8_t{200})
                        .Set("i8", std::int8_t{-2})
                        .Set("u16", std::uint16_t{60000})
                        .Set("i16", std::int16_t{-300})
                        .Set("u32", 4000000000u)
                        .Set("i32", -70000)
                        .Set("f32", 1.5f)
                        .Set("bool", true)
                        .Set("string", "text")
                        .Set("array", std::vector<std::int32_t>{1, 2})
                        .Set("u64", std::uint64_t{1} << 63)
                        .Set("i64", std::int64_t{-5000000000})
                        .Set("f64", 0.25));
  ASSERT_TRUE(file.ok());
  const std::vector<std::string> names = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                          "bool", "string", "array", "u64", "i64", "f64"};
  ASSERT_EQ(file->entries().size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const GgufFile::Entry& entry = file->entries()[i];
    EXPECT_EQ(entry.key, names[i]);
    EXPECT_EQ(static_cast<std::size_t>(entry.value.type()), i);
    EXPECT_EQ(GgufTypeName(entry.value.type()), names[i]);
    EXPECT_EQ(entry.value.TypeName(), names[i] == "array" ? "array of i32" : names[i]);
    EXPECT_EQ(file->Find(names[i]), &entry.value);
  }
  EXPECT_EQ(file.value("u8").AsInt(), 200);
  EXPECT_EQ(file.value("i8").AsInt(), -2);
  EXPECT_EQ(file.value("u16").AsInt(), 60000);
  EXPECT_EQ(file.value("i16").AsInt(), -300);
  EXPECT_EQ(file.value("u32").AsInt(), 4000000000);
  EXPECT_EQ(file.value("i32").AsInt(), -70000);
  EXPECT_EQ(file.value("f32").AsDouble(), 1.5);
  EXPECT_EQ(file.value("bool").AsBool(), true);
  EXPECT_EQ(file.value("string").AsString(), "text");
  EXPECT_EQ(file.value("u64").AsUnsigned(), std::uint64_t{1} << 63);
  EXPECT_EQ(file.value("i64").AsInt(), -5000000000);
  EXPECT_EQ(file.value("f64").AsDouble(), 0.25);
}

TEST(GgufTest, ScalarsConvertWhereTheValueFits) {
  const Parsed file(TinyGguf()
                        .Set("big", std::numeric_limits<std::uint64_t>::max())
                        .Set("minus", -1)
                        .Set("one", std::uint8_t{1})
                        .Set("two", 2u)
                        .Set("yes", true)
                        .Set("half", 0.5f)
                        .Set("text", "1")
                        .Set("array", std::vector<std::uint32_t>{1}));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file.value("big").AsInt(), std::nullopt);
  EXPECT_EQ(file.value("big").AsUnsigned(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(file.value("minus").AsInt(), -1);
  EXPECT_EQ(file.value("minus").AsUnsigned(), std::nullopt);
  EXPECT_EQ(file.value("minus").AsDouble(), -1.0);
  EXPECT_EQ(file.value("one").AsBool(), true);
  EXPECT_EQ(file.value("two").AsBool(), std::nullopt);
  EXPECT_EQ(file.value("yes").AsInt(), 1);
  EXPECT_EQ(file.value("yes").AsUnsigned(), 1u);
  EXPECT_EQ(file.value("yes").AsDouble(), std::nullopt);
  EXPECT_EQ(file.value("half").AsInt(), std::nullopt);
  EXPECT_EQ(file.value("half").AsBool(), std::nullopt);
  EXPECT_EQ(file.value("half").AsString(), std::nullopt);
  for (const char* key : {"text", "array"}) {
    EXPECT_EQ(file.value(key).AsInt(), std::nullopt) << key;
    EXPECT_EQ(file.value(key).AsUnsigned(), std::nullopt) << key;
    EXPECT_EQ(file.value(key).AsDouble(), std::nullopt) << key;
    EXPECT_EQ(file.value(key).AsBool(), std::nullopt) << key;
  }
  EXPECT_EQ(file.value("array").AsString(), std::nullopt);
  EXPECT_EQ(file.value("one").AsInts(), std::nullopt);
  EXPECT_EQ(file.value("text").AsStrings(), std::nullopt);
}

TEST(GgufTest, AnyByteButZeroIsTrue) {
  const Parsed file(TinyGguf().SetRaw("two", 7, RawBytes().U8(2).str()).SetRaw("zero", 7, RawBytes().U8(0).str()));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file.value("two").AsBool(), true);
  EXPECT_EQ(file.value("two").AsInt(), 1);
  EXPECT_EQ(file.value("zero").AsBool(), false);
}

TEST(GgufTest, ArraysConvertWhereEveryElementFits) {
  using Ints = std::vector<std::int64_t>;
  using Floats = std::vector<float>;
  using Bools = std::vector<bool>;
  using Strings = std::vector<std::string_view>;
  const std::string flags = RawBytes().U32(7).U64(3).U8(1).U8(0).U8(9).str();
  const Parsed file(TinyGguf()
                        .Set("i8", std::vector<std::int8_t>{-1, 2})
                        .Set("u64", std::vector<std::uint64_t>{1, std::uint64_t{1} << 63})
                        .Set("f32", std::vector<float>{0.5f, -3})
                        .Set("f64", std::vector<double>{0.25})
                        .Set("bits", std::vector<std::uint32_t>{1, 0})
                        .Set("strings", std::vector<std::string>{"a", "", "b\0c"s})
                        .Set("none", std::vector<std::uint32_t>{})
                        .Set("no strings", std::vector<std::string>{})
                        .SetRaw("bools", 9, flags));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file.value("i8").AsInts(), (Ints{-1, 2}));
  EXPECT_EQ(file.value("i8").AsFloats(), (Floats{-1, 2}));
  EXPECT_EQ(file.value("i8").AsBools(), std::nullopt);
  EXPECT_EQ(file.value("u64").AsInts(), std::nullopt);
  EXPECT_EQ(file.value("f32").AsFloats(), (Floats{0.5f, -3}));
  EXPECT_EQ(file.value("f32").AsInts(), std::nullopt);
  EXPECT_EQ(file.value("f64").AsFloats(), (Floats{0.25f}));
  EXPECT_EQ(file.value("bits").AsBools(), (Bools{true, false}));
  EXPECT_EQ(file.value("bools").AsBools(), (Bools{true, false, true}));
  EXPECT_EQ(file.value("bools").AsInts(), (Ints{1, 0, 1}));
  EXPECT_EQ(file.value("bools").AsFloats(), std::nullopt);
  EXPECT_EQ(file.value("strings").AsStrings(), (Strings{"a", "", std::string_view("b\0c", 3)}));
  EXPECT_EQ(file.value("strings").count(), 3u);
  EXPECT_EQ(file.value("strings").element_type(), GgufType::kString);
  EXPECT_EQ(file.value("strings").AsInts(), std::nullopt);
  EXPECT_EQ(file.value("strings").AsFloats(), std::nullopt);
  EXPECT_EQ(file.value("none").AsInts(), Ints{});
  EXPECT_EQ(file.value("none").AsStrings(), std::nullopt);
  EXPECT_EQ(file.value("no strings").AsStrings(), Strings{});
}

TEST(GgufTest, ValuesAreRenderedForPeople) {
  std::vector<std::int32_t> many(262144);
  std::iota(many.begin(), many.end(), 1);
  const Parsed file(TinyGguf()
                        .Set("int", -3)
                        .Set("u8", std::uint8_t{65})
                        .Set("float", 1e-6f)
                        .Set("nan", std::nanf(""))
                        .Set("bool", true)
                        .Set("text", "line\n\x1b[2J")
                        .Set("long", std::string(1000, 'x'))
                        .Set("few", std::vector<float>{1, 2.5f})
                        .Set("none", std::vector<float>{})
                        .Set("many", many)
                        .Set("words", std::vector<std::string>{"a", "\t"}));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file.value("int").ToString(80), "-3");
  EXPECT_EQ(file.value("u8").ToString(80), "65");
  EXPECT_EQ(file.value("float").ToString(80), "1e-06");
  EXPECT_EQ(file.value("nan").ToString(80), "nan");
  EXPECT_EQ(file.value("bool").ToString(80), "true");
  EXPECT_EQ(file.value("text").ToString(80), "line\\n\\x1b[2J");
  EXPECT_EQ(file.value("long").ToString(5), "xxxxx ...");
  EXPECT_EQ(file.value("few").ToString(80), "[1, 2.5]");
  EXPECT_EQ(file.value("none").ToString(80), "[]");
  EXPECT_EQ(file.value("many").ToString(8), "[1, 2, 3, ... 262144 in all]");
  EXPECT_EQ(file.value("words").ToString(80), "[\"a\", \"\\t\"]");
}

// Allowed by the format and in no use: read over, and shown.
TEST(GgufTest, ArraysOfArrays) {
  RawBytes raw;
  raw.U32(9).U64(2);                              // two arrays:
  raw.U32(8).U64(2).String("a").String("b");      // of strings
  raw.U32(9).U64(1).U32(4).U64(2).U32(1).U32(2);  // of one array of numbers
  RawBytes deep;
  for (int i = 1; i < 8; ++i) deep.U32(9).U64(1);
  deep.U32(0).U64(0);
  const Parsed file(TinyGguf().SetRaw("nested", 9, raw.str()).SetRaw("deep", 9, deep.str()).Set("behind", 7));
  ASSERT_TRUE(file.ok());
  const GgufValue nested = file.value("nested");
  EXPECT_EQ(nested.count(), 2u);
  EXPECT_EQ(nested.TypeName(), "array of array");
  EXPECT_EQ(nested.ToString(80), "[2 arrays]");
  EXPECT_EQ(nested.AsInts(), std::nullopt);
  EXPECT_EQ(nested.AsStrings(), std::nullopt);
  EXPECT_EQ(file.value("deep").ToString(80), "[1 arrays]");
  EXPECT_EQ(file.value("behind").AsInt(), 7);
}

TEST(GgufTest, DefaultValueHoldsNothing) {
  const GgufValue value;
  EXPECT_EQ(value.AsInt(), std::nullopt);
  EXPECT_EQ(value.AsInts(), std::nullopt);
  EXPECT_EQ(value.ToString(10), "?");
}

TEST(GgufTest, TensorsAreViewsIntoTheFile) {
  const std::vector<float> norm = {1, 2, 3};
  const std::string blocks(2 * 18, 'q');
  const Parsed file(TinyGguf()
                        .AddF32("norm.weight", {3}, norm)
                        .AddTensor("proj.weight", Format::kQ4_0, {32, 2}, blocks)
                        .AddF32("cube", {1, 1, 3, 1}, norm));
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->tensors().size(), 3u);
  const GgufTensor* tensor = file->FindTensor("proj.weight");
  ASSERT_EQ(tensor, &file->tensors()[1]);
  EXPECT_EQ(tensor->name, "proj.weight");
  EXPECT_EQ(tensor->type, 2u);
  ASSERT_NE(tensor->format, nullptr);
  EXPECT_EQ(tensor->format->format, Format::kQ4_0);
  EXPECT_EQ(tensor->dimensions, 2);
  EXPECT_EQ(tensor->shape, (std::array<std::uint64_t, 4>{32, 2, 1, 1}));
  EXPECT_EQ(tensor->elements(), 64u);
  EXPECT_EQ(Text(tensor->data), blocks);
  EXPECT_EQ(tensor->offset % 32, 0u);
  EXPECT_EQ(file.bytes().substr(tensor->offset, blocks.size()), blocks);
  EXPECT_EQ(file->FindTensor("cube")->dimensions, 4);
  EXPECT_EQ(file->FindTensor("proj"), nullptr);
}

TEST(GgufTest, ViewsOutliveAMoveOfTheFile) {
  const std::string bytes = TinyGguf().Set("key", 7).AddF32("t", {1}, std::vector<float>{1}).Build();
  Result<GgufFile> first = GgufFile::Parse(AsBytes(bytes), "test.gguf");
  ASSERT_TRUE(first.ok());
  const GgufValue* value = first->Find("key");
  const GgufFile second = *std::move(first);
  EXPECT_EQ(second.Find("key"), value);
  EXPECT_EQ(value->AsInt(), 7);
}

TEST(GgufTest, NoDimensionsMakeAScalar) {
  const Parsed file(TinyGguf().AddF32("scale", {}, std::vector<float>{2}));
  ASSERT_TRUE(file.ok());
  const GgufTensor* tensor = file->FindTensor("scale");
  EXPECT_EQ(tensor->dimensions, 0);
  EXPECT_EQ(tensor->elements(), 1u);
  EXPECT_EQ(tensor->data.size(), 4u);
}

TEST(GgufTest, UnknownTensorTypesAreKeptButHaveNoData) {
  for (const std::uint32_t type : {4u, 31u, 255u, 0xffffffffu}) {
    const Parsed file(
        TinyGguf().AddTensor("odd", type, {33, 5}, std::string(100, 'x')).AddF32("plain", {1}, std::vector<float>{1}));
    ASSERT_TRUE(file.ok()) << type;
    EXPECT_EQ(file->FindTensor("odd")->type, type);
    EXPECT_EQ(file->FindTensor("odd")->format, nullptr);
    EXPECT_TRUE(file->FindTensor("odd")->data.empty());
    EXPECT_EQ(file->FindTensor("plain")->data.size(), 4u);
  }
}

TEST(GgufTest, AlignmentOfTheFileIsFollowed) {
  for (const std::uint32_t alignment : {1u, 8u, 64u, 4096u, 1u << 20}) {
    const Parsed file(TinyGguf()
                          .Set("general.alignment", alignment)
                          .set_alignment(alignment)
                          .AddF32("a", {1}, std::vector<float>{1})
                          .AddF32("b", {1}, std::vector<float>{2}));
    ASSERT_TRUE(file.ok()) << alignment;
    EXPECT_EQ(file->alignment(), alignment);
    EXPECT_EQ(file->FindTensor("a")->offset % alignment, 0u);
    EXPECT_EQ(Text(file->FindTensor("b")->data), RawBytes().Append(2.0f).str());
  }
}

TEST(GgufTest, TensorsMayLieInAnyOrderAndApart) {
  const std::string data(32, 'd');
  const Parsed file(TinyGguf()
                        .AddTensor("last", Format::kF32, {8}, data)
                        .set_offset(96)
                        .AddTensor("first", Format::kF32, {8}, data)
                        .set_offset(0)
                        .AddTensor("between", Format::kF32, {8}, data + data)
                        .set_offset(32));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->FindTensor("last")->offset - file->FindTensor("first")->offset, 96u);
}

TEST(GgufTest, BytesAfterTheLastTensorAreIgnored) {
  std::string bytes = TinyGguf().AddF32("t", {1}, std::vector<float>{1}).Build();
  EXPECT_TRUE(Parsed(bytes + bytes).ok());
  // Not every writer pads the last tensor.
  EXPECT_TRUE(Parsed(bytes.substr(0, bytes.size() - 28)).ok());
}

TEST(GgufTest, LongestNamesAreAccepted) {
  const std::string key(65535, 'k');
  const std::string name(64, 't');
  const Parsed file(TinyGguf().Set(key, 1).AddF32(name, {1}, std::vector<float>{1}));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file.value(key).AsInt(), 1);
  EXPECT_NE(file->FindTensor(name), nullptr);
}

TEST(GgufTest, KeysNeedNotBeText) {
  const Parsed file(TinyGguf().Set("\xff\x01", 1));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file.value("\xff\x01").AsInt(), 1);
}

// As large as the vocabularies of real models.
TEST(GgufTest, LargeTokenArray) {
  std::vector<std::string> tokens(262144);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = "token " + std::to_string(i);
  const Parsed file(TinyGguf().Set("tokenizer.ggml.tokens", tokens).Set("after", 1));
  ASSERT_TRUE(file.ok());
  const auto strings = file.value("tokenizer.ggml.tokens").AsStrings();
  ASSERT_TRUE(strings.has_value());
  EXPECT_TRUE(std::equal(strings->begin(), strings->end(), tokens.begin(), tokens.end()));
  EXPECT_EQ(file.value("after").AsInt(), 1);
}

}  // namespace
}  // namespace slm
