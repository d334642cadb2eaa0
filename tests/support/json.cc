#include "support/json.h"

#include <sstream>

namespace slm::test {

nlohmann::json ParseJson(const std::string& text) { return nlohmann::json::parse(text); }
nlohmann::ordered_json ParseOrderedJson(const std::string& text) { return nlohmann::ordered_json::parse(text); }

std::vector<nlohmann::json> ParseJsonLines(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(ParseJson(line));
  return lines;
}

}  // namespace slm::test
