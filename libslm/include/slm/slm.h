// libslm: small language models on the CPU. This header includes the whole public interface.
//
//   #include "slm/slm.h"
//
//   int main() {
//     auto model = slm::Model::Open("SmolLM2-135M-Instruct.Q4_1.gguf");
//     if (!model.ok()) { std::fprintf(stderr, "%s\n", model.status().message().c_str()); return 1; }
//     auto chat = slm::Chat::Create(*model, {.system = "Be brief."});
//     if (!chat.ok()) { std::fprintf(stderr, "%s\n", chat.status().message().c_str()); return 1; }
//     auto answer = chat->Send("Why is the sky blue?", [](std::string_view piece) {
//       std::fwrite(piece.data(), 1, piece.size(), stdout);
//       return slm::kContinue;
//     });
//     return answer.ok() ? 0 : 1;
//   }
//
// A program that writes its own prompts needs slm::core only. What chat.h, chat_template.h and message.h declare is in
// slm::slm.

#ifndef SLM_SLM_H_
#define SLM_SLM_H_

#include "slm/adapter.h"          // IWYU pragma: export
#include "slm/batch.h"            // IWYU pragma: export
#include "slm/cancel_token.h"     // IWYU pragma: export
#include "slm/chat.h"             // IWYU pragma: export
#include "slm/chat_template.h"    // IWYU pragma: export
#include "slm/draft.h"            // IWYU pragma: export
#include "slm/generate.h"         // IWYU pragma: export
#include "slm/log.h"              // IWYU pragma: export
#include "slm/machine.h"          // IWYU pragma: export
#include "slm/message.h"          // IWYU pragma: export
#include "slm/model.h"            // IWYU pragma: export
#include "slm/model_file.h"       // IWYU pragma: export
#include "slm/profile.h"          // IWYU pragma: export
#include "slm/sampler.h"          // IWYU pragma: export
#include "slm/sampler_options.h"  // IWYU pragma: export
#include "slm/session.h"          // IWYU pragma: export
#include "slm/status.h"           // IWYU pragma: export
#include "slm/tokenizer.h"        // IWYU pragma: export
#include "slm/version.h"          // IWYU pragma: export
#include "slm/workers.h"          // IWYU pragma: export

#endif  // SLM_SLM_H_
