// What a Model handle shares.

#ifndef SLM_MODEL_MODEL_IMPL_H_
#define SLM_MODEL_MODEL_IMPL_H_

#include <atomic>
#include <utility>

#include "base/internal.h"  // IWYU pragma: export
#include "file/gguf.h"
#include "file/model_file_impl.h"
#include "kernels.h"
#include "model/model_config.h"
#include "model/weights.h"
#include "slm/model.h"
#include "slm/model_file.h"
#include "slm/tokenizer.h"

namespace slm {

struct Model::Impl {
  Impl(ModelFile opened, ModelConfig model_config, Weights model_weights, Tokenizer vocabulary,
       const KernelSet& kernel_set, LogCallback log_callback)
      : source(std::move(opened)),
        file(Internal::Impl(source).gguf),
        config(std::move(model_config)),
        weights(std::move(model_weights)),
        tokenizer(std::move(vocabulary)),
        kernels(kernel_set),
        log(std::move(log_callback)) {}

  // Members below view into it, so it comes first.
  const ModelFile source;
  const GgufFile& file;
  const ModelConfig config;
  const Weights weights;
  const Tokenizer tokenizer;
  const KernelSet& kernels;
  const LogCallback log;                 // for what is found after opening
  mutable std::atomic_flag warned = {};  // of that
};
using ModelImpl = ImplOf<Model>;

}  // namespace slm

#endif  // SLM_MODEL_MODEL_IMPL_H_
