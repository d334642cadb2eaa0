// Parsing: header, metadata, tensor table, and where the tensors lie. Values are in gguf_value.cc.

#include "file/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "file/byte_reader.h"
#include "file/escape.h"
#include "file/foreign_file.h"

namespace slm {
namespace {

constexpr std::string_view kMagic = "GGUF";

// The least a metadata entry (key length, value type, one byte) and a tensor (name length, dimension count, type,
// offset) take in the file.
constexpr std::uint64_t kMinEntryBytes = 13;
constexpr std::uint64_t kMinTensorBytes = 24;

constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint64_t kMaxTensorNameBytes = 64;
constexpr std::uint64_t kMaxStringBytes = 64 << 20;
constexpr std::uint64_t kMaxArrayCount = 1 << 30;
constexpr int kMaxArrayDepth = 8;  // arrays in arrays; no file in use has any
constexpr std::uint64_t kMaxAlignment = 1 << 20;
constexpr std::uint64_t kMaxElements = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMaxFileBytes = std::numeric_limits<std::int64_t>::max();

// What is being read, for messages: `metadata entry 3`, or `metadata entry "general.name"` once its name is known.
struct Place {
  const char* kind;
  std::uint64_t ordinal = 0;  // from 1; 0 if there is only one
  std::string_view name = {};
};

std::string ToString(const Place& place) {
  if (!place.name.empty()) return Cat(place.kind, " ", Quoted(place.name));
  if (place.ordinal > 0) return Cat(place.kind, " ", place.ordinal);
  return place.kind;
}

template <typename... Parts>
Status Corrupt(const Parts&... parts) {
  return Status(StatusCode::kCorruptFile, Cat(parts...));
}

// The file has `size` bytes and needs `needed`; `detail` says what lies beyond its end.
Status Truncated(const char* at_least, std::uint64_t needed, std::uint64_t size, std::string_view detail) {
  return Corrupt("file truncated: needs ", at_least, needed, " bytes, has ", size, " (", needed - size,
                 " missing): ", detail, ". The download is incomplete or the file damaged; fetch it again.");
}

// `count` bytes are wanted where `in` stands, and they are not there.
Status EndsInside(const ByteReader& in, std::uint64_t count, const Place& place, const char* what) {
  return Truncated("at least ", in.position() + count, in.size(),
                   Cat("it ends inside ", what, " of ", ToString(place), ", which begins at byte ", in.position()));
}

template <typename T>
Result<T> Read(ByteReader& in, const Place& place, const char* what) {
  const std::optional<T> value = in.Read<T>();
  if (!value) return EndsInside(in, sizeof(T), place, what);
  return *value;
}

// A length, then that many bytes.
Result<std::string_view> ReadString(ByteReader& in, const Place& place, const char* what, std::uint64_t max_bytes) {
  const std::size_t begin = in.position();
  SLM_ASSIGN_OR_RETURN(const std::uint64_t length, Read<std::uint64_t>(in, place, what));
  if (length > max_bytes) {
    return Corrupt(what, " of ", ToString(place), " at byte ", begin, " claims to be ", length,
                   " bytes long, more than the ", max_bytes, " allowed. The file is damaged.");
  }
  const auto bytes = in.Take(length);
  if (!bytes) return EndsInside(in, length, place, what);
  return std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

// A key or the name of a tensor. A NUL inside would make programs that end names there see another name.
Result<std::string_view> ReadName(ByteReader& in, const Place& place, const char* what, std::uint64_t max_bytes) {
  const std::size_t begin = in.position();
  SLM_ASSIGN_OR_RETURN(const std::string_view name, ReadString(in, place, what, max_bytes));
  if (name.empty()) return Corrupt(what, " of ", ToString(place), " at byte ", begin, " is empty.");
  if (name.find('\0') != std::string_view::npos) {
    return Corrupt(what, " of ", ToString(place), " at byte ", begin, " contains a NUL byte: ", Quoted(name), ".");
  }
  return name;
}

Result<GgufType> ReadType(ByteReader& in, const Place& place, const char* what) {
  const std::size_t begin = in.position();
  SLM_ASSIGN_OR_RETURN(const std::uint32_t id, Read<std::uint32_t>(in, place, what));
  const auto type = static_cast<GgufType>(id);
  if (type != GgufType::kString && type != GgufType::kArray && GgufScalarBytes(type) == 0) {
    return Corrupt(what, " of ", ToString(place), " at byte ", begin, " is ", id, "; GGUF knows the types 0 to 12.");
  }
  return type;
}

// The bytes that an element takes at least: an array its element type and count, a string its length.
std::uint64_t LeastBytes(GgufType type) {
  if (type == GgufType::kArray) return sizeof(std::uint32_t) + sizeof(std::uint64_t);
  return type == GgufType::kString ? sizeof(std::uint64_t) : GgufScalarBytes(type);
}

// `depth`: of the arrays around it and its own. What is in arrays of arrays is checked and can be shown, but nothing
// asks for it.
Result<GgufValue> ReadArray(ByteReader& in, const Place& place, int depth = 1) {
  const std::size_t begin = in.position();
  if (depth > kMaxArrayDepth) {
    return Corrupt("the value of ", ToString(place), " at byte ", begin, " nests arrays more than ", kMaxArrayDepth,
                   " deep. The file is damaged.");
  }
  SLM_ASSIGN_OR_RETURN(const GgufType element_type, ReadType(in, place, "the element type"));
  SLM_ASSIGN_OR_RETURN(const std::uint64_t count, Read<std::uint64_t>(in, place, "the element count"));
  if (count > kMaxArrayCount) {
    return Corrupt("the array of ", ToString(place), " at byte ", begin, " claims to have ", count,
                   " elements, more than the ", kMaxArrayCount, " allowed. The file is damaged.");
  }
  const std::uint64_t least_bytes = count * LeastBytes(element_type);
  if (least_bytes > in.remaining()) return EndsInside(in, least_bytes, place, "the array");
  ByteReader elements = in;
  if (element_type == GgufType::kString) {
    for (std::uint64_t i = 0; i < count; ++i) {
      SLM_RETURN_IF_ERROR(ReadString(in, place, "a string in the array", kMaxStringBytes).status());
    }
  } else if (element_type == GgufType::kArray) {
    for (std::uint64_t i = 0; i < count; ++i) SLM_RETURN_IF_ERROR(ReadArray(in, place, depth + 1).status());
  } else {
    in.Take(least_bytes);
  }
  return GgufValue(GgufType::kArray, element_type, count, *elements.Take(in.position() - elements.position()));
}

Result<GgufValue> ReadValue(ByteReader& in, const Place& place) {
  SLM_ASSIGN_OR_RETURN(const GgufType type, ReadType(in, place, "the value type"));
  if (type == GgufType::kArray) return ReadArray(in, place);
  if (type == GgufType::kString) {
    SLM_ASSIGN_OR_RETURN(const std::string_view text, ReadString(in, place, "the value", kMaxStringBytes));
    return GgufValue(type, type, 0, std::as_bytes(std::span(text)));
  }
  const auto bytes = in.Take(GgufScalarBytes(type));
  if (!bytes) return EndsInside(in, GgufScalarBytes(type), place, "the value");
  return GgufValue(type, type, 0, *bytes);
}

Result<GgufFile::Entry> ReadEntry(ByteReader& in, std::uint64_t ordinal) {
  Place place{"metadata entry", ordinal};
  SLM_ASSIGN_OR_RETURN(place.name, ReadName(in, place, "the key", kMaxKeyBytes));
  SLM_ASSIGN_OR_RETURN(GgufValue value, ReadValue(in, place));
  return GgufFile::Entry{place.name, value};
}

Result<std::uint64_t> Alignment(const GgufValue& value) {
  const std::optional<std::uint64_t> alignment = value.AsUnsigned();
  if (value.type() != GgufType::kU32 || !std::has_single_bit(*alignment) || *alignment > kMaxAlignment) {
    return Corrupt("key \"general.alignment\" must be a u32 and a power of two up to ", kMaxAlignment, "; it is a ",
                   value.TypeName(), " and holds ", value.ToString(40), ".");
  }
  return *alignment;
}

std::string ShapeToString(const GgufTensor& tensor) {
  std::string out = "[";
  for (int i = 0; i < tensor.dimensions; ++i) out += Cat(i > 0 ? ", " : "", tensor.shape[i]);
  return out + "]";
}

Status ReadShape(ByteReader& in, const Place& place, GgufTensor& tensor) {
  const std::size_t begin = in.position();
  SLM_ASSIGN_OR_RETURN(const std::uint32_t dimensions, Read<std::uint32_t>(in, place, "the number of dimensions"));
  if (dimensions > tensor.shape.size()) {
    return Corrupt(ToString(place), " claims to have ", dimensions, " dimensions at byte ", begin,
                   "; the most allowed is ", tensor.shape.size(), ".");
  }
  tensor.dimensions = static_cast<int>(dimensions);
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    SLM_ASSIGN_OR_RETURN(const std::uint64_t extent, Read<std::uint64_t>(in, place, "the shape"));
    tensor.shape[i] = extent;
    if (extent == 0) {
      return Corrupt(ToString(place), ": dimension ", i, " is 0 at byte ", in.position() - sizeof(extent),
                     "; it must be at least 1.");
    }
    if (extent > kMaxElements / elements) {
      return Corrupt(ToString(place), ": dimension ", i, " is ", extent, " at byte ", in.position() - sizeof(extent),
                     ", which makes more than 2^63 - 1 elements. The file is damaged.");
    }
    elements *= extent;
  }
  return Status();
}

// Offset from the beginning of the data section, and bytes. Of a tensor whose format is not known one byte is all that
// is certain.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t size = 1;
};

// Sets everything in `tensor` but where it lies, which the end of the table decides.
Result<Extent> ReadTensor(ByteReader& in, std::uint64_t ordinal, std::uint64_t alignment, GgufTensor& tensor) {
  Place place{"tensor", ordinal};
  SLM_ASSIGN_OR_RETURN(place.name, ReadName(in, place, "the name", kMaxTensorNameBytes));
  tensor.name = place.name;
  SLM_RETURN_IF_ERROR(ReadShape(in, place, tensor));
  SLM_ASSIGN_OR_RETURN(tensor.type, Read<std::uint32_t>(in, place, "the type"));
  const std::size_t offset_at = in.position();
  Extent extent;
  SLM_ASSIGN_OR_RETURN(extent.offset, Read<std::uint64_t>(in, place, "the offset"));
  if (extent.offset % alignment != 0) {
    return Corrupt(ToString(place), ": offset ", extent.offset, " at byte ", offset_at,
                   " is not a multiple of the alignment, ", alignment, ".");
  }
  tensor.format = FindFormat(tensor.type);
  if (tensor.format == nullptr) return extent;
  const FormatInfo& format = *tensor.format;
  if (tensor.shape[0] % format.block_elements != 0) {
    return Corrupt(ToString(place), ": shape ", ShapeToString(tensor), " does not suit its format: rows of ",
                   format.name, " hold a multiple of ", format.block_elements, " elements, not ", tensor.shape[0], ".");
  }
  const std::uint64_t blocks = tensor.elements() / format.block_elements;
  if (blocks > kMaxFileBytes / format.block_bytes) {
    return Corrupt(ToString(place), ": shape ", ShapeToString(tensor), " of ", format.name,
                   " makes more bytes than any file can hold. The file is damaged.");
  }
  extent.size = blocks * format.block_bytes;
  return extent;
}

// Checks that the tensors lie in the file, and apart. The sums can't wrap once the first loop has passed.
Status CheckExtents(std::span<const GgufTensor> tensors, std::span<const Extent> extents, std::uint64_t data_begin,
                    std::uint64_t file_size) {
  const auto end = [&](std::size_t i) { return data_begin + extents[i].offset + extents[i].size; };
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i : order) {
    const std::uint64_t most = kMaxFileBytes - data_begin;
    if (extents[i].size > most || extents[i].offset > most - extents[i].size) {
      return Corrupt("tensor ", Quoted(tensors[i].name), ": offset ", extents[i].offset,
                     " lies beyond the end of any file. The file is damaged.");
    }
  }
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(extents[i].offset, i); });
  for (std::size_t k = 1; k < order.size(); ++k) {
    const std::size_t before = order[k - 1];
    const std::size_t after = order[k];
    if (data_begin + extents[after].offset < end(before)) {
      return Corrupt("tensors ", Quoted(tensors[before].name), " and ", Quoted(tensors[after].name),
                     " overlap: the first ends at byte ", end(before), ", the second begins at byte ",
                     data_begin + extents[after].offset, ". The file is damaged.");
    }
  }
  if (order.empty()) return Status();
  // As they do not overlap, the last to begin is the last to end.
  const std::size_t last = order.back();
  if (end(last) > file_size) {
    return Truncated("", end(last), file_size, Cat("tensor ", Quoted(tensors[last].name), " ends beyond it"));
  }
  return Status();
}

Result<std::uint32_t> ReadVersion(ByteReader& in, const Place& header) {
  SLM_ASSIGN_OR_RETURN(const std::uint32_t version, Read<std::uint32_t>(in, header, "the version"));
  if (version == 2 || version == 3) return version;
  constexpr std::string_view kWanted = "this library reads the versions 2 and 3, little endian";
  if (version == 0) return Corrupt("GGUF version 0 at byte 4 does not exist; ", kWanted, ". The file is damaged.");
  // The bytes of a small number, the other way round.
  if ((version & 0xffff) == 0) {
    return Status(StatusCode::kUnsupported, Cat("the version at byte 4 has the other byte order (big endian); ",
                                                kWanted, ". Fetch a little-endian file."));
  }
  const char* advice = version == 1 ? "The file is too old: fetch a newer conversion of the model, or convert it again."
                                    : "The file is too new, or damaged.";
  return Status(StatusCode::kUnsupported,
                Cat("GGUF version ", version, " at byte 4 is not supported; ", kWanted, ". ", advice));
}

// The number of things that follow, each of which takes some bytes.
Result<std::uint64_t> ReadCount(ByteReader& in, const Place& header, const char* what, std::uint64_t min_bytes) {
  const std::size_t begin = in.position();
  SLM_ASSIGN_OR_RETURN(const std::uint64_t count, Read<std::uint64_t>(in, header, what));
  if (count > in.remaining() / min_bytes) {
    return Corrupt(what, " at byte ", begin, " is ", count, ", but the ", in.remaining(),
                   " bytes after it have room for ", in.remaining() / min_bytes,
                   " at most. The file is truncated or damaged; fetch it again.");
  }
  return count;
}

Status CheckMagic(std::span<const std::byte> bytes) {
  const std::size_t length = std::min(bytes.size(), kMagic.size());
  if (length > 0 && std::memcmp(bytes.data(), kMagic.data(), length) != 0) return DescribeForeignFile(bytes);
  if (length < kMagic.size()) {
    return Truncated("at least ", kMagic.size(), length, "it ends before the magic number \"GGUF\" does");
  }
  return Status();
}

}  // namespace

Result<GgufFile> GgufFile::Parse(std::span<const std::byte> bytes, std::string_view source) {
  GgufFile file;
  const Status status = file.Read(bytes);
  if (!status.ok()) return Status(status.code(), Cat(source, ": ", status.message()));
  return file;
}

Status GgufFile::Read(std::span<const std::byte> bytes) {
  SLM_RETURN_IF_ERROR(CheckMagic(bytes));
  ByteReader in(bytes);
  in.Take(kMagic.size());
  const Place header{"the header"};
  SLM_ASSIGN_OR_RETURN(version_, ReadVersion(in, header));
  SLM_ASSIGN_OR_RETURN(const std::uint64_t tensor_count, ReadCount(in, header, "the tensor count", kMinTensorBytes));
  SLM_ASSIGN_OR_RETURN(const std::uint64_t entry_count, ReadCount(in, header, "the metadata count", kMinEntryBytes));
  SLM_RETURN_IF_ERROR(ReadEntries(in, entry_count));
  if (const GgufValue* value = Find("general.alignment")) {
    SLM_ASSIGN_OR_RETURN(alignment_, Alignment(*value));
  }
  return ReadTensors(bytes, in, tensor_count);
}

Status GgufFile::ReadEntries(ByteReader& in, std::uint64_t count) {
  // No reserve, here and below: memory grows only with what has been found in the file.
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t begin = in.position();
    SLM_ASSIGN_OR_RETURN(const Entry entry, ReadEntry(in, i + 1));
    if (!entry_index_.emplace(entry.key, entries_.size()).second) {
      return Corrupt("key ", Quoted(entry.key), " occurs twice, the second time at byte ", begin, ".");
    }
    entries_.push_back(entry);
  }
  return Status();
}

Status GgufFile::ReadTensors(std::span<const std::byte> bytes, ByteReader& in, std::uint64_t count) {
  std::vector<Extent> extents;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t begin = in.position();
    GgufTensor tensor;
    SLM_ASSIGN_OR_RETURN(const Extent extent, ReadTensor(in, i + 1, alignment_, tensor));
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second) {
      return Corrupt("tensor ", Quoted(tensor.name), " occurs twice, the second time at byte ", begin, ".");
    }
    tensors_.push_back(tensor);
    extents.push_back(extent);
  }
  const std::uint64_t data_begin = (in.position() + alignment_ - 1) / alignment_ * alignment_;
  SLM_RETURN_IF_ERROR(CheckExtents(tensors_, extents, data_begin, bytes.size()));
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    GgufTensor& tensor = tensors_[i];
    tensor.offset = data_begin + extents[i].offset;
    if (tensor.format != nullptr) tensor.data = bytes.subspan(tensor.offset, extents[i].size);
  }
  return Status();
}

Status GgufFile::AddPart(const GgufFile& part) {
  for (GgufTensor tensor : part.tensors_) {
    tensor.part = parts_;
    const auto [found, added] = tensor_index_.emplace(tensor.name, tensors_.size());
    if (!added) {
      return Corrupt("tensor ", Quoted(tensor.name), " occurs in two parts, ", tensors_[found->second].part + 1,
                     " and ", tensor.part + 1, ".");
    }
    tensors_.push_back(tensor);
  }
  ++parts_;
  return Status();
}

const GgufValue* GgufFile::Find(std::string_view key) const {
  const auto found = entry_index_.find(key);
  return found == entry_index_.end() ? nullptr : &entries_[found->second].value;
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace slm
