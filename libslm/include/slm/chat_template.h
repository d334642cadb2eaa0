// How a conversation is written down for a model: its chat template, a program in the Jinja language.
//
//   slm::Result<slm::ChatTemplate> chat_template = slm::ChatTemplate::ForModel(model);
//   slm::Result<slm::Prompt> prompt = chat_template->Render(R"({"messages": [{"role": "user", "content": "Hi"}],
//                                                          "bos_token": "<bos>", "add_generation_prompt": true})");
//   slm::Result<std::vector<slm::Token>> tokens = slm::EncodePrompt(model.tokenizer(), *prompt);
//
// Control tokens count only in what the template itself wrote. What came out of the conversation stays text, whatever
// it spells.
//
// Thread-safety: a ChatTemplate never changes; any number of threads may use it.

#ifndef SLM_CHAT_TEMPLATE_H_
#define SLM_CHAT_TEMPLATE_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slm/model.h"
#include "slm/model_file.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// A rendered conversation, cut where its author changes.
struct Prompt {
  std::vector<TextPart> parts;  // markup: written by the template

  std::string text() const;
};

class ChatTemplate {
 public:
  // kInvalidArgument if the source is not valid; the message has line and column. `origin` is how messages call it.
  static Result<ChatTemplate> Parse(std::string_view source, std::string origin = "the given chat template");
  // The template in the model's file or, if it has none, that of the family whose control tokens the vocabulary has.
  // kUnsupported if there is neither.
  static Result<ChatTemplate> ForModel(const Model& model);
  // The same for a file that need not be one this library can run. `tokenizer` is the file's.
  static Result<ChatTemplate> ForModel(const ModelFile& file, const Tokenizer& tokenizer);

  // `context`: a JSON object with the template's variables: "messages", "tools", "bos_token", "eos_token",
  // "add_generation_prompt" and what else it reads. Strings named *_token, which spell control tokens, count as the
  // template's own. `now` is what strftime_now tells, in the local time zone.
  //
  // Fails with kInvalidArgument if the context is no JSON object, and if the template refuses the conversation or
  // fails; the message has the template's own reason, line and column. Work, depth and output are bounded.
  Result<Prompt> Render(std::string_view context,
                        std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) const;

  const std::string& source() const;
  // "the model's file", "built in for Gemma", ...
  const std::string& origin() const;

 private:
  friend struct Internal;
  struct Impl;
  explicit ChatTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// Token ids of a whole prompt, with exactly one BOS if the template writes one or the model's file asks for it.
Result<std::vector<Token>> EncodePrompt(const Tokenizer& tokenizer, const Prompt& prompt);

}  // namespace slm

#endif  // SLM_CHAT_TEMPLATE_H_
