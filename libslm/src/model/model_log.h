// What is found out about a model after it was opened.

#ifndef SLM_MODEL_MODEL_LOG_H_
#define SLM_MODEL_MODEL_LOG_H_

#include <string_view>

#include "slm/model.h"

namespace slm {

// A warning through ModelOptions::log; of several for one model only the first.
void WarnOnce(const Model& model, std::string_view message);

}  // namespace slm

#endif  // SLM_MODEL_MODEL_LOG_H_
