#include "json_text.h"

#include <cstdio>

namespace slm::tools {

Result<Json> ParseJson(std::string_view text, const std::string& source) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    return Status(StatusCode::kInvalidArgument,
                  source + " is not valid JSON: the error is at byte " + std::to_string(error.byte) + ".");
  } catch (const Json::exception&) {  // out_of_range
    return Status(StatusCode::kInvalidArgument, source + " holds a number that is out of range.");
  }
}

std::string DumpJson(const Json& json, int indent) {
  const std::string text = json.dump(indent, ' ', false, Json::error_handler_t::replace);
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    const bool two_bytes = byte == 0xC2 && next >= 0x80 && next <= 0x9F;  // U+0080 to U+009F
    if (!two_bytes && byte != 0x7F) {
      shown += text[i];
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(two_bytes ? next : byte));
    shown += escape;
    if (two_bytes) ++i;
  }
  return shown;
}

}  // namespace slm::tools
