// The fixtures that Jinja2 rendered, as transformers sets it up: the language itself, and chat templates of model
// families.

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "jinja/template_test_util.h"
#include "support/json.h"
#include "support/test_data.h"

namespace slm::test {
namespace {

using nlohmann::ordered_json;

std::vector<ordered_json> ReadLines(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<ordered_json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(ParseOrderedJson(line));
  return lines;
}

// Empty if the case comes out as it should.
std::string Mismatch(const ordered_json& expected, const Result<jinja::Text>& found) {
  if (expected["rendered"].is_null()) {
    if (found.ok()) return "should fail, but renders " + std::string(found->view());
    const bool raises = expected.value("error_kind", "") == "raise";
    const std::string message = raises ? expected["error"].get<std::string>() : "";
    const bool same = found.status().message().find(message) != std::string::npos;
    return same ? "" : "fails with another message: " + found.status().message();
  }
  if (!found.ok()) return found.status().message();
  const std::string text = expected["rendered"];
  return found->view() == text ? "" : "expected: " + text + "\nfound:    " + std::string(found->view());
}

jinja::RenderOptions OptionsAt(const ordered_json& holder) {
  jinja::RenderOptions options;
  if (holder.contains("now") && holder["now"].is_string()) options.now = Midnight(holder["now"]);
  return options;
}

ordered_json FamilyContext(const ordered_json& each) {
  ordered_json context = ordered_json::object();
  for (const char* key : {"messages", "tools", "bos_token", "eos_token", "add_generation_prompt"}) {
    if (each.contains(key)) context[key] = each[key];
  }
  if (each.contains("extra") && each["extra"].is_object()) {
    for (const auto& [key, value] : each["extra"].items()) {
      if (key != "now") context[key] = value;
    }
  }
  return context;
}

TEST(TemplateFixtureTest, Language) {
  int cases = 0;
  for (const ordered_json& each : ReadLines(DataPath("templates/engine.jsonl"))) {
    const std::string source = each["template"];
    EXPECT_EQ(Mismatch(each, Render(source, each["context"], OptionsAt(each))), "") << source;
    ++cases;
  }
  EXPECT_GT(cases, 300);
}

void TestFamilies(const std::filesystem::path& folder) {
  int families = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    ++families;
    const std::string family = entry.path().stem().string();
    const std::string source = ReadFile(entry.path());
    int cases = 0, failed = 0;
    for (const ordered_json& each : ReadLines(std::filesystem::path(entry.path()).replace_extension(".jsonl"))) {
      ++cases;
      const ordered_json extra = each.contains("extra") ? each["extra"] : ordered_json::object();
      const std::string mismatch = Mismatch(each, Render(source, FamilyContext(each), OptionsAt(extra)));
      if (!mismatch.empty()) ++failed;
      EXPECT_EQ(mismatch, "") << family << ": " << each["name"];
    }
    EXPECT_GT(cases, 0) << family;
    std::printf("%-20s %3d of %3d\n", family.c_str(), cases - failed, cases);
  }
  EXPECT_GT(families, 0);
}

TEST(TemplateFixtureTest, Families) { TestFamilies(DataPath("templates")); }

TEST(TemplateFixtureTest, AllFamilies) {
  const auto folder = SharedFixture("templates");
  if (!folder) GTEST_SKIP() << "the shared fixtures are not beside this checkout";
  TestFamilies(*folder);
}

}  // namespace
}  // namespace slm::test
