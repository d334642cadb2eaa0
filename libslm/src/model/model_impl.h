// What a Model handle shares.

#ifndef SLM_MODEL_MODEL_IMPL_H_
#define SLM_MODEL_MODEL_IMPL_H_

#include <string>

#include "file/gguf.h"
#include "file/mapped_file.h"
#include "kernels.h"
#include "model/model_config.h"
#include "model/weights.h"
#include "slm/tokenizer.h"

namespace slm {

class ModelImpl {
 public:
  ModelImpl(MappedFile mapping, GgufFile gguf, ModelConfig model_config, Weights model_weights, Tokenizer vocabulary,
            const KernelSet& kernel_set, std::string model_name)
      : mapped_file(std::move(mapping)),
        file(std::move(gguf)),
        config(std::move(model_config)),
        weights(std::move(model_weights)),
        tokenizer(std::move(vocabulary)),
        kernels(kernel_set),
        name(std::move(model_name)) {}

  // Members below view into the mapping, so it comes first.
  const MappedFile mapped_file;
  const GgufFile file;
  const ModelConfig config;
  const Weights weights;
  const Tokenizer tokenizer;
  const KernelSet& kernels;
  const std::string name;
};

}  // namespace slm

#endif  // SLM_MODEL_MODEL_IMPL_H_
