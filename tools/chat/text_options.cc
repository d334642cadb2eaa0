#include "text_options.h"

#include <algorithm>
#include <cstddef>

#include "json_text.h"

namespace slm::tools {

std::string Unescaped(std::string_view text) {
  constexpr std::string_view kEscapes = "ntr\\";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t escape = text[i] == '\\' && i + 1 < text.size() ? kEscapes.find(text[i + 1]) : kEscapes.npos;
    out += escape == kEscapes.npos ? text[i] : "\n\t\r\\"[escape];
    if (escape != kEscapes.npos) ++i;
  }
  return out;
}

std::vector<std::string> ParseTexts(std::string_view value) {
  if (value.empty() || value == "none") return {};
  const Result<JsonValue> list = value.starts_with('[') ? ParseJson(value, "the list") : JsonValue();
  const auto is_text = [](const JsonItem& item) { return item.type == JsonType::string; };
  if (!list.ok() || list->type != JsonType::array || !std::ranges::all_of(list->items, is_text)) {
    return {Unescaped(value)};
  }
  std::vector<std::string> texts;
  for (const JsonItem& item : list->items) texts.push_back(item.text);
  return texts;
}

std::string FormatTexts(const std::vector<std::string>& texts) { return texts.empty() ? "none" : DumpJson(texts); }

}  // namespace slm::tools
