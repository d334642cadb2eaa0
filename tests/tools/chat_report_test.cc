// The lines of --json.

#include "chat_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "support/json.h"
#include "support/run_program.h"

namespace slm::tools {

namespace {

using Json = nlohmann::json;

TEST(ChatReportTest, HasAllKeysOnOneLine) {
  Record record{.model = "M", .file = "a.md", .joules = 1.5, .seed = 18446744073709551615u};
  record.result.text = "Two\nlines, \"quoted\" \xE2\x82\xAC";
  record.result.finish_reason = FinishReason::kMaxTokens;
  record.result.prompt_tokens = 3;
  record.result.cached_tokens = 4;
  record.result.generated_tokens = 6;
  record.result.guessed_tokens = 7;
  record.result.accepted_tokens = 2;
  record.result.prompt_seconds = 0.25;
  record.result.generate_seconds = 0.5;
  const std::string line = ToJsonLine(record);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(test::ParseJson(line), Json({{"model", "M"},
                                         {"file", "a.md"},
                                         {"text", record.result.text},
                                         {"finish_reason", "max_tokens"},
                                         {"prompt_tokens", 3},
                                         {"cached_tokens", 4},
                                         {"generated_tokens", 6},
                                         {"guessed_tokens", 7},
                                         {"accepted_tokens", 2},
                                         {"tokens_per_step", 1.5},
                                         {"prompt_seconds", 0.25},
                                         {"generate_seconds", 0.5},
                                         {"joules", 1.5},
                                         {"seed", 18446744073709551615u}}));
  record.file.clear();
  record.joules.reset();
  record.output = "out/a.md";
  record.parts = {{.range = {.begin = 0, .end = 9}, .prompt_tokens = 1, .generated_tokens = 2}};
  const Json json = test::ParseJson(ToJsonLine(record));
  EXPECT_TRUE(json["file"].is_null());
  EXPECT_TRUE(json["joules"].is_null());
  EXPECT_EQ(json["output"], "out/a.md");
  EXPECT_EQ(json["parts"], test::ParseJson(R"([{"begin":0,"end":9,"prompt_tokens":1,"generated_tokens":2}])"));
}

TEST(ChatReportTest, ErrorsAndBytesThatAreNoText) {
  EXPECT_EQ(test::ParseJson(ToJsonLine({.model = "M", .file = "a\xFF", .error = "broken"})),
            Json({{"model", "M"}, {"file", "a\xEF\xBF\xBD"}, {"error", "broken"}}));
}

TEST(ChatReportTest, SumsKeepTheLastText) {
  GenerateResult sum;
  AddResult({.text = "one", .prompt_tokens = 1, .cached_tokens = 2, .generated_tokens = 3, .prompt_seconds = 0.5},
            &sum);
  AddResult({.finish_reason = FinishReason::kStopString, .text = "two", .prompt_tokens = 10, .generated_tokens = 30},
            &sum);
  EXPECT_EQ(sum.text, "two");
  EXPECT_EQ(sum.finish_reason, FinishReason::kStopString);
  EXPECT_EQ(sum.prompt_tokens, 11);
  EXPECT_EQ(sum.cached_tokens, 2);
  EXPECT_EQ(sum.generated_tokens, 33);
  EXPECT_EQ(sum.prompt_seconds, 0.5);
}

TEST(ChatReportTest, EnergyIsTheDifferenceOrNothing) {
  const test::TemporaryFolder root;
  EXPECT_FALSE(EnergySpan(EnergyMeter((root.path() / "absent").string())).Joules().has_value());
  std::filesystem::create_directory(root.path() / "zone");
  root.Write("zone/name", "package-0\n");
  root.Write("zone/max_energy_range_uj", "1000000000\n");
  root.Write("zone/energy_uj", "5000000\n");
  const EnergyMeter meter(root.path().string());
  ASSERT_EQ(meter.reason(), "");
  root.Write("zone/energy_uj", "6000000\n");
  const EnergySpan span(meter);
  root.Write("zone/energy_uj", "8500000\n");
  ASSERT_TRUE(span.Joules().has_value());
  EXPECT_DOUBLE_EQ(*span.Joules(), 2.5);
}

}  // namespace

}  // namespace slm::tools
