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
  const Result<Json> list = value.starts_with('[') ? ParseJson(value, "the list") : Json();
  const auto is_text = [](const Json& item) { return item.is_string(); };
  if (list.ok() && list->is_array() && std::ranges::all_of(*list, is_text)) {
    return list->get<std::vector<std::string>>();
  }
  return {Unescaped(value)};
}

std::string FormatTexts(const std::vector<std::string>& texts) { return texts.empty() ? "none" : DumpJson(texts); }

}  // namespace slm::tools
