// JSON that tests read, parsed in one place: compiling the parser takes seconds.

#ifndef SLM_TESTS_SUPPORT_JSON_H_
#define SLM_TESTS_SUPPORT_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace slm::test {

// Throw nlohmann::json::parse_error at what is none.
nlohmann::json ParseJson(const std::string& text);
nlohmann::ordered_json ParseOrderedJson(const std::string& text);
// A value a line.
std::vector<nlohmann::json> ParseJsonLines(const std::string& text);

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_JSON_H_
