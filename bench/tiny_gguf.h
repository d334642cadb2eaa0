// Writes small GGUF files in memory: well-formed ones for models made in tests, and malformed ones for the reader's.
// Shares no code with the reader.
//
//   TinyGguf file;
//   file.Set("general.architecture", "llama");
//   file.Set("llama.block_count", 2u);                      // u32: the C++ type chooses the GGUF type
//   file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
//   file.AddF32("token_embd.weight", {4, 2}, weights);      // shape in GGUF order, contiguous dimension first
//   std::string bytes = file.Build();

#ifndef SLM_BENCH_TINY_GGUF_H_
#define SLM_BENCH_TINY_GGUF_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "formats.h"

namespace slm {

// Little-endian pieces, in the order they are called: RawBytes().U32(3).String("key").str().
class RawBytes {
 public:
  RawBytes& U8(std::uint8_t value) { return Append(value); }
  RawBytes& U32(std::uint32_t value) { return Append(value); }
  RawBytes& U64(std::uint64_t value) { return Append(value); }
  RawBytes& Bytes(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  // As GGUF has it: u64 length, then the text.
  RawBytes& String(std::string_view text) { return U64(text.size()).Bytes(text); }
  template <typename T>
  requires std::is_arithmetic_v<T> RawBytes& Append(T value) {
    return Bytes({reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  RawBytes& PadTo(std::size_t alignment);
  const std::string& str() const { return bytes_; }

 private:
  std::string bytes_;
};

class TinyGguf {
 public:
  // Adds metadata. The same key may be given twice, for files that are wrong.
  template <typename T>
  requires std::is_arithmetic_v<T> TinyGguf& Set(std::string_view key, T value) {
    return SetRaw(key, TypeId<T>(), RawBytes().Append(value).str());
  }
  TinyGguf& Set(std::string_view key, std::string_view text) {
    return SetRaw(key, kString, RawBytes().String(text).str());
  }
  TinyGguf& Set(std::string_view key, const char* text) { return Set(key, std::string_view(text)); }
  TinyGguf& Set(std::string_view key, const std::vector<std::string>& texts);
  template <typename T>
  requires std::is_arithmetic_v<T> TinyGguf& Set(std::string_view key, const std::vector<T>& values) {
    RawBytes raw;
    raw.U32(TypeId<T>()).U64(values.size());
    for (const T value : values) raw.Append(value);
    return SetRaw(key, kArray, raw.str());
  }
  // Any type id and any bytes after it.
  TinyGguf& SetRaw(std::string_view key, std::uint32_t type, std::string_view value);

  // Adds a tensor of any type id with any bytes, whether or not they suit the shape.
  TinyGguf& AddTensor(std::string_view name, std::uint32_t type, std::vector<std::uint64_t> shape,
                      std::string_view data);
  TinyGguf& AddTensor(std::string_view name, Format format, std::vector<std::uint64_t> shape, std::string_view data) {
    return AddTensor(name, static_cast<std::uint32_t>(format), std::move(shape), data);
  }
  TinyGguf& AddF32(std::string_view name, std::vector<std::uint64_t> shape, std::span<const float> values);

  // The padding between tensors, as Build() writes it. Says nothing in the metadata: Set("general.alignment", ...)
  // does.
  TinyGguf& set_alignment(std::size_t alignment);
  // What the header claims, instead of the truth.
  TinyGguf& set_version(std::uint32_t version);
  TinyGguf& set_tensor_count(std::uint64_t count);
  TinyGguf& set_entry_count(std::uint64_t count);
  // What the table claims of the tensor added last.
  TinyGguf& set_dimension_count(std::uint32_t count);
  TinyGguf& set_offset(std::uint64_t offset);

  std::string Build() const;
  void Write(const std::filesystem::path& path) const;

 private:
  static constexpr std::uint32_t kString = 8;
  static constexpr std::uint32_t kArray = 9;

  template <typename T>
  static constexpr std::uint32_t TypeId() {
    if constexpr (std::same_as<T, std::uint8_t>) return 0;
    if constexpr (std::same_as<T, std::int8_t>) return 1;
    if constexpr (std::same_as<T, std::uint16_t>) return 2;
    if constexpr (std::same_as<T, std::int16_t>) return 3;
    if constexpr (std::same_as<T, std::uint32_t>) return 4;
    if constexpr (std::same_as<T, std::int32_t>) return 5;
    if constexpr (std::same_as<T, float>) return 6;
    if constexpr (std::same_as<T, bool>) return 7;
    if constexpr (std::same_as<T, std::uint64_t>) return 10;
    if constexpr (std::same_as<T, std::int64_t>) return 11;
    if constexpr (std::same_as<T, double>) return 12;
  }

  struct Tensor {
    std::string name;
    std::uint32_t type;
    std::vector<std::uint64_t> shape;
    std::string data;
    std::optional<std::uint32_t> dimension_count;
    std::optional<std::uint64_t> offset;
  };

  std::size_t alignment_ = 32;
  std::uint32_t version_ = 3;
  std::optional<std::uint64_t> tensor_count_;
  std::optional<std::uint64_t> entry_count_;
  std::size_t entries_ = 0;
  RawBytes metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace slm

#endif  // SLM_BENCH_TINY_GGUF_H_
