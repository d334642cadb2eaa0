// Templates made up at random, compared with what Jinja2 makes of them: tests/data/templates/make_generated.py.

#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "jinja/template_test_util.h"
#include "support/json.h"
#include "support/test_data.h"

namespace slm::test {
namespace {

using nlohmann::ordered_json;

// Of a line [template, rendered] or [template, null, kind, message]; empty if the case comes out as it should.
std::string Mismatch(const ordered_json& line, const ordered_json& variables, const jinja::RenderOptions& options) {
  const std::string source = line[0];
  const std::string kind = line.size() > 2 ? line[2].get<std::string>() : "";
  const Result<jinja::Template> parsed = jinja::Template::Parse(source);
  if (parsed.ok() == (kind == "syntax")) return parsed.ok() ? "should not parse" : parsed.status().message();
  if (kind == "syntax") return "";
  const Result<jinja::Text> text = parsed->Render(ToValue(variables), options);
  if (kind.empty()) {
    if (!text.ok()) return text.status().message();
    return text->view() == line[1].get<std::string>() ? "" : "renders " + std::string(text->view());
  }
  if (text.ok()) return "should fail, but renders " + std::string(text->view());
  const std::string& message = text.status().message();
  if (message.find("line ") == std::string::npos) return "names no line: " + message;
  return kind == "raise" && message.find(line[3].get<std::string>()) == std::string::npos ? message : "";
}

TEST(TemplateGeneratedTest, SameAsJinja) {
  std::istringstream lines(ReadFile(DataPath("templates/generated.jsonl")));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const ordered_json variables = ParseOrderedJson(line);
  jinja::RenderOptions options;
  options.now = Midnight("2024-12-05");
  std::map<std::string, int> kinds;
  while (std::getline(lines, line)) {
    const ordered_json each = ParseOrderedJson(line);
    EXPECT_EQ(Mismatch(each, variables, options), "") << line;
    ++kinds[each.size() > 2 ? each[2].get<std::string>() : "renders"];
  }
  EXPECT_GE(kinds["renders"], 500);
  EXPECT_GE(kinds["fail"], 50);
  EXPECT_GE(kinds["syntax"], 10);
  EXPECT_GE(kinds["raise"], 4);
}

}  // namespace
}  // namespace slm::test
