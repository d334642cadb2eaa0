#include "file/split_file.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "file/escape.h"

namespace slm {
namespace {

constexpr std::uint64_t kMaxParts = 65535;  // writers store the count in 16 bits
constexpr std::string_view kTogether = "The parts do not belong together, or one is damaged; fetch them again.";

// What a file says of itself. count is 1 for one that is no part.
struct SplitKeys {
  std::uint64_t index = 0;
  std::uint64_t count = 1;
  std::optional<std::uint64_t> tensors = {};  // of all parts
};

Result<std::optional<std::uint64_t>> ReadKey(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.Find(key);
  if (value == nullptr) return std::optional<std::uint64_t>();
  const std::optional<std::uint64_t> number = value->AsUnsigned();
  if (number) return number;
  return Status(StatusCode::kCorruptFile, Cat("metadata key ", key, ": expected a number of at least 0, found ",
                                              value->ToString(40), " (", value->TypeName(), ")"));
}

Result<SplitKeys> ReadKeys(const GgufFile& file) {
  SplitKeys keys;
  SLM_ASSIGN_OR_RETURN(const std::optional<std::uint64_t> count, ReadKey(file, "split.count"));
  if (!count || *count <= 1) return keys;
  if (*count > kMaxParts) {
    return Status(StatusCode::kCorruptFile, Cat("split.count says that this is one of ", *count,
                                                " parts; expected at most ", kMaxParts, ". The file is damaged."));
  }
  SLM_ASSIGN_OR_RETURN(const std::optional<std::uint64_t> index, ReadKey(file, "split.no"));
  SLM_ASSIGN_OR_RETURN(keys.tensors, ReadKey(file, "split.tensors.count"));
  if (!index || *index >= *count) {
    return Status(StatusCode::kCorruptFile,
                  Cat("split.count says that this is one of ", *count, " parts; expected split.no from 0 to ",
                      *count - 1, ", found ", index ? std::to_string(*index) : "none"));
  }
  keys.index = *index;
  keys.count = *count;
  return keys;
}

// "-00002-of-00003.gguf"
std::string Suffix(std::uint64_t index, std::uint64_t count) {
  const auto five_digits = [](std::uint64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return Cat("-", five_digits(index + 1), "-of-", five_digits(count), ".gguf");
}

// GGUF files joined end to end: another one begins right after the last tensor, or the padding behind it.
bool IsJoined(const GgufPart& part) {
  constexpr std::string_view kMagic = "GGUF";
  const std::span<const std::byte> bytes = part.mapping.bytes();
  const std::uint64_t alignment = part.gguf.alignment();
  std::uint64_t end = 0;
  for (const GgufTensor& tensor : part.gguf.tensors()) end = std::max(end, tensor.offset + tensor.data.size());
  for (const std::uint64_t at : {end, (end + alignment - 1) / alignment * alignment}) {
    if (at > bytes.size() || bytes.size() - at < kMagic.size()) continue;
    if (std::memcmp(bytes.data() + at, kMagic.data(), kMagic.size()) == 0) return true;
  }
  return false;
}

// The path up to the suffix, by which the other parts are found.
Result<std::string> Prefix(const GgufPart& part, const SplitKeys& keys) {
  const std::string path = part.path.string();
  const std::string suffix = Suffix(keys.index, keys.count);
  if (path.ends_with(suffix)) return path.substr(0, path.size() - suffix.size());
  if (IsJoined(part)) {
    return Status(StatusCode::kCorruptFile,
                  Cat(path,
                      ": it holds several parts of a split model joined end to end, which makes no GGUF file. Keep "
                      "every part in a file of its own, under its own name (...",
                      suffix, ")."));
  }
  return Status(StatusCode::kNotFound,
                Cat(path, ": the file is part ", keys.index + 1, " of a model split into ", keys.count,
                    " files, which are found by their names; expected one that ends in ", suffix,
                    ". Give all parts their original names."));
}

// The parts that are not there: "a.gguf, b.gguf and 7 more".
class Missing {
 public:
  void Add(const std::filesystem::path& path) {
    constexpr std::size_t kMost = 5;
    if (++count_ <= kMost) list_ += Cat(count_ > 1 ? ", " : "", path.filename().string());
    more_ = count_ - std::min(count_, kMost);
  }
  std::size_t count() const { return count_; }
  std::string ToString() const { return more_ > 0 ? Cat(list_, " and ", more_, " more") : list_; }

 private:
  std::string list_;
  std::size_t count_ = 0;
  std::size_t more_ = 0;
};

Status CheckPart(const GgufPart& part, const GgufPart& first, std::uint64_t index, std::uint64_t count) {
  Result<SplitKeys> keys = ReadKeys(part.gguf);
  if (!keys.ok()) return Status(keys.status().code(), Cat(part.path.string(), ": ", keys.status().message()));
  const auto corrupt = [&](const std::string& expected, const std::string& found) {
    return Status(StatusCode::kCorruptFile,
                  Cat(part.path.string(), ": expected ", expected, ", found ", found, ". ", kTogether));
  };
  if (keys->index != index || keys->count != count) {
    return corrupt(
        Cat("part ", index + 1, " of ", count, " (split.no ", index, ", split.count ", count, ")"),
        keys->count == 1 ? "a file that is no part" : Cat("split.no ", keys->index, ", split.count ", keys->count));
  }
  const GgufValue* wanted = first.gguf.Find("general.architecture");
  const GgufValue* architecture = part.gguf.Find("general.architecture");
  if (architecture != nullptr && wanted != nullptr && architecture->AsString() != wanted->AsString()) {
    return corrupt(Cat("a part of a model of architecture ", Quoted(wanted->ToString(80)), ", as part 1 is"),
                   Quoted(architecture->ToString(80)));
  }
  return Status();
}

Status CheckTensorCount(std::span<const GgufPart> parts) {
  std::uint64_t total = 0;
  for (const GgufPart& part : parts) total += part.gguf.tensors().size();
  for (const GgufPart& part : parts) {
    SLM_ASSIGN_OR_RETURN(const SplitKeys keys, ReadKeys(part.gguf));
    if (!keys.tensors || *keys.tensors == total) continue;
    return Status(StatusCode::kCorruptFile,
                  Cat(part.path.string(), ": expected ", *keys.tensors,
                      " tensors in all parts (split.tensors.count), found ", total, ". ", kTogether));
  }
  return Status();
}

}  // namespace

Result<GgufPart> OpenPart(const std::filesystem::path& path, BytesFrom from) {
  SLM_ASSIGN_OR_RETURN(MappedFile mapping,
                       from == BytesFrom::kMapping ? MappedFile::Open(path) : MappedFile::Load(path));
  SLM_ASSIGN_OR_RETURN(GgufFile gguf, GgufFile::Parse(mapping.bytes(), path.string()));
  return GgufPart{path, std::move(mapping), std::move(gguf)};
}

Result<std::vector<GgufPart>> OpenAllParts(GgufPart given, BytesFrom from) {
  const std::string source = given.path.string();
  const Result<SplitKeys> keys = ReadKeys(given.gguf);
  if (!keys.ok()) return Status(keys.status().code(), Cat(source, ": ", keys.status().message()));
  std::vector<GgufPart> parts;
  if (keys->count == 1) {
    parts.push_back(std::move(given));
    return parts;
  }
  SLM_ASSIGN_OR_RETURN(const std::string prefix, Prefix(given, *keys));
  Missing missing;
  for (std::uint64_t i = 0; i < keys->count; ++i) {
    if (i == keys->index) continue;
    const std::filesystem::path path = prefix + Suffix(i, keys->count);
    Result<GgufPart> part = OpenPart(path, from);
    if (part.ok()) {
      parts.push_back(*std::move(part));
    } else if (part.status().code() == StatusCode::kNotFound) {
      missing.Add(path);
    } else {
      return part.status();
    }
  }
  if (missing.count() > 0) {
    return Status(StatusCode::kNotFound,
                  Cat(source, ": this is part ", keys->index + 1, " of a model split into ", keys->count,
                      " files, of which ", missing.ToString(), missing.count() == 1 ? " is" : " are",
                      " missing. Fetch ", missing.count() == 1 ? "it" : "them", " into the same folder."));
  }
  parts.insert(parts.begin() + static_cast<std::ptrdiff_t>(keys->index), std::move(given));
  for (std::uint64_t i = 0; i < parts.size(); ++i)
    SLM_RETURN_IF_ERROR(CheckPart(parts[i], parts.front(), i, keys->count));
  SLM_RETURN_IF_ERROR(CheckTensorCount(parts));
  return parts;
}

Status RefusePart(const GgufFile& file) {
  SLM_ASSIGN_OR_RETURN(const SplitKeys keys, ReadKeys(file));
  if (keys.count == 1) return Status();
  return Status(StatusCode::kUnsupported, Cat("this is part ", keys.index + 1, " of a model split into ", keys.count,
                                              " files, which can only be opened by its path"));
}

}  // namespace slm
