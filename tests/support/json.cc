#include "support/json.h"

namespace slm::test {

nlohmann::json ParseJson(const std::string& text) { return nlohmann::json::parse(text); }
nlohmann::ordered_json ParseOrderedJson(const std::string& text) { return nlohmann::ordered_json::parse(text); }

}  // namespace slm::test
