#include "chat_report.h"

#include <cmath>
#include <cstdio>

#include "json_text.h"

namespace slm::tools {

namespace {

std::string ToLine(const Json& json) { return DumpJson(json) + '\n'; }

double TokensPerStep(const GenerateResult& result) {
  const std::int32_t steps = result.generated_tokens - result.accepted_tokens;
  return steps > 0 ? static_cast<double>(result.generated_tokens) / steps : 0;
}

}  // namespace

std::string ToJsonLine(const Record& record) {
  const GenerateResult& result = record.result;
  Json json = {{"model", record.model}, {"file", record.file.empty() ? Json(nullptr) : Json(record.file)}};
  if (record.answer > 0) json["answer"] = record.answer;
  if (!record.error.empty()) {
    json["error"] = record.error;
    return ToLine(json);
  }
  json.update({{"text", result.text},
               {"finish_reason", FinishReasonName(result.finish_reason)},
               {"prompt_tokens", result.prompt_tokens},
               {"cached_tokens", result.cached_tokens},
               {"generated_tokens", result.generated_tokens},
               {"guessed_tokens", result.guessed_tokens},
               {"accepted_tokens", result.accepted_tokens},
               {"tokens_per_step", TokensPerStep(result)},
               {"prompt_seconds", result.prompt_seconds},
               {"generate_seconds", result.generate_seconds},
               {"joules", record.joules ? Json(*record.joules) : Json(nullptr)},
               {"seed", record.seed}});
  if (result.forgotten_tokens > 0) json["forgotten_tokens"] = result.forgotten_tokens;
  if (!record.output.empty()) json["output"] = record.output;
  if (!record.parts.empty()) {
    Json parts = Json::array();
    for (const PartRecord& part : record.parts) {
      parts.push_back({{"begin", part.range.begin},
                       {"end", part.range.end},
                       {"prompt_tokens", part.prompt_tokens},
                       {"generated_tokens", part.generated_tokens}});
    }
    json["parts"] = std::move(parts);
  }
  return ToLine(json);
}

std::string StatsLine(const GenerateResult& result) {
  const auto rate = [](std::int32_t tokens, double seconds) { return seconds > 0 ? tokens / seconds : 0; };
  char text[256];
  std::snprintf(text, sizeof(text),
                "[prompt: %d tokens read, %d from the cache, %.1f tokens/s; answer: %d tokens, %.1f tokens/s, %d of %d "
                "guessed right, %.2f tokens a step; %s]",
                result.prompt_tokens, result.cached_tokens, rate(result.prompt_tokens, result.prompt_seconds),
                result.generated_tokens, rate(result.generated_tokens, result.generate_seconds), result.accepted_tokens,
                result.guessed_tokens, TokensPerStep(result),
                std::string(FinishReasonName(result.finish_reason)).c_str());
  return text;
}

void AddResult(const GenerateResult& result, GenerateResult* sum) {
  sum->finish_reason = result.finish_reason;
  sum->text = result.text;
  sum->prompt_tokens += result.prompt_tokens;
  sum->cached_tokens += result.cached_tokens;
  sum->reread_tokens += result.reread_tokens;
  sum->forgotten_tokens += result.forgotten_tokens;
  sum->forgotten_messages += result.forgotten_messages;
  sum->generated_tokens += result.generated_tokens;
  sum->guessed_tokens += result.guessed_tokens;
  sum->accepted_tokens += result.accepted_tokens;
  sum->prompt_seconds += result.prompt_seconds;
  sum->generate_seconds += result.generate_seconds;
}

std::optional<double> EnergySpan::Joules() const {
  const double joules = meter_.Joules() - begin_;
  return std::isfinite(joules) ? std::optional(joules) : std::nullopt;
}

}  // namespace slm::tools
