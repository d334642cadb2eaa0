#include "tiny_gguf.h"

#include <fstream>
#include <stdexcept>
#include <utility>

namespace slm {

RawBytes& RawBytes::PadTo(std::size_t alignment) {
  while (bytes_.size() % alignment != 0) bytes_ += '\0';
  return *this;
}

TinyGguf& TinyGguf::Set(std::string_view key, const std::vector<std::string>& texts) {
  RawBytes raw;
  raw.U32(kString).U64(texts.size());
  for (const std::string& text : texts) raw.String(text);
  return SetRaw(key, kArray, raw.str());
}

TinyGguf& TinyGguf::SetRaw(std::string_view key, std::uint32_t type, std::string_view value) {
  metadata_.String(key).U32(type).Bytes(value);
  ++entries_;
  return *this;
}

TinyGguf& TinyGguf::AddTensor(std::string_view name, std::uint32_t type, std::vector<std::uint64_t> shape,
                              std::string_view data) {
  tensors_.push_back({std::string(name), type, std::move(shape), std::string(data), {}, {}});
  return *this;
}

TinyGguf& TinyGguf::AddF32(std::string_view name, std::vector<std::uint64_t> shape, std::span<const float> values) {
  return AddTensor(name, Format::kF32, std::move(shape),
                   {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

TinyGguf& TinyGguf::set_alignment(std::size_t alignment) {
  alignment_ = alignment;
  return *this;
}

TinyGguf& TinyGguf::set_version(std::uint32_t version) {
  version_ = version;
  return *this;
}

TinyGguf& TinyGguf::set_tensor_count(std::uint64_t count) {
  tensor_count_ = count;
  return *this;
}

TinyGguf& TinyGguf::set_entry_count(std::uint64_t count) {
  entry_count_ = count;
  return *this;
}

TinyGguf& TinyGguf::set_dimension_count(std::uint32_t count) {
  tensors_.back().dimension_count = count;
  return *this;
}

TinyGguf& TinyGguf::set_offset(std::uint64_t offset) {
  tensors_.back().offset = offset;
  return *this;
}

std::string TinyGguf::Build() const {
  RawBytes out;
  out.Bytes("GGUF").U32(version_);
  out.U64(tensor_count_.value_or(tensors_.size())).U64(entry_count_.value_or(entries_));
  out.Bytes(metadata_.str());
  RawBytes data;
  for (const Tensor& tensor : tensors_) {
    out.String(tensor.name);
    out.U32(tensor.dimension_count.value_or(static_cast<std::uint32_t>(tensor.shape.size())));
    for (const std::uint64_t extent : tensor.shape) out.U64(extent);
    out.U32(tensor.type).U64(tensor.offset.value_or(data.str().size()));
    data.Bytes(tensor.data).PadTo(alignment_);
  }
  if (!tensors_.empty()) out.PadTo(alignment_).Bytes(data.str());
  return out.str();
}

void TinyGguf::Write(const std::filesystem::path& path) const {
  const std::string bytes = Build();
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace slm
