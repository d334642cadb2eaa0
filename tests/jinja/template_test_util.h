// Rendering test cases that are written as JSON.

#ifndef SLM_TESTS_JINJA_TEMPLATE_TEST_UTIL_H_
#define SLM_TESTS_JINJA_TEMPLATE_TEST_UTIL_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "jinja/template.h"

namespace slm::test {

// Strings count as the conversation's.
jinja::Value ToValue(const nlohmann::ordered_json& json);

// Midnight of a day written YYYY-MM-DD.
std::chrono::sys_seconds Midnight(const std::string& day);

// Parses and renders.
Result<jinja::Text> Render(std::string_view source, const nlohmann::ordered_json& context,
                           const jinja::RenderOptions& options = {});

}  // namespace slm::test

#endif  // SLM_TESTS_JINJA_TEMPLATE_TEST_UTIL_H_
