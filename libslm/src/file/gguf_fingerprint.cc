#include "file/gguf_fingerprint.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/checksum.h"

namespace slm {

namespace {

// Of the beginning, the middle and the end of a tensor. Less would not be faster: a page is read at once.
constexpr std::size_t kSampleBytes = 1024;

template <typename T>
void AddNumber(Checksum& hash, T value) {
  static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
  const auto number = static_cast<std::uint64_t>(value);
  hash.Update(std::as_bytes(std::span(&number, 1)));
}

// With its size, so that what is part of this text can't be taken for part of the next.
void AddText(Checksum& hash, std::string_view text) {
  AddNumber(hash, text.size());
  hash.Update(std::as_bytes(std::span(text)));
}

void AddSample(Checksum& hash, std::span<const std::byte> data) {
  AddNumber(hash, data.size());
  const std::size_t size = std::min(kSampleBytes, data.size());
  hash.Update(data.first(size));
  hash.Update(data.subspan((data.size() - size) / 2, size));
  hash.Update(data.last(size));
}

}  // namespace

std::uint64_t Fingerprint(const GgufFile& file) {
  Checksum hash;
  AddNumber(hash, file.entries().size());
  for (const auto& [key, value] : file.entries()) {
    AddText(hash, key);
    AddNumber(hash, value.type());
    AddNumber(hash, value.element_type());
    AddNumber(hash, value.data().size());
    hash.Update(value.data());
  }
  for (const GgufTensor& tensor : file.tensors()) {
    AddText(hash, tensor.name);
    AddNumber(hash, tensor.type);
    for (const std::uint64_t dimension : tensor.shape) AddNumber(hash, dimension);
    AddSample(hash, tensor.data);
  }
  return hash.Digest();
}

}  // namespace slm
