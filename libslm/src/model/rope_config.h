// What a file says about RoPE.

#ifndef SLM_MODEL_ROPE_CONFIG_H_
#define SLM_MODEL_ROPE_CONFIG_H_

#include "model/config_reader.h"
#include "model/model_config.h"
#include "slm/status.h"

namespace slm {

// Fills in the RoPE of both kinds of layers, the original context length and the temperature of queries. The layers and
// the context length must have been read.
Status ReadRope(const ConfigReader& reader, ModelConfig& config);

}  // namespace slm

#endif  // SLM_MODEL_ROPE_CONFIG_H_
