// What each family's turns look like is told in its model's documentation; the formats are the same as those of the
// templates that newer files of the family carry. Tools need the model's own template.

#include "chat/family_templates.h"

#include <array>
#include <optional>

namespace slm {

namespace {

constexpr std::string_view kGemma = R"({{ bos_token }}
{%- set opening = messages[0].content + '\n\n' if messages and messages[0].role == 'system' else '' %}
{%- set turns = messages[1:] if opening else messages %}
{%- for message in turns %}
  {{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' }}
  {{- opening if loop.first }}
  {{- message.content | trim + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<start_of_turn>model\n' }}
{%- endif %})";

constexpr std::string_view kGemma4 = R"({{ bos_token }}
{%- for message in messages %}
  {{- '<|turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' }}
  {{- message.content | trim + '<turn|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|turn>model\n' }}
{%- endif %})";

constexpr std::string_view kChatMl = R"(
{%- for message in messages %}
  {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|im_start|>assistant\n' }}
{%- endif %})";

constexpr std::string_view kLlama3 = R"({{ bos_token }}
{%- for message in messages %}
  {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %})";

constexpr std::string_view kPhi3 = R"(
{%- for message in messages if message.content or message.role != 'system' %}
  {{- '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|assistant|>\n' }}
{%- endif %})";

// SentencePiece's vocabularies have a space after each mark, byte-level ones have none.
constexpr std::string_view kMistralSpm7 = R"({{ bos_token }}
{%- for message in messages %}
  {%- if message.role == 'system' %}
    {{- '[SYSTEM_PROMPT] ' + message.content + '[/SYSTEM_PROMPT]' }}
  {%- elif message.role == 'user' %}
    {{- '[INST] ' + message.content + '[/INST]' }}
  {%- else %}
    {{- ' ' + message.content + eos_token }}
  {%- endif %}
{%- endfor %})";

constexpr std::string_view kMistralTekken7 = R"({{ bos_token }}
{%- for message in messages %}
  {%- if message.role == 'system' %}
    {{- '[SYSTEM_PROMPT]' + message.content + '[/SYSTEM_PROMPT]' }}
  {%- elif message.role == 'user' %}
    {{- '[INST]' + message.content + '[/INST]' }}
  {%- else %}
    {{- message.content + eos_token }}
  {%- endif %}
{%- endfor %})";

// The system text goes into the last user turn.
constexpr std::string_view kMistralSpm3 = R"({{ bos_token }}
{%- set opening = messages[0].content + '\n\n' if messages and messages[0].role == 'system' else '' %}
{%- for message in (messages[1:] if opening else messages) %}
  {%- if message.role == 'user' %}
    {{- '[INST] ' + (opening if loop.last else '') + message.content + '[/INST]' }}
  {%- else %}
    {{- ' ' + message.content | trim + eos_token }}
  {%- endif %}
{%- endfor %})";

constexpr std::string_view kMistralTekken3 = R"({{ bos_token }}
{%- set opening = messages[0].content + '\n\n' if messages and messages[0].role == 'system' else '' %}
{%- for message in (messages[1:] if opening else messages) %}
  {%- if message.role == 'user' %}
    {{- '[INST]' + (opening if loop.last else '') + message.content + '[/INST]' }}
  {%- else %}
    {{- message.content + eos_token }}
  {%- endif %}
{%- endfor %})";

constexpr std::array<FamilyTemplate, 9> kFamilies = {{
    {"Gemma 4", "<|turn>", "", kGemma4},
    {"Gemma", "<start_of_turn>", "", kGemma},
    {"ChatML", "<|im_start|>", "", kChatMl},
    {"Llama 3", "<|start_header_id|>", "", kLlama3},
    {"Mistral v7", "[SYSTEM_PROMPT]", "llama", kMistralSpm7},
    {"Mistral v7-tekken", "[SYSTEM_PROMPT]", "gpt2", kMistralTekken7},
    {"Mistral v3", "[INST]", "llama", kMistralSpm3},
    {"Mistral v3-tekken", "[INST]", "gpt2", kMistralTekken3},
    {"Phi-3", "<|assistant|>", "", kPhi3},
}};

}  // namespace

std::span<const FamilyTemplate> FamilyTemplates() { return kFamilies; }

const FamilyTemplate* FindFamilyTemplate(const Tokenizer& tokenizer) {
  for (const FamilyTemplate& family : kFamilies) {
    if (!family.tokenizer.empty() && family.tokenizer != tokenizer.kind()) continue;
    const std::optional<Token> token = tokenizer.Find(family.control_token);
    if (token && tokenizer.Kind(*token) == TokenKind::kControl) return &family;
  }
  return nullptr;
}

}  // namespace slm
