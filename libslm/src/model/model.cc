#include "slm/model.h"

#include <memory>
#include <utility>

#include "base/format.h"
#include "base/kernel_choice.h"
#include "base/status_macros.h"
#include "file/escape.h"
#include "model/model_impl.h"
#include "model/model_log.h"
#include "text/tokenizer_load.h"

namespace slm {

namespace {

std::string_view StringOr(const GgufFile& file, std::string_view key, std::string_view fallback) {
  const GgufValue* value = file.Find(key);
  return value != nullptr ? value->AsString().value_or(fallback) : fallback;
}

// What this library runs is a whole language model.
Status RefuseOtherFiles(const GgufFile& file) {
  const std::string_view type = StringOr(file, "general.type", "model");
  if (type != "model")
    return Status(StatusCode::kUnsupported, Cat("this is a GGUF file of type ", Quoted(type), ", not a model"));
  if (file.tensors().empty())
    return Status(StatusCode::kUnsupported, "the file holds metadata only (a vocabulary, perhaps) and no weights");
  return {};
}

Result<std::shared_ptr<const ModelImpl>> Load(const ModelFile& source, const KernelSet& kernels,
                                              const LogCallback& log) {
  const GgufFile& file = Internal::Impl(source).gguf;
  SLM_RETURN_IF_ERROR(RefuseOtherFiles(file));
  SLM_ASSIGN_OR_RETURN(ModelConfig config, ReadModelConfig(file));
  SLM_ASSIGN_OR_RETURN(Weights weights, BindWeights(file, config, log));
  SLM_ASSIGN_OR_RETURN(Tokenizer tokenizer,
                       LoadTokenizer(file, config.architecture->tokenizer, config.vocab_size, log));
  if (tokenizer.vocab_size() != config.vocab_size) {
    return Status(StatusCode::kCorruptFile, Cat("tokenizer.ggml.tokens has ", tokenizer.vocab_size(),
                                                " tokens, but token_embd.weight has ", config.vocab_size, " rows"));
  }
  return std::make_shared<const ModelImpl>(source, std::move(config), std::move(weights), std::move(tokenizer), kernels,
                                           log);
}

}  // namespace

// Vocabularies of models that can't be run have no quirks that are known.
Result<Tokenizer> Tokenizer::Open(const ModelFile& file) try {
  const GgufFile& gguf = Internal::Impl(file).gguf;
  const Result<const Architecture*> row = FindArchitecture(gguf);
  Result<Tokenizer> tokenizer = LoadTokenizer(gguf, row.ok() ? (*row)->tokenizer : TokenizerQuirks(), 0, {});
  if (tokenizer.ok()) return tokenizer;
  return Status(tokenizer.status().code(), Cat(Internal::Impl(file).source, ": ", tokenizer.status().message()));
}
SLM_CATCH_OUT_OF_MEMORY

Result<Model> Model::Open(const std::filesystem::path& path, const ModelOptions& options) try {
  SLM_ASSIGN_OR_RETURN(const ModelFile file, ModelFile::Open(path));
  return Open(file, options);
}
SLM_CATCH_OUT_OF_MEMORY

Result<Model> Model::Open(const ModelFile& file, const ModelOptions& options) try {
  SLM_ASSIGN_OR_RETURN(const KernelSet* kernels, ChooseKernels(options.kernels));
  Result<std::shared_ptr<const ModelImpl>> impl = Load(file, *kernels, options.log);
  if (!impl.ok()) return Status(impl.status().code(), Cat(Internal::Impl(file).source, ": ", impl.status().message()));
  return Model(*std::move(impl));
}
SLM_CATCH_OUT_OF_MEMORY

void WarnOnce(const Model& model, std::string_view message) {
  const ModelImpl& impl = Internal::Impl(model);
  if (impl.log && !impl.warned.test_and_set()) impl.log(LogLevel::kWarning, message);
}

const ModelFile& Model::file() const { return impl_->source; }
const Tokenizer& Model::tokenizer() const { return impl_->tokenizer; }
std::string_view Model::name() const { return impl_->source.name(); }
std::string_view Model::architecture() const { return impl_->config.architecture->name; }
std::string_view Model::kernels() const { return impl_->kernels.name; }
std::int32_t Model::vocab_size() const { return impl_->config.vocab_size; }
std::int32_t Model::context_length() const { return impl_->config.context_length; }
std::int32_t Model::layer_count() const { return static_cast<std::int32_t>(impl_->config.layers.size()); }
std::uint64_t Model::bytes_per_token() const { return impl_->weights.bytes_per_token; }

}  // namespace slm
