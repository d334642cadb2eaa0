// The text around the messages of a conversation, by format.

#ifndef SLM_INFER_CHAT_FORMAT_H_
#define SLM_INFER_CHAT_FORMAT_H_

#include <string>
#include <string_view>
#include <vector>

#include "slm/chat.h"
#include "slm/model.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// A turn is  begin role \n content end \n ; begin and end are control tokens.
struct ChatFormatSpec {
  ChatFormat format;
  std::string_view name;
  std::string_view begin;
  std::string_view end;
  std::string_view system_role;  // "": the system text and a blank line go before the first user text
  std::string_view user_role;
  std::string_view assistant_role;
  bool trims_contents;   // the white space around user and assistant contents goes
  bool begins_with_bos;  // even if the file does not ask for it
};

// The row of the table for `wanted`; for kAuto the one whose turns the model's template writes or, without a template,
// whose control tokens the vocabulary has. kUnsupported if there is none, or if the vocabulary lacks its control
// tokens.
Result<const ChatFormatSpec*> ChooseChatFormat(const Model& model, ChatFormat wanted);

// The system text that `chat_template` (Jinja source) inserts when a conversation has none, "" if it does not.
std::string DefaultSystemText(const ChatFormatSpec& spec, std::string_view chat_template);

// Some text of a prompt: written by the format, where control tokens count, or by somebody else, where they don't.
struct PromptSegment {
  std::string text;
  bool is_format = false;
  bool operator==(const PromptSegment&) const = default;
};

// From the start of a conversation to where the first answer begins, without BOS. `system` may be empty.
std::vector<PromptSegment> RenderFirstTurn(const ChatFormatSpec& spec, std::string_view system, std::string_view user);
// From the end of an answer to where the next one begins.
std::vector<PromptSegment> RenderNextTurn(const ChatFormatSpec& spec, std::string_view user);
// An answer as it stands in the text of the conversation.
std::string_view RenderAnswer(const ChatFormatSpec& spec, std::string_view answer);

// Token ids of segments that begin a text or continue one.
Result<std::vector<Token>> EncodeSegments(const Tokenizer& tokenizer, const std::vector<PromptSegment>& segments);

}  // namespace slm

#endif  // SLM_INFER_CHAT_FORMAT_H_
