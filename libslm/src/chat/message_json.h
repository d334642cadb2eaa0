// Messages in OpenAI's JSON form.

#ifndef SLM_CHAT_MESSAGE_JSON_H_
#define SLM_CHAT_MESSAGE_JSON_H_

#include <string_view>
#include <vector>

#include "chat/json_value.h"
#include "slm/message.h"
#include "slm/status.h"

namespace slm {

// As ParseMessages; `what` is how its errors call the array.
Result<std::vector<Message>> MessagesFromJson(const jinja::Value& json, std::string_view what);

// What MessagesFromJson reads.
jinja::Value MessagesValue(const std::vector<Message>& messages);

}  // namespace slm

#endif  // SLM_CHAT_MESSAGE_JSON_H_
