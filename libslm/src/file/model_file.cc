#include "slm/model_file.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "file/model_file_impl.h"
#include "file/split_file.h"

namespace slm {

namespace {

std::string FormatName(const GgufTensor& tensor) {
  if (tensor.format != nullptr) return tensor.format->name;
  const char* name = UnsupportedFormatName(tensor.type);
  if (name == nullptr) return Cat("unknown (id ", tensor.type, ")");
  const std::string_view with_advice = name;  // "Q4_0_4_4 (removed from GGUF; ...)"
  return std::string(with_advice.substr(0, with_advice.find(" (")));
}

std::string_view StringOr(const GgufFile& file, std::string_view key, std::string_view fallback) {
  const GgufValue* value = file.Find(key);
  return value != nullptr ? value->AsString().value_or(fallback) : fallback;
}

Result<GgufFile> ParseWhole(std::span<const std::byte> bytes, std::string_view name) {
  SLM_ASSIGN_OR_RETURN(GgufFile gguf, GgufFile::Parse(bytes, name));
  const Status status = RefusePart(gguf);
  if (!status.ok()) return Status(status.code(), Cat(name, ": ", status.message()));
  return gguf;
}

Result<ModelFile> OpenFrom(const std::filesystem::path& path, BytesFrom from) {
  SLM_ASSIGN_OR_RETURN(GgufPart given, OpenPart(path, from));
  SLM_ASSIGN_OR_RETURN(std::vector<GgufPart> opened, OpenAllParts(std::move(given), from));
  std::vector<FilePart> parts;
  std::vector<MappedFile> mappings;
  GgufFile gguf = std::move(opened.front().gguf);
  for (GgufPart& part : opened) {
    const Status status = parts.empty() ? Status() : gguf.AddPart(part.gguf);
    if (!status.ok()) return Status(status.code(), Cat(path.string(), ": ", status.message()));
    parts.push_back({.path = part.path.string(), .size = part.mapping.bytes().size()});
    mappings.push_back(std::move(part.mapping));
  }
  return Internal::Make<ModelFile>(
      std::make_shared<const ModelFileImpl>(path.string(), std::move(parts), std::move(mappings), std::move(gguf)));
}

}  // namespace

Result<ModelFile> ModelFile::Open(const std::filesystem::path& path) try { return OpenFrom(path, BytesFrom::kMapping); }
SLM_CATCH_OUT_OF_MEMORY

Result<ModelFile> ModelFile::Load(const std::filesystem::path& path) try { return OpenFrom(path, BytesFrom::kCopy); }
SLM_CATCH_OUT_OF_MEMORY

Result<ModelFile> ModelFile::FromMemory(std::span<const std::byte> bytes, std::string_view name) try {
  SLM_ASSIGN_OR_RETURN(GgufFile gguf, ParseWhole(bytes, name));
  std::vector<FilePart> parts = {{.path = std::string(name), .size = bytes.size()}};
  return ModelFile(std::make_shared<const ModelFileImpl>(std::string(name), std::move(parts), std::vector<MappedFile>(),
                                                         std::move(gguf)));
}
SLM_CATCH_OUT_OF_MEMORY

Result<ModelFile> ModelFile::FromDescriptor(int descriptor, std::string_view name) try {
  SLM_ASSIGN_OR_RETURN(MappedFile mapping, MappedFile::FromDescriptor(descriptor, name));
  SLM_ASSIGN_OR_RETURN(GgufFile gguf, ParseWhole(mapping.bytes(), name));
  std::vector<FilePart> parts = {{.path = std::string(name), .size = mapping.bytes().size()}};
  std::vector<MappedFile> mappings;
  mappings.push_back(std::move(mapping));
  return ModelFile(
      std::make_shared<const ModelFileImpl>(std::string(name), std::move(parts), std::move(mappings), std::move(gguf)));
}
SLM_CATCH_OUT_OF_MEMORY

std::string_view ModelFile::name() const {
  const std::string_view path = impl_->source;
  return StringOr(impl_->gguf, "general.name", path.substr(path.find_last_of('/') + 1));
}

std::string_view ModelFile::architecture() const { return StringOr(impl_->gguf, "general.architecture", ""); }

std::string_view ModelFile::chat_template(std::string_view name) const {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  return StringOr(impl_->gguf, name.empty() ? std::string(kKey) : Cat(kKey, ".", name), "");
}

std::uint32_t ModelFile::version() const { return impl_->gguf.version(); }
const std::vector<FilePart>& ModelFile::parts() const { return impl_->parts; }

std::uint64_t ModelFile::size() const {
  std::uint64_t bytes = 0;
  for (const FilePart& part : impl_->parts) bytes += part.size;
  return bytes;
}

std::uint64_t ModelFile::parameter_count() const {
  std::uint64_t count = 0;
  for (const GgufTensor& tensor : impl_->gguf.tensors()) count += tensor.elements();
  return count;
}

std::vector<TensorInfo> ModelFile::tensors() const {
  std::vector<TensorInfo> infos;
  for (const GgufTensor& tensor : impl_->gguf.tensors()) {
    infos.push_back({.name = tensor.name,
                     .format = FormatName(tensor),
                     .shape = {tensor.shape.begin(), tensor.shape.begin() + tensor.dimensions},
                     .part = static_cast<std::size_t>(tensor.part),
                     .file_offset = tensor.offset,
                     .size = tensor.data.size()});
  }
  return infos;
}

std::vector<MetadataEntry> ModelFile::metadata() const {
  constexpr std::size_t kShownCharacters = 1000;
  std::vector<MetadataEntry> entries;
  for (const GgufFile::Entry& entry : impl_->gguf.entries()) {
    entries.push_back(
        {.key = entry.key, .type = entry.value.TypeName(), .value = entry.value.ToString(kShownCharacters)});
  }
  return entries;
}

std::vector<BadNumber> ModelFile::FindBadNumbers() const {
  std::vector<BadNumber> found;
  for (const GgufTensor& tensor : impl_->gguf.tensors()) {
    if (tensor.format == nullptr) continue;
    const FormatInfo& format = *tensor.format;
    const std::int64_t blocks = static_cast<std::int64_t>(tensor.data.size() / format.block_bytes);
    const std::int64_t bad = format.find_bad_block(tensor.data.data(), blocks);
    if (bad < 0) continue;
    found.push_back({.tensor = std::string(tensor.name),
                     .block = static_cast<std::uint64_t>(bad),
                     .element = static_cast<std::uint64_t>(bad) * format.block_elements});
  }
  return found;
}

}  // namespace slm
