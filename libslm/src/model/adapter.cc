#include "slm/adapter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/format.h"
#include "base/keyed_hash.h"
#include "base/status_macros.h"
#include "file/escape.h"
#include "file/gguf_fingerprint.h"
#include "file/model_file_impl.h"
#include "model/adapter_impl.h"
#include "model/model_impl.h"
#include "model/placed_matrix.h"

namespace slm {

namespace {

constexpr std::size_t kShown = 80;  // of names of tensors, in messages
constexpr std::string_view kA = ".lora_a", kB = ".lora_b";

// The two thin matrices of a tensor, as the file has them.
struct Pair {
  const GgufTensor* a = nullptr;
  const GgufTensor* b = nullptr;
};

template <typename... Parts>
Status Fail(StatusCode code, const GgufTensor& tensor, const Parts&... parts) {
  return Status(code, Cat("adapter tensor ", Escaped(tensor.name, kShown), ": ", parts...));
}

std::string Shape(const GgufTensor& tensor) {
  std::string text;
  for (int i = 0; i < std::max(tensor.dimensions, 2); ++i)
    text += Cat(i == 0 ? "[" : ", ", tensor.shape[static_cast<std::size_t>(i)]);
  return text + "]";
}

// In which both halves of a pair are kept: blocks of several numbers have scales that are halves.
const FormatInfo* FormatOf(const Pair& pair) {
  const bool floats = pair.a->format->format == Format::kF32 || pair.b->format->format == Format::kF32;
  return FindFormat(static_cast<std::uint32_t>(floats ? Format::kF32 : Format::kF16));
}

void Store(float number, std::size_t index, const FormatInfo& format, AlignedBuffer<std::byte>& out) {
  if (format.format == Format::kF16) {
    reinterpret_cast<Half*>(out.data())[index] = FloatToHalf(number);
  } else {
    reinterpret_cast<float*>(out.data())[index] = number;
  }
}

std::span<const std::byte> RowsOf(const GgufTensor& tensor, std::uint64_t first, std::uint64_t count) {
  const std::size_t row_bytes = RowBytes(*tensor.format, static_cast<std::int64_t>(tensor.shape[0]));
  return tensor.data.subspan(static_cast<std::size_t>(first) * row_bytes, static_cast<std::size_t>(count) * row_bytes);
}

// Makes an Adapter::Impl from a file: the fence of adapters.
class Binder {
 public:
  explicit Binder(AdapterImpl& adapter)
      : adapter_(adapter), file_(Internal::Impl(adapter.file).gguf), model_(Internal::Impl(adapter.model)) {}

  Status Bind() {
    SLM_RETURN_IF_ERROR(CheckKind());
    SLM_RETURN_IF_ERROR(FindPairs());
    for (const PlacedMatrix& placed : PlaceMatrices(model_.file, model_.weights)) {
      // A tied output head is not adapted by what adapts the embedding.
      if (placed.matrix->data == model_.weights.token_embd.data) continue;
      const auto pair = pairs_.find(placed.tensor->name);
      if (pair == pairs_.end()) continue;
      SLM_RETURN_IF_ERROR(BindMatrix(placed, pair->second));
      bound_.insert(pair->first);
    }
    const GgufTensor& embedding = *model_.file.FindTensor("token_embd.weight");
    if (const auto pair = pairs_.find(embedding.name); pair != pairs_.end()) {
      SLM_RETURN_IF_ERROR(BindEmbedding(embedding, pair->second));
      bound_.insert(pair->first);
    }
    for (const auto& [base, pair] : pairs_) {
      if (!bound_.contains(base))
        return Fail(StatusCode::kUnsupported, *pair.a, "nothing is multiplied with what it changes");
    }
    adapter_.fingerprint = Fingerprint(file_);
    return {};
  }

 private:
  Status CheckKind() {
    const auto text = [&](const char* key) {
      const GgufValue* const value = file_.Find(key);
      return std::string(value != nullptr ? value->AsString().value_or("") : "");
    };
    const std::string type = text("general.type"), kind = text("adapter.type");
    const std::string& path = adapter_.file.parts().front().path;
    if (type != "adapter" || kind != "lora") {
      return Status(StatusCode::kUnsupported,
                    Cat(path, " is no LoRA adapter: its general.type is \"", Escaped(type, kShown),
                        "\" and its adapter.type \"", Escaped(kind, kShown), R"(", expected "adapter" and "lora")"));
    }
    if (adapter_.file.architecture() != adapter_.model.architecture()) {
      return Status(StatusCode::kInvalidArgument,
                    Cat(path, " is an adapter for architecture \"", Escaped(adapter_.file.architecture(), kShown),
                        "\", and the model is \"", adapter_.model.architecture(), "\""));
    }
    if (file_.Find("adapter.alora.invocation_tokens") != nullptr) {
      return Status(StatusCode::kUnsupported,
                    Cat(path, " is an activated LoRA, which begins at certain tokens; only plain ones are applied"));
    }
    if (const GgufValue* const alpha = file_.Find("adapter.lora.alpha")) {
      alpha_ = alpha->AsDouble().value_or(NAN);
      if (!std::isfinite(alpha_))
        return Status(StatusCode::kCorruptFile, Cat(path, ": adapter.lora.alpha is no finite number"));
    }
    return {};
  }

  Status FindPairs() {
    for (const GgufTensor& tensor : file_.tensors()) {
      const bool is_a = tensor.name.ends_with(kA);
      if (tensor.name.ends_with("_norm.weight")) {
        LeftOut(tensor);
        continue;
      }
      if (!is_a && !tensor.name.ends_with(kB))
        return Fail(StatusCode::kUnsupported, tensor, "its name should end in ", kA, " or ", kB);
      if (tensor.format == nullptr)
        return Fail(StatusCode::kUnsupported, tensor, "it is in a format that is not known");
      const std::string_view base = tensor.name.substr(0, tensor.name.size() - kA.size());
      if (model_.file.FindTensor(base) == nullptr)
        return Fail(StatusCode::kInvalidArgument, tensor, "the model has no tensor ", Escaped(base, kShown));
      (is_a ? pairs_[base].a : pairs_[base].b) = &tensor;
    }
    for (const auto& [base, pair] : pairs_) {
      if (pair.a == nullptr || pair.b == nullptr)
        return Fail(StatusCode::kCorruptFile, pair.a != nullptr ? *pair.a : *pair.b,
                    "the other one of its pair is missing");
    }
    return {};
  }

  // As other readers of these files do.
  void LeftOut(const GgufTensor& norm) const {
    if (model_.log)
      model_.log(LogLevel::kWarning, Cat("The adapter's ", Escaped(norm.name, kShown), " is left out: it is no LoRA."));
  }

  // Of a pair whose A gives numbers of `rank` and whose B takes them.
  Status CheckRank(const Pair& pair, std::uint64_t rank, const GgufTensor& base) {
    const std::uint64_t most = std::max(base.shape[0], base.shape[1]);
    if (pair.b->shape[0] != rank || rank > most) {
      return Fail(StatusCode::kInvalidArgument, *pair.b, "its rows of ", pair.b->shape[0],
                  " numbers should be the rank of ", Escaped(pair.a->name, kShown), ", ", rank, ", and at most ", most);
    }
    adapter_.largest_rank = std::max(adapter_.largest_rank, static_cast<std::int64_t>(rank));
    return {};
  }

  Status CheckShape(const GgufTensor& tensor, std::array<std::uint64_t, 4> wanted, const GgufTensor& base) {
    if (tensor.shape == wanted) return {};
    return Fail(StatusCode::kInvalidArgument, tensor, "its shape is ", Shape(tensor), ", expected [", wanted[0], ", ",
                wanted[1], ", ", wanted[2], "] for a tensor ", Escaped(base.name, kShown), " of ", Shape(base));
  }

  // Some rows of a tensor, and what is to be divided by: their largest number, or 1.
  Status ReadFloats(const GgufTensor& tensor, std::uint64_t first, std::uint64_t rows, AlignedBuffer<float>& floats,
                    float& divisor) {
    const std::span<const std::byte> blocks = RowsOf(tensor, first, rows);
    const auto block_count = static_cast<std::int64_t>(blocks.size() / tensor.format->block_bytes);
    if (tensor.format->find_bad_block(blocks.data(), block_count) >= 0)
      return Fail(StatusCode::kCorruptFile, tensor, "it holds NaN or infinity");
    const std::uint64_t count = rows * tensor.shape[0];
    if (!floats.Allocate(static_cast<std::size_t>(count))) return OutOfMemory();
    tensor.format->to_float(blocks.data(), static_cast<std::int64_t>(count), floats.data());
    float largest = 0;
    for (const float number : std::span(floats.data(), floats.size())) largest = std::max(largest, std::abs(number));
    divisor = largest > 0 ? largest : 1;
    return {};
  }

  // Rows of A and rows of B to what their products need; `low` has the rank.
  Status Read(const Pair& pair, std::uint64_t a_first, std::uint64_t a_rows, std::uint64_t b_first, std::int64_t b_rows,
              LowRank& low) {
    const FormatInfo& format = *FormatOf(pair);
    AlignedBuffer<float> floats;
    float a_divisor = 1, b_divisor = 1;
    SLM_RETURN_IF_ERROR(ReadFloats(*pair.a, a_first, a_rows, floats, a_divisor));
    if (!low.a_data.Allocate(floats.size() * format.block_bytes)) return OutOfMemory();
    for (std::size_t i = 0; i < floats.size(); ++i) Store(floats.data()[i] / a_divisor, i, format, low.a_data);
    const auto columns = static_cast<std::int64_t>(pair.a->shape[0]);
    low.a = {.format = &format,
             .data = low.a_data.data(),
             .columns = columns,
             .rows = static_cast<std::int64_t>(a_rows),
             .row_bytes = RowBytes(format, columns)};

    SLM_RETURN_IF_ERROR(ReadFloats(*pair.b, b_first, static_cast<std::uint64_t>(b_rows), floats, b_divisor));
    const std::int64_t panels = (b_rows + kLowRankPanel - 1) / kLowRankPanel;
    if (!low.b.Allocate(static_cast<std::size_t>(panels * kLowRankPanel * low.rank) * format.block_bytes))
      return OutOfMemory();
    std::fill_n(low.b.data(), low.b.size(), std::byte{0});
    for (std::int64_t row = 0; row < b_rows; ++row) {
      for (std::int64_t k = 0; k < low.rank; ++k) {
        const std::int64_t at = (row / kLowRankPanel * low.rank + k) * kLowRankPanel + row % kLowRankPanel;
        Store(floats.data()[row * low.rank + k] / b_divisor, static_cast<std::size_t>(at), format, low.b);
      }
    }
    const double scale = alpha_ != 0 ? alpha_ / static_cast<double>(low.rank) : 1;
    low.scale = static_cast<float>(scale * static_cast<double>(a_divisor) * static_cast<double>(b_divisor));
    adapter_.bytes += low.b.bytes();
    return {};
  }

  Status BindMatrix(const PlacedMatrix& placed, const Pair& pair) {
    const GgufTensor& base = *placed.tensor;
    const std::uint64_t rank = pair.a->shape[1];
    SLM_RETURN_IF_ERROR(CheckRank(pair, rank, base));
    SLM_RETURN_IF_ERROR(CheckShape(*pair.a, {base.shape[0], rank, base.shape[2], base.shape[3]}, base));
    SLM_RETURN_IF_ERROR(CheckShape(*pair.b, {rank, base.shape[1], base.shape[2], base.shape[3]}, base));
    // A tensor may hold several matrices, and a matrix be some rows of one.
    const auto first = static_cast<std::uint64_t>(placed.first_row);
    LowRank low;
    low.rank = static_cast<std::int64_t>(rank);
    SLM_RETURN_IF_ERROR(Read(pair, first / base.shape[1] * rank, rank, first, placed.matrix->rows, low));
    adapter_.bytes += low.a.bytes();
    adapter_.matrices.emplace(placed.matrix->data, std::move(low));
    return {};
  }

  // Its A is turned: a row for each token.
  Status BindEmbedding(const GgufTensor& base, const Pair& pair) {
    const std::uint64_t rank = pair.a->shape[0];
    SLM_RETURN_IF_ERROR(CheckRank(pair, rank, base));
    SLM_RETURN_IF_ERROR(CheckShape(*pair.a, {rank, base.shape[1], 1, 1}, base));
    SLM_RETURN_IF_ERROR(CheckShape(*pair.b, {rank, base.shape[0], 1, 1}, base));
    LowRank& low = adapter_.embedding.emplace();
    low.rank = static_cast<std::int64_t>(rank);
    SLM_RETURN_IF_ERROR(Read(pair, 0, base.shape[1], 0, static_cast<std::int64_t>(base.shape[0]), low));
    adapter_.bytes += low.a.row_bytes;
    return {};
  }

  AdapterImpl& adapter_;
  const GgufFile& file_;
  const ModelImpl& model_;
  double alpha_ = 0;                                               // 0: the file scales B itself
  std::unordered_map<std::string_view, Pair, KeyedHasher> pairs_;  // by the name of what they change
  std::unordered_set<std::string_view, KeyedHasher> bound_;
};

}  // namespace

Result<Adapter> Adapter::Open(const Model& model, const std::filesystem::path& path) try {
  SLM_ASSIGN_OR_RETURN(const ModelFile file, ModelFile::Open(path));
  return Open(model, file);
}
SLM_CATCH_OUT_OF_MEMORY

Result<Adapter> Adapter::Open(const Model& model, const ModelFile& file) try {
  const auto impl = std::make_shared<Impl>(model, file);
  SLM_RETURN_IF_ERROR(Binder(*impl).Bind());
  return Adapter(impl);
}
SLM_CATCH_OUT_OF_MEMORY

std::string_view Adapter::name() const { return impl_->file.name(); }
std::int32_t Adapter::rank() const { return static_cast<std::int32_t>(impl_->largest_rank); }
std::uint64_t Adapter::bytes() const { return impl_->bytes; }

}  // namespace slm
