#include "chat_settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "chat_context.h"
#include "sampling_options.h"
#include "slm/sampler.h"
#include "terminal_text.h"
#include "text_options.h"

namespace slm::tools {

namespace {

// A line of a table.
std::string Line(std::string name, std::string_view text) {
  constexpr std::size_t kColumn = 22;
  name.resize(std::max(name.size() + 1, kColumn), ' ');
  return name + Escaped(text) + "\n";
}

// The same, of printf's format and numbers.
template <typename... Values>
std::string Line(const char* name, const char* format, Values... values) {
  char text[512];
  std::snprintf(text, sizeof(text), format, values...);
  return Line(std::string(name), text);
}

double Rate(std::int32_t tokens, double seconds) { return seconds > 0 ? tokens / seconds : 0; }

// A whole number that is at least `least`.
Status ParseNumber(std::string_view name, std::string_view value, std::int32_t least, std::int32_t* number) {
  std::int32_t parsed = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (error != std::errc() || end != value.data() + value.size() || parsed < least) {
    return Status(StatusCode::kInvalidArgument, std::string(name) + " needs a whole number from " +
                                                    std::to_string(least) + " on; \"" + std::string(value) +
                                                    "\" is none.");
  }
  *number = parsed;
  return {};
}

}  // namespace

Status ChangeSetting(Conversation& conversation, std::string_view name, std::string_view value) {
  ChatToolOptions& options = conversation.options();
  if (name == "max-tokens") return ParseNumber(name, value, -1, &options.max_tokens);
  if (name == "stop") {
    options.stop = ParseTexts(value);
    return {};
  }
  if (name == "var") return conversation.SetVariable(value);
  if (name == "lora") return conversation.SetAdapters(ParseTexts(value));
  if (name == "ctx") {
    std::int32_t context = 0;
    if (Status status = ParseNumber(name, value, 1, &context); !status.ok()) return status;
    if (Status status = conversation.Resize(context); !status.ok()) return status;
    return conversation.SaveSession();
  }
  SamplerOptions sampler = options.sampler;
  const Status status = SetSamplerOption(name, value, &sampler);
  if (!status.ok()) return Status(status.code(), status.message() + " /set lists what can be changed.");
  return conversation.SetSampler(sampler);
}

std::string SettingsText(Conversation& conversation) {
  const ChatToolOptions& options = conversation.options();
  std::string text = Line("ctx", "%d", conversation.session().context_length());
  text += Line("max-tokens", options.max_tokens < 0 ? "%d (no limit)" : "%d", options.max_tokens);
  text += Line("stop", FormatTexts(options.stop));
  text += Line("lora", FormatTexts(options.compute.lora));
  text += Line("var", options.variables.empty() ? "none" : options.variables);
  for (const SamplerSetting& setting : ListSamplerOptions(options.sampler)) text += Line(setting.name, setting.value);
  return text;
}

std::vector<std::string> SettingNames() {
  std::vector<std::string> names = {"ctx", "lora", "max-tokens", "stop", "var"};
  for (const SamplerSetting& setting : ListSamplerOptions({})) names.push_back(setting.name);
  return names;
}

std::string StatsText(const Conversation& conversation) {
  std::string text;
  if (conversation.last()) {
    const GenerateResult& last = *conversation.last();
    text +=
        Line("last prompt", "%d tokens read (%d of them again), %d from the cache, %.1f tokens/s", last.prompt_tokens,
             last.reread_tokens, last.cached_tokens, Rate(last.prompt_tokens, last.prompt_seconds));
    text += Line("last answer", "%d tokens, %.1f tokens/s, %d of %d guessed right, %s", last.generated_tokens,
                 Rate(last.generated_tokens, last.generate_seconds), last.accepted_tokens, last.guessed_tokens,
                 std::string(FinishReasonName(last.finish_reason)).c_str());
  }
  const GenerateResult& all = conversation.totals().result;
  text += Line("all answers", "%d: %d tokens read (%d of them again), %d from the cache; %d written",
               conversation.answers(), all.prompt_tokens, all.reread_tokens, all.cached_tokens, all.generated_tokens);
  text += Line("speed", "%.1f tokens/s read, %.1f tokens/s written", Rate(all.prompt_tokens, all.prompt_seconds),
               Rate(all.generated_tokens, all.generate_seconds));
  const Session& session = conversation.session();
  text += Line("context", "%d of %d tokens", session.position(), session.context_length());
  const Result<MemoryEstimate> memory = EstimateMemory(conversation.model());
  text += Line("memory", "%s of weights, %s for the context, %s to compute in",
               MemoryText(memory.ok() ? memory->weight_bytes : 0).c_str(), MemoryText(session.kv_bytes()).c_str(),
               MemoryText(session.scratch_bytes()).c_str());
  const std::string& reason = conversation.energy().reason();
  if (reason.empty()) {
    const double joules = conversation.totals().joules.value_or(0);
    const int tokens = all.prompt_tokens + all.generated_tokens;
    text += Line("energy", "%.1f J of the processor, %.3f J per token", joules, tokens > 0 ? joules / tokens : 0);
  } else {
    text += Line("energy", "can't be measured: " + reason);
  }
  return text;
}

}  // namespace slm::tools
