#include "file/gguf_writer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "base/format.h"
#include "base/keyed_hash.h"
#include "base/status_macros.h"
#include "file/escape.h"

namespace slm {

namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::array<std::byte, kAlignment> kZeros = {};
constexpr std::size_t kMaxName = 63;  // what llama.cpp's readers can hold
constexpr std::size_t kShownName = 80;
constexpr std::size_t kMaxParts = 65535;  // their number is a u16

std::uint64_t Aligned(std::uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

template <typename T>
void Append(std::string& out, T number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void AppendText(std::string& out, std::string_view text) {
  Append(out, std::uint64_t{text.size()});
  out += text;
}

std::string Typed(GgufType type) {
  std::string bytes;
  Append(bytes, type);
  return bytes;
}

std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

// What comes before the data of the first of `tensors`.
std::string Header(const GgufMetadata& metadata, std::span<const TensorHeader> tensors) {
  std::string out = "GGUF";
  Append(out, std::uint32_t{3});
  Append(out, std::uint64_t{tensors.size()});
  Append(out, std::uint64_t{metadata.size()});
  out += metadata.Bytes();
  std::uint64_t offset = 0;
  for (const TensorHeader& tensor : tensors) {
    AppendText(out, tensor.name);
    Append(out, static_cast<std::uint32_t>(tensor.shape.size()));
    for (const std::uint64_t extent : tensor.shape) Append(out, extent);
    Append(out, static_cast<std::uint32_t>(tensor.format));
    Append(out, offset);
    offset += Aligned(tensor.bytes());
  }
  out.resize(Aligned(out.size()));
  return out;
}

// How many of `tensors` go to each part.
std::vector<std::size_t> Parts(std::span<const TensorHeader> tensors, std::uint64_t max_part_bytes) {
  std::vector<std::size_t> counts = {0};
  std::uint64_t bytes = 0;
  for (const TensorHeader& tensor : tensors) {
    if (max_part_bytes > 0 && counts.back() > 0 && tensor.bytes() > max_part_bytes - std::min(bytes, max_part_bytes)) {
      counts.push_back(0);
      bytes = 0;
    }
    ++counts.back();
    bytes += Aligned(tensor.bytes());
  }
  return counts;
}

std::filesystem::path PartPath(const std::filesystem::path& path, std::size_t part, std::size_t parts) {
  if (parts == 1) return path;
  std::array<char, 64> suffix;
  std::snprintf(suffix.data(), suffix.size(), "-%05zu-of-%05zu.gguf", part + 1, parts);
  std::filesystem::path base = path;
  if (base.extension() == ".gguf") base.replace_extension();
  return base += suffix.data();
}

Status CheckTensors(std::span<const TensorHeader> tensors) {
  std::unordered_set<std::string_view, KeyedHasher> names;
  for (const TensorHeader& tensor : tensors) {
    const auto refuse = [&](const auto&... what) {
      return Status(StatusCode::kInvalidArgument,
                    Cat("cannot write tensor ", Escaped(tensor.name, kShownName), ": ", what...));
    };
    if (tensor.name.empty() || tensor.name.size() > kMaxName)
      return refuse("its name has ", tensor.name.size(), " bytes; 1 to ", kMaxName, " are possible");
    if (!names.insert(tensor.name).second) return refuse("there are two of that name");
    if (tensor.shape.empty() || tensor.shape.size() > 4 || std::ranges::count(tensor.shape, 0u) > 0)
      return refuse("a tensor has 1 to 4 dimensions, none of them 0");
    const FormatInfo* const format = FindFormat(static_cast<std::uint32_t>(tensor.format));
    if (tensor.shape[0] % format->block_elements != 0) {
      return refuse("its rows of ", tensor.shape[0], " numbers are no whole blocks of ", format->block_elements,
                    ", as format ", format->name, " needs them");
    }
  }
  return {};
}

Status CheckRoom(const std::filesystem::path& path, std::uint64_t bytes) {
  std::error_code error;
  const auto space = std::filesystem::space(path.has_parent_path() ? path.parent_path() : ".", error);
  if (error || space.available >= bytes) return {};  // what the system doesn't know, it will say while writing
  return Status(StatusCode::kIoError, Cat("cannot write ", path.string(), ": it needs ", bytes,
                                          " bytes, and the disk has room for ", space.available));
}

}  // namespace

std::uint64_t TensorHeader::bytes() const {
  const FormatInfo& info = *FindFormat(static_cast<std::uint32_t>(format));
  std::uint64_t bytes = shape[0] / info.block_elements * info.block_bytes;
  for (const std::uint64_t extent : std::span(shape).subspan(1)) bytes *= extent;
  return bytes;
}

GgufMetadata::GgufMetadata(const GgufFile& file) {
  entries_.reserve(file.entries().size());
  for (const auto& [key, value] : file.entries()) {
    const std::string_view data(reinterpret_cast<const char*>(value.data().data()), value.data().size());
    std::string bytes = Typed(value.type());
    if (value.type() == GgufType::kArray) {
      Append(bytes, value.element_type());
      Append(bytes, value.count());
    }
    if (value.type() == GgufType::kString) Append(bytes, std::uint64_t{data.size()});
    entries_.push_back({std::string(key), bytes.append(data)});
  }
}

GgufMetadata& GgufMetadata::Set(std::string_view key, std::string_view text) {
  std::string bytes;
  AppendText(bytes, text);
  return SetBytes(key, GgufType::kString, bytes);
}

GgufMetadata& GgufMetadata::Set(std::string_view key, const std::vector<std::string>& texts) {
  std::string bytes;
  for (const std::string& text : texts) AppendText(bytes, text);
  return SetArray(key, GgufType::kString, texts.size(), bytes);
}

GgufMetadata& GgufMetadata::Set(std::string_view key, const std::vector<bool>& values) {
  std::string bytes;
  for (const bool value : values) bytes += value ? '\1' : '\0';
  return SetArray(key, GgufType::kBool, values.size(), bytes);
}

GgufMetadata& GgufMetadata::SetArray(std::string_view key, GgufType element, std::size_t count,
                                     std::string_view bytes) {
  std::string array;
  Append(array, element);
  Append(array, std::uint64_t{count});
  return SetBytes(key, GgufType::kArray, array.append(bytes));
}

GgufMetadata& GgufMetadata::SetBytes(std::string_view key, GgufType type, std::string_view bytes) {
  std::string value = Typed(type).append(bytes);
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  if (found != entries_.end()) {
    found->value = std::move(value);
  } else {
    entries_.push_back({std::string(key), std::move(value)});
  }
  return *this;
}

void GgufMetadata::Remove(std::string_view key) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.key == key; });
}

bool GgufMetadata::Has(std::string_view key) const {
  return std::ranges::find(entries_, key, &Entry::key) != entries_.end();
}

std::string GgufMetadata::Bytes() const {
  std::string bytes;
  for (const Entry& entry : entries_) {
    AppendText(bytes, entry.key);
    bytes += entry.value;
  }
  return bytes;
}

Result<GgufWriter> GgufWriter::Create(const std::filesystem::path& path, GgufMetadata metadata,
                                      std::vector<TensorHeader> tensors, std::uint64_t max_part_bytes) {
  SLM_RETURN_IF_ERROR(CheckTensors(tensors));
  for (const char* key : {"general.alignment", "split.no", "split.count", "split.tensors.count"}) metadata.Remove(key);
  GgufWriter writer;
  const std::vector<std::size_t> counts = Parts(tensors, max_part_bytes);
  if (counts.size() > kMaxParts) {
    return Status(StatusCode::kInvalidArgument, Cat("cannot split ", path.string(), " into ", counts.size(),
                                                    " parts: ", kMaxParts, " at most are possible"));
  }
  std::size_t first = 0;
  for (std::size_t part = 0; part < counts.size(); ++part) {
    GgufMetadata of_part = std::exchange(metadata, {});  // all of it is the first one's
    if (counts.size() > 1) {
      of_part.Set("split.no", static_cast<std::uint16_t>(part));
      of_part.Set("split.count", static_cast<std::uint16_t>(counts.size()));
      of_part.Set("split.tensors.count", static_cast<std::int32_t>(tensors.size()));
    }
    const std::span own = std::span(std::as_const(tensors)).subspan(first, counts[part]);
    first += counts[part];
    writer.paths_.push_back(PartPath(path, part, counts.size()));
    writer.headers_.push_back(Header(of_part, own));
    writer.total_bytes_ += writer.headers_.back().size();
    for (const TensorHeader& tensor : own) writer.total_bytes_ += Aligned(tensor.bytes());
    writer.part_of_.insert(writer.part_of_.end(), own.size(), part);
  }
  writer.tensors_ = std::move(tensors);
  writer.left_ = writer.tensors_.empty() ? 0 : writer.tensors_.front().bytes();
  // What can't be written is known before anything is computed.
  SLM_RETURN_IF_ERROR(CheckRoom(path, writer.total_bytes_));
  for (std::size_t part = 0; part < counts.size(); ++part) SLM_RETURN_IF_ERROR(writer.BeginPart(part));
  return writer;
}

Status GgufWriter::BeginPart(std::size_t part) {
  SLM_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(paths_[part], AtomicFile::Readers::kAsUsual));
  SLM_RETURN_IF_ERROR(file.Write(BytesOf(headers_[part])));
  files_.push_back(std::move(file));
  return {};
}

Status GgufWriter::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    assert(tensor_ < tensors_.size() && "more data than the tensors have");
    const auto piece = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
    SLM_RETURN_IF_ERROR(files_[part_of_[tensor_]].Write(piece));
    bytes = bytes.subspan(piece.size());
    left_ -= piece.size();
    if (left_ == 0) SLM_RETURN_IF_ERROR(EndTensor());
  }
  return {};
}

Status GgufWriter::EndTensor() {
  const std::uint64_t size = tensors_[tensor_].bytes();
  SLM_RETURN_IF_ERROR(
      files_[part_of_[tensor_]].Write(std::span(kZeros).first(static_cast<std::size_t>(Aligned(size) - size))));
  ++tensor_;
  if (tensor_ < tensors_.size()) left_ = tensors_[tensor_].bytes();
  return {};
}

Status GgufWriter::Commit() {
  assert(tensor_ == tensors_.size() && "less data than the tensors have");
  for (auto file = files_.rbegin(); file != files_.rend(); ++file) SLM_RETURN_IF_ERROR(file->Commit());
  return {};
}

}  // namespace slm
