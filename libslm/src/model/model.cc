#include "slm/model.h"

#include <optional>
#include <utility>

#include "base/format.h"
#include "base/kernel_choice.h"
#include "base/status_macros.h"
#include "model/model_impl.h"
#include "text/tokenizer_load.h"

namespace slm {

namespace {

Status WithSource(const Status& status, const std::filesystem::path& path) {
  return Status(status.code(), Cat(path.string(), ": ", status.message()));
}

std::string_view StringOr(const GgufFile& file, std::string_view key, std::string_view fallback) {
  const GgufValue* value = file.Find(key);
  return value != nullptr ? value->AsString().value_or(fallback) : fallback;
}

// What this library opens is a whole language model in one file.
Status RefuseOtherFiles(const GgufFile& file) {
  const std::string_view type = StringOr(file, "general.type", "model");
  if (type != "model")
    return Status(StatusCode::kUnsupported, Cat("this is a GGUF file of type \"", type, "\", not a model"));
  const GgufValue* parts = file.Find("split.count");
  const std::optional<std::uint64_t> count = parts != nullptr ? parts->AsUnsigned() : std::nullopt;
  if (count && *count > 1)
    return Status(StatusCode::kUnsupported,
                  Cat("this is one of ", *count,
                      " parts of a split model; join them into one file first (llama.cpp: llama-gguf-split --merge)"));
  return {};
}

Result<std::shared_ptr<const ModelImpl>> OpenImpl(const std::filesystem::path& path, const ModelOptions& options) {
  SLM_ASSIGN_OR_RETURN(const KernelSet* kernels, ChooseKernels(options.kernels));
  SLM_ASSIGN_OR_RETURN(MappedFile mapping, MappedFile::Open(path));
  SLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::Parse(mapping.bytes(), path.string()));
  SLM_RETURN_IF_ERROR(RefuseOtherFiles(file));
  SLM_ASSIGN_OR_RETURN(ModelConfig config, ReadModelConfig(file));
  SLM_ASSIGN_OR_RETURN(Weights weights, BindWeights(file, config));
  SLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, LoadTokenizer(file, config.vocab_size, options.log));
  if (tokenizer.vocab_size() != config.vocab_size) {
    return Status(StatusCode::kCorruptFile, Cat("tokenizer.ggml.tokens has ", tokenizer.vocab_size(),
                                                " tokens, but token_embd.weight has ", config.vocab_size, " rows"));
  }
  const std::string name(StringOr(file, "general.name", path.filename().string()));
  return std::make_shared<const ModelImpl>(std::move(mapping), std::move(file), std::move(config), std::move(weights),
                                           std::move(tokenizer), *kernels, name);
}

}  // namespace

Result<Model> Model::Open(const std::filesystem::path& path, const ModelOptions& options) {
  Result<std::shared_ptr<const ModelImpl>> impl = OpenImpl(path, options);
  if (!impl.ok()) {
    // Errors of the file layer name the file already.
    const bool named = impl.status().message().find(path.string()) != std::string::npos;
    const bool about_file = impl.status().code() != StatusCode::kInvalidArgument;
    return about_file && !named ? WithSource(impl.status(), path) : impl.status();
  }
  return Model(*std::move(impl));
}

const Tokenizer& Model::tokenizer() const { return impl_->tokenizer; }
std::string_view Model::name() const { return impl_->name; }
std::string_view Model::architecture() const { return impl_->config.architecture->name; }
std::string_view Model::chat_template() const { return StringOr(impl_->file, "tokenizer.chat_template", ""); }
std::string_view Model::kernels() const { return impl_->kernels.name; }
std::int32_t Model::vocab_size() const { return impl_->config.vocab_size; }
std::int32_t Model::context_length() const { return impl_->config.context_length; }
std::int32_t Model::layer_count() const { return static_cast<std::int32_t>(impl_->config.layers.size()); }
std::uint64_t Model::file_size() const { return impl_->mapped_file.bytes().size(); }

std::uint64_t Model::parameter_count() const {
  std::uint64_t count = 0;
  for (const GgufTensor& tensor : impl_->file.tensors()) count += tensor.elements();
  return count;
}

std::uint64_t Model::bytes_per_token() const {
  std::uint64_t bytes = 0;
  for (const GgufTensor& tensor : impl_->file.tensors()) bytes += tensor.data.size();
  // Of the embedding tables one row is read, unless it is the output head too.
  const Weights& weights = impl_->weights;
  bytes -= weights.unread_bytes;
  for (const Matrix* table : {&weights.token_embd, &weights.per_layer_token_embd}) {
    if (table->present() && table->data != weights.output.data)
      bytes -= static_cast<std::uint64_t>(table->rows - 1) * table->row_bytes;
  }
  // Of a layer's experts only those that are used.
  const auto count = static_cast<std::uint64_t>(impl_->config.expert_count);
  const auto used = static_cast<std::uint64_t>(impl_->config.expert_used_count);
  for (const LayerWeights& layer : weights.layers) {
    std::uint64_t of_experts = 0;
    for (const Expert& expert : layer.ffn_experts.experts)
      of_experts += expert.gate.bytes() + expert.up.bytes() + expert.down.bytes();
    if (count != 0) bytes -= of_experts / count * (count - used);
  }
  return bytes;
}

std::vector<TensorInfo> Model::tensors() const {
  std::vector<TensorInfo> infos;
  for (const GgufTensor& tensor : impl_->file.tensors()) {
    const auto dimensions = static_cast<std::size_t>(tensor.dimensions);
    infos.push_back({.name = tensor.name,
                     .format = tensor.format->name,
                     .shape = {tensor.shape.begin(), tensor.shape.begin() + static_cast<std::ptrdiff_t>(dimensions)},
                     .file_offset = tensor.offset,
                     .size = tensor.data.size()});
  }
  return infos;
}

std::vector<MetadataEntry> Model::metadata() const {
  constexpr std::size_t kShownCharacters = 1000;
  std::vector<MetadataEntry> entries;
  for (const GgufFile::Entry& entry : impl_->file.entries()) {
    entries.push_back(
        {.key = entry.key, .type = entry.value.TypeName(), .value = entry.value.ToString(kShownCharacters)});
  }
  return entries;
}

std::vector<BadNumber> Model::FindBadNumbers() const {
  std::vector<BadNumber> found;
  for (const GgufTensor& tensor : impl_->file.tensors()) {
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
