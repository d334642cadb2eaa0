#include "fuzz/gguf_mutator.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats.h"
#include "fuzz/fuzz_target.h"
#include "tiny_gguf.h"

namespace slm::test {

namespace {

constexpr std::uint32_t kString = 8, kArray = 9;
constexpr std::size_t kAlignment = 32;
constexpr std::uint64_t kMostTensorBytes = 1u << 16;
constexpr std::array<std::uint64_t, 24> kNumbers = {
    0,   1,   2,   3,    4,    7,     8,          16,         31,          32,         33,         64,
    127, 255, 256, 1023, 4096, 65535, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFFu, 1ull << 33, 1ull << 62, ~0ull};
constexpr std::array<float, 10> kFloats = {0.0f, -0.0f, 1.0f, -1.0f, 0.5f, 1e-38f, 3e38f, INFINITY, -INFINITY, NAN};

std::size_t ScalarBytes(std::uint32_t type) {
  constexpr std::array<std::size_t, 13> kBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < kBytes.size() ? kBytes[type] : 0;
}

struct Entry {
  std::string key;
  std::uint32_t type;
  std::uint32_t element_type = 0;        // of an array
  std::vector<std::string> values = {};  // bytes of a number, or a text; one unless it is an array
};

struct Tensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::uint32_t type;
  std::uint64_t offset;
};

// A file taken apart, by a reader that shares no code with the library's and gives up where that one would complain.
struct File {
  std::uint32_t version = 3;
  std::vector<Entry> entries;
  std::vector<Tensor> tensors;
  std::string data;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::optional<File> Read() {
    File file;
    const std::size_t whole = rest_.size();
    if (Take(4) != "GGUF") return std::nullopt;
    file.version = Number<std::uint32_t>();
    const auto tensors = Number<std::uint64_t>(), entries = Number<std::uint64_t>();
    for (std::uint64_t i = 0; i < entries && good_; ++i) file.entries.push_back(ReadEntry());
    for (std::uint64_t i = 0; i < tensors && good_; ++i) file.tensors.push_back(ReadTensor());
    if (!good_) return std::nullopt;
    const std::size_t padding = (kAlignment - (whole - rest_.size()) % kAlignment) % kAlignment;
    file.data = rest_.substr(std::min(padding, rest_.size()));
    return file;
  }

 private:
  std::string_view Take(std::uint64_t n) {
    good_ = good_ && n <= rest_.size();
    if (!good_) return {};
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }
  template <typename T>
  T Number() {
    T number{};
    const std::string_view bytes = Take(sizeof number);
    if (good_) std::memcpy(&number, bytes.data(), sizeof number);
    return number;
  }
  std::string Value(std::uint32_t type) {
    if (type == kString) return std::string(Take(Number<std::uint64_t>()));
    good_ = good_ && ScalarBytes(type) != 0;
    return std::string(Take(ScalarBytes(type)));
  }
  Entry ReadEntry() {
    Entry entry{.key = Value(kString), .type = Number<std::uint32_t>()};
    if (entry.type != kArray) {
      entry.values.push_back(Value(entry.type));
      return entry;
    }
    entry.element_type = Number<std::uint32_t>();
    const auto count = Number<std::uint64_t>();
    for (std::uint64_t i = 0; i < count && good_; ++i) entry.values.push_back(Value(entry.element_type));
    return entry;
  }
  Tensor ReadTensor() {
    Tensor tensor{.name = Value(kString), .shape = {}, .type = 0, .offset = 0};
    const auto dimensions = Number<std::uint32_t>();
    for (std::uint32_t i = 0; i < dimensions && good_; ++i) tensor.shape.push_back(Number<std::uint64_t>());
    tensor.type = Number<std::uint32_t>();
    tensor.offset = Number<std::uint64_t>();
    return tensor;
  }

  std::string_view rest_;
  bool good_ = true;
};

std::string Write(const File& file) {
  RawBytes out;
  out.Bytes("GGUF").U32(file.version).U64(file.tensors.size()).U64(file.entries.size());
  const auto value = [&](std::uint32_t type, const std::string& bytes) {
    type == kString ? out.String(bytes) : out.Bytes(bytes);
  };
  for (const Entry& entry : file.entries) {
    out.String(entry.key).U32(entry.type);
    if (entry.type == kArray) out.U32(entry.element_type).U64(entry.values.size());
    for (const std::string& bytes : entry.values) value(entry.type == kArray ? entry.element_type : entry.type, bytes);
  }
  for (const Tensor& tensor : file.tensors) {
    out.String(tensor.name).U32(static_cast<std::uint32_t>(tensor.shape.size()));
    for (const std::uint64_t n : tensor.shape) out.U64(n);
    out.U32(tensor.type).U64(tensor.offset);
  }
  return out.PadTo(kAlignment).Bytes(file.data).str();
}

class Mutator {
 public:
  Mutator(File& file, unsigned seed) : file_(file), random_(seed) {}

  void Mutate() {
    for (std::size_t changes = 1 + Below(3); changes > 0; --changes) {
      if (!file_.entries.empty() && (file_.tensors.empty() || Below(3) != 0)) {
        ChangeEntry(Below(file_.entries.size()));
      } else if (!file_.tensors.empty()) {
        ChangeTensor(Below(file_.tensors.size()));
      }
    }
    if (Below(3) != 0) LayOut();
    if (Below(8) == 0 && !file_.data.empty()) Text(file_.data);
  }

 private:
  std::size_t Below(std::size_t n) { return random_() % n; }
  std::uint64_t Interesting(std::uint64_t now) {
    switch (Below(4)) {
      case 0:
        return now + Below(5) - 2;
      case 1:
        return now * 2;
      case 2:
        return Below(300);
      default:
        return kNumbers[Below(kNumbers.size())];
    }
  }
  // libFuzzer's own mutation of some bytes, which knows its dictionary.
  void Text(std::string& text) {
    const std::size_t size = text.size();
    text.resize(size + 32);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), size, text.size()));
  }
  void ChangeNumber(std::uint32_t type, std::string& bytes) {
    bytes.resize(ScalarBytes(type));
    std::uint64_t number = 0;
    std::memcpy(&number, bytes.data(), bytes.size());
    number = Interesting(number);
    const float real = kFloats[Below(kFloats.size())];
    if (type == 6 && Below(2) == 0) std::memcpy(&number, &real, sizeof real);
    std::memcpy(bytes.data(), &number, bytes.size());
  }
  void ChangeValue(std::uint32_t type, std::string& bytes) {
    type == kString ? Text(bytes) : ChangeNumber(type, bytes);
  }
  void ChangeArray(Entry& entry) {
    auto& values = entry.values;
    const std::size_t at = values.empty() ? 0 : Below(values.size());
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(at);
    if (values.empty() || Below(4) == 0) {
      values.insert(place, values.empty() ? std::string(ScalarBytes(entry.element_type), '\0') : values[at]);
    } else if (Below(4) == 0) {
      values.erase(place, Below(2) == 0 ? place + 1 : values.end());
    } else if (Below(4) == 0) {
      std::swap(values[at], values[Below(values.size())]);
    } else if (Below(4) == 0) {
      values[at] = values[Below(values.size())] + (entry.element_type == kString ? values[at] : "");
      if (entry.element_type != kString) values[at].resize(ScalarBytes(entry.element_type));
    } else {
      ChangeValue(entry.element_type, values[at]);
    }
  }
  void ChangeEntry(std::size_t at) {
    Entry& entry = file_.entries[at];
    switch (Below(8)) {
      case 0:
        return Text(entry.key);
      case 1:
        entry.key = file_.entries[Below(file_.entries.size())].key;
        return;
      case 2:
        file_.entries.erase(file_.entries.begin() + static_cast<std::ptrdiff_t>(at));
        return;
      case 3:
        return ChangeType(entry);
      case 4:
        file_.entries.push_back(entry);
        return Text(file_.entries.back().key);
      default:
        entry.type == kArray ? ChangeArray(entry) : ChangeValue(entry.type, entry.values[0]);
    }
  }
  void ChangeType(Entry& entry) {
    const auto type = static_cast<std::uint32_t>(Below(13));
    if (type == kArray) {  // of what it was
      if (entry.type != kArray) entry.element_type = std::exchange(entry.type, kArray);
      return;
    }
    if (entry.type == kArray) entry.values.resize(Below(2) == 0 ? 1 : entry.values.size());
    if (type != kString) {
      for (std::string& value : entry.values) value.resize(ScalarBytes(type));
    }
    (entry.type == kArray ? entry.element_type : entry.type) = type;
  }
  void ChangeTensor(std::size_t at) {
    Tensor& tensor = file_.tensors[at];
    const std::size_t dimension = tensor.shape.empty() ? 0 : Below(tensor.shape.size());
    switch (Below(9)) {
      case 0:
        return Text(tensor.name);
      case 1:
        tensor.name = file_.tensors[Below(file_.tensors.size())].name;
        return;
      case 2:
        file_.tensors.erase(file_.tensors.begin() + static_cast<std::ptrdiff_t>(at));
        return;
      case 3:
        tensor.offset = Interesting(tensor.offset);
        return;
      case 4:
        tensor.shape.push_back(Below(3));
        return;
      case 5:
        tensor.type = static_cast<std::uint32_t>(Below(kFormatIdEnd + 2));
        return;
      case 6:
        if (!tensor.shape.empty()) std::swap(tensor.shape[dimension], tensor.shape[0]);
        return;
      case 7:
        file_.tensors.push_back(tensor);
        return Text(file_.tensors.back().name);
      default:
        if (!tensor.shape.empty()) tensor.shape[dimension] = Interesting(tensor.shape[dimension]);
    }
  }
  // Gives each tensor of a size that can be made the bytes it says it has.
  void LayOut() {
    std::string data;
    for (Tensor& tensor : file_.tensors) {
      const FormatInfo* format = FindFormat(tensor.type);
      std::uint64_t elements = 1;
      for (const std::uint64_t n : tensor.shape)
        elements = n > kMostTensorBytes ? ~0u : std::min(elements * n, 1ul << 32);
      if (format == nullptr || elements > kMostTensorBytes) continue;
      const std::uint64_t bytes = RowBytes(*format, static_cast<std::int64_t>(elements));
      std::string part = tensor.offset < file_.data.size() ? file_.data.substr(tensor.offset, bytes) : "";
      part.resize(bytes, '\x21');
      tensor.offset = data.size();
      data += part;
      data.resize((data.size() + kAlignment - 1) / kAlignment * kAlignment);
    }
    if (data.size() <= 4 * kMostTensorBytes) file_.data = std::move(data);
  }

  File& file_;
  std::minstd_rand random_;
};

}  // namespace

std::size_t MutateGguf(std::uint8_t* data, std::size_t size, std::size_t capacity, unsigned seed) {
  constexpr unsigned kDamage = 10;  // one in so many is changed as bytes
  auto file = Reader({reinterpret_cast<const char*>(data), size}).Read();
  if (!file || seed % kDamage == 0) return LLVMFuzzerMutate(data, std::min<std::size_t>(size, 4096), capacity);
  Mutator(*file, seed).Mutate();
  const std::string bytes = Write(*file);
  if (bytes.size() > capacity) return LLVMFuzzerMutate(data, size, capacity);
  std::ranges::copy(bytes, data);
  return bytes.size();
}

}  // namespace slm::test
