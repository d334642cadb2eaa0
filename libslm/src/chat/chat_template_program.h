// A chat template, rendered with variables that are not JSON.

#ifndef SLM_CHAT_CHAT_TEMPLATE_PROGRAM_H_
#define SLM_CHAT_CHAT_TEMPLATE_PROGRAM_H_

#include <chrono>

#include "jinja/template.h"
#include "slm/chat_template.h"
#include "slm/status.h"

namespace slm {

// As ChatTemplate::Render.
Result<Prompt> RenderTemplate(const ChatTemplate& chat_template, jinja::Dict variables,
                              std::chrono::system_clock::time_point now);

}  // namespace slm

#endif  // SLM_CHAT_CHAT_TEMPLATE_PROGRAM_H_
