// Metadata values: conversions and rendering.

#include <charconv>
#include <concepts>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/format.h"
#include "file/byte_reader.h"
#include "file/escape.h"
#include "file/gguf.h"

namespace slm {
namespace {

struct TypeInfo {
  const char* name;
  std::size_t bytes;
};

constexpr TypeInfo kTypes[] = {
    {"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8},
};

// Calls `visit` with the number or bool at the beginning of `data`, in its own type.
template <typename Visit>
auto VisitScalar(GgufType type, std::span<const std::byte> data, Visit visit) -> decltype(visit(0)) {
  ByteReader in(data);
  const auto as = [&]<typename T>(std::type_identity<T>) -> decltype(visit(0)) {
    const std::optional<T> value = in.Read<T>();
    if (!value) return {};
    return visit(*value);
  };
  switch (type) {
    case GgufType::kU8:
      return as(std::type_identity<std::uint8_t>());
    case GgufType::kI8:
      return as(std::type_identity<std::int8_t>());
    case GgufType::kU16:
      return as(std::type_identity<std::uint16_t>());
    case GgufType::kI16:
      return as(std::type_identity<std::int16_t>());
    case GgufType::kU32:
      return as(std::type_identity<std::uint32_t>());
    case GgufType::kI32:
      return as(std::type_identity<std::int32_t>());
    case GgufType::kF32:
      return as(std::type_identity<float>());
    case GgufType::kU64:
      return as(std::type_identity<std::uint64_t>());
    case GgufType::kI64:
      return as(std::type_identity<std::int64_t>());
    case GgufType::kF64:
      return as(std::type_identity<double>());
    case GgufType::kBool: {
      // Read as a byte: a C++ bool that holds neither 0 nor 1 has no defined value.
      const std::optional<std::uint8_t> value = in.Read<std::uint8_t>();
      if (!value) return {};
      return visit(*value != 0);
    }
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  return {};
}

// The conversions of the As...() functions.
template <typename To, typename From>
std::optional<To> Convert(From value) {
  if constexpr (std::same_as<To, From>) {
    return value;
  } else if constexpr (std::floating_point<To>) {
    if constexpr (std::same_as<From, bool>) return std::nullopt;
    return static_cast<To>(value);
  } else if constexpr (std::floating_point<From>) {
    return std::nullopt;
  } else if constexpr (std::same_as<From, bool>) {
    return To{value};
  } else if constexpr (std::same_as<To, bool>) {
    if (value != 0 && value != 1) return std::nullopt;
    return value == 1;
  } else {
    if (!std::in_range<To>(value)) return std::nullopt;
    return static_cast<To>(value);
  }
}

template <typename To>
std::optional<To> ScalarAs(GgufType type, std::span<const std::byte> data) {
  return VisitScalar(type, data, [](auto value) { return Convert<To>(value); });
}

template <typename To>
std::optional<std::vector<To>> ElementsAs(GgufType type, std::uint64_t count, std::span<const std::byte> data) {
  const std::size_t bytes = GgufScalarBytes(type);
  if (bytes == 0 || count > data.size() / bytes) return std::nullopt;
  std::vector<To> out;
  out.reserve(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    const std::optional<To> value = ScalarAs<To>(type, data.subspan(i * bytes));
    if (!value) return std::nullopt;
    out.push_back(*value);
  }
  return out;
}

std::string_view Text(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

std::optional<std::string_view> ReadString(ByteReader& in) {
  const auto length = in.Read<std::uint64_t>();
  if (!length) return std::nullopt;
  const auto bytes = in.Take(*length);
  if (!bytes) return std::nullopt;
  return Text(*bytes);
}

std::string NumberToString(GgufType type, std::span<const std::byte> data) {
  const auto text = VisitScalar(type, data, [](auto value) -> std::optional<std::string> {
    if constexpr (std::same_as<decltype(value), bool>) {
      return value ? "true" : "false";
    } else {
      char buffer[32];
      const auto [end, error] = std::to_chars(std::begin(buffer), std::end(buffer), value);
      return std::string(buffer, end);
    }
  });
  return text.value_or("?");
}

}  // namespace

const char* GgufTypeName(GgufType type) {
  const auto id = static_cast<std::size_t>(type);
  return id < std::size(kTypes) ? kTypes[id].name : "unknown";
}

std::size_t GgufScalarBytes(GgufType type) {
  const auto id = static_cast<std::size_t>(type);
  return id < std::size(kTypes) ? kTypes[id].bytes : 0;
}

std::optional<std::int64_t> GgufValue::AsInt() const { return ScalarAs<std::int64_t>(type_, data_); }

std::optional<std::uint64_t> GgufValue::AsUnsigned() const { return ScalarAs<std::uint64_t>(type_, data_); }

std::optional<double> GgufValue::AsDouble() const { return ScalarAs<double>(type_, data_); }

std::optional<bool> GgufValue::AsBool() const { return ScalarAs<bool>(type_, data_); }

std::optional<std::string_view> GgufValue::AsString() const {
  if (type_ != GgufType::kString) return std::nullopt;
  return Text(data_);
}

std::optional<std::vector<std::int64_t>> GgufValue::AsInts() const {
  if (type_ != GgufType::kArray) return std::nullopt;
  return ElementsAs<std::int64_t>(element_type_, count_, data_);
}

std::optional<std::vector<float>> GgufValue::AsFloats() const {
  if (type_ != GgufType::kArray) return std::nullopt;
  return ElementsAs<float>(element_type_, count_, data_);
}

std::optional<std::vector<bool>> GgufValue::AsBools() const {
  if (type_ != GgufType::kArray) return std::nullopt;
  return ElementsAs<bool>(element_type_, count_, data_);
}

std::optional<std::vector<std::string_view>> GgufValue::AsStrings() const {
  if (type_ != GgufType::kArray || element_type_ != GgufType::kString) return std::nullopt;
  // Every string takes at least the 8 bytes of its length.
  if (count_ > data_.size() / sizeof(std::uint64_t)) return std::nullopt;
  std::vector<std::string_view> out;
  out.reserve(static_cast<std::size_t>(count_));
  ByteReader in(data_);
  for (std::uint64_t i = 0; i < count_; ++i) {
    const std::optional<std::string_view> text = ReadString(in);
    if (!text) return std::nullopt;
    out.push_back(*text);
  }
  return out;
}

std::string GgufValue::ToString(std::size_t max_chars) const {
  if (type_ == GgufType::kString) return Escaped(Text(data_), max_chars);
  if (type_ != GgufType::kArray) return NumberToString(type_, data_);
  if (element_type_ == GgufType::kArray) return Cat("[", count_, " arrays]");
  std::string out = "[";
  ByteReader in(data_);
  for (std::uint64_t i = 0; i < count_; ++i) {
    if (i > 0) out += ", ";
    if (out.size() >= max_chars) return Cat(out, "... ", count_, " in all]");
    if (element_type_ == GgufType::kString) {
      out += '"' + Escaped(ReadString(in).value_or("?"), max_chars - out.size()) + '"';
    } else {
      out +=
          NumberToString(element_type_, in.Take(GgufScalarBytes(element_type_)).value_or(std::span<const std::byte>()));
    }
  }
  return out + "]";
}

std::string GgufValue::TypeName() const {
  if (type_ == GgufType::kArray) return Cat("array of ", GgufTypeName(element_type_));
  return GgufTypeName(type_);
}

}  // namespace slm
