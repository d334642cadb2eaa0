#include "sampling_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "slm/sampler_options.h"
#include "support/run_program.h"
#include "support/test_data.h"

namespace slm::tools {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

Status Set(std::string_view name, std::string_view value, SamplerOptions* options) {
  return SetSamplerOption(name, value, options);
}

SamplerOptions With(std::string_view name, std::string_view value) {
  SamplerOptions options;
  const Status status = Set(name, value, &options);
  EXPECT_TRUE(status.ok()) << status.message();
  return options;
}

TEST(SamplingOptionsTest, SetsByEitherName) {
  for (const char* name : {"top-k", "top_k"}) EXPECT_EQ(With(name, "20").top_k, 20);
  for (const char* name : {"temp", "temperature"}) EXPECT_EQ(With(name, "0.25").temperature, 0.25f);
  for (const char* name : {"typical", "typical-p", "typical_p"}) EXPECT_EQ(With(name, "0.5").typical_p, 0.5f);
  EXPECT_EQ(With("mirostat-ent", "+3").mirostat_tau, 3.0f);
  EXPECT_EQ(With("mirostat_eta", "2e-1").mirostat_eta, 0.2f);
  EXPECT_EQ(With("presence_penalty", "-1.5").presence_penalty, -1.5f);
  EXPECT_EQ(With("repeat-last-n", "-1").repeat_last_n, -1);
}

TEST(SamplingOptionsTest, SetsLists) {
  const std::vector<LogitBias> bias = With("logit-bias", "15043+1.5, 7-0.25 2-inf").logit_bias;
  ASSERT_EQ(bias.size(), 3u);
  EXPECT_EQ(bias[0].token, 15043);
  EXPECT_EQ(bias[0].bias, 1.5f);
  EXPECT_EQ(bias[1].bias, -0.25f);
  EXPECT_EQ(bias[2].token, 2);
  EXPECT_EQ(bias[2].bias, -kInf);
  const std::vector<std::string> breakers = {"\n", "<|im_end|>"};
  EXPECT_EQ(With("dry_sequence_breakers", R"(["\n", "<|im_end|>"])").dry_sequence_breakers, breakers);
  EXPECT_TRUE(With("dry-sequence-breaker", "none").dry_sequence_breakers.empty());
  SamplerOptions options;
  options.logit_bias = {{1, 1}};
  ASSERT_TRUE(Set("logit-bias", "none", &options).ok());
  EXPECT_TRUE(options.logit_bias.empty());
}

TEST(SamplingOptionsTest, RefusesAndChangesNothing) {
  struct Case {
    const char* name;
    const char* value;
    const char* said;
  };
  const Case cases[] = {
      {"top-q", "1", "top-q"},
      {"", "1", "top-p"},
      {"temp", "", "a number"},
      {"temp", "hot", "\"hot\""},
      {"temp", "0.5 ", "a number"},
      {"temp", "nan", "temperature"},
      {"temp", "-1", "0 or more"},
      {"top_k", "1.5", "a whole number"},
      {"top_k", "99999999999", "a whole number"},
      {"mirostat", "1", "version 2"},
      {"logit_bias", "7", "TOKEN"},
      {"logit_bias", "7+1 +2", "TOKEN"},
      {"logit_bias", "7+-1", "TOKEN"},
      {"logit_bias", "7+inf", "token 7"},
      {"dry_sequence_breakers", "[\"\"]", "empty"},
  };
  for (const Case& c : cases) {
    SamplerOptions options;
    options.logit_bias = {{1, 1}};
    const std::vector<SamplerSetting> before = ListSamplerOptions(options);
    const Status status = Set(c.name, c.value, &options);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << c.name << " " << c.value;
    EXPECT_NE(status.message().find(c.said), std::string::npos) << status.message();
    const std::vector<SamplerSetting> after = ListSamplerOptions(options);
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i].value, before[i].value);
  }
}

// Every option away from its default, listed, and set again from what was listed.
TEST(SamplingOptionsTest, ListsWhatSetReadsBack) {
  SamplerOptions options;
  const SamplerSetting settings[] = {
      {"temp", "0.1"},
      {"top-k", "3"},
      {"top-p", "0.7"},
      {"min-p", "0.2"},
      {"repeat-penalty", "1.1"},
      {"repeat-last-n", "-1"},
      {"typical", "0.3"},
      {"top-n-sigma", "1.5"},
      {"dynatemp-range", "0.3"},
      {"dynatemp-exp", "2"},
      {"mirostat", "2"},
      {"mirostat-ent", "3.25"},
      {"mirostat-lr", "0.01"},
      {"frequency-penalty", "0.3"},
      {"dry-base", "1.5"},
      {"presence-penalty", "-0.1"},
      {"dry-multiplier", "0.8"},
      {"dry-allowed-length", "4"},
      {"xtc-threshold", "0.15"},
      {"dry-penalty-last-n", "512"},
      {"xtc-probability", "1"},
      {"logit-bias", "5+2.5 6-inf 5-1"},
      {"seed", "18446744073709551615"},
      {"dry-sequence-breaker", R"(["\n","\"","a b"])"},
  };
  ASSERT_TRUE(ApplySamplerSettings(settings, &options).ok());
  const std::vector<SamplerSetting> listed = ListSamplerOptions(options);
  const std::vector<SamplerSetting> defaults = ListSamplerOptions({});
  ASSERT_EQ(listed.size(), std::size(settings)) << "a row of the table is not in this test";
  SamplerOptions again;
  ASSERT_TRUE(ApplySamplerSettings(listed, &again).ok());
  const std::vector<SamplerSetting> relisted = ListSamplerOptions(again);
  for (std::size_t i = 0; i < listed.size(); ++i) {
    EXPECT_NE(listed[i].value, defaults[i].value) << listed[i].name;
    EXPECT_EQ(relisted[i].value, listed[i].value) << listed[i].name;
    for (const auto& [name, value] : settings) {
      if (name == listed[i].name) {
        EXPECT_EQ(listed[i].value, value) << name;
      }
    }
  }
}

TEST(SamplingOptionsTest, CommandLine) {
  const auto parse = [](std::vector<std::string> arguments) {
    CLI::App app;
    std::vector<SamplerSetting> settings;
    AddSamplingOptions(app, &settings);
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app.parse(arguments);
    SamplerOptions options;
    EXPECT_TRUE(ApplySamplerSettings(settings, &options).ok());
    return options;
  };
  const SamplerOptions options =
      parse({"--temp", "0.5", "--presence-penalty", "-0.5", "--logit-bias", "15043-1", "--logit-bias", "7-inf",
             "--dry-sequence-breaker", "\\n", "--dry-sequence-breaker", "\\\\n,"});
  EXPECT_EQ(options.temperature, 0.5f);
  EXPECT_EQ(options.presence_penalty, -0.5f);
  ASSERT_EQ(options.logit_bias.size(), 2u);
  EXPECT_EQ(options.logit_bias[0].bias, -1.0f);
  EXPECT_EQ(options.logit_bias[1].bias, -kInf);
  EXPECT_EQ(options.dry_sequence_breakers, (std::vector<std::string>{"\n", "\\n,"}));
  EXPECT_EQ(options.top_k, SamplerOptions().top_k);
  EXPECT_TRUE(parse({"--dry-sequence-breaker", "none"}).dry_sequence_breakers.empty());
  for (const auto& [name, value] : ListSamplerOptions(options)) {
    if (name == "dry-sequence-breaker") continue;  // any text is one
    EXPECT_THROW(parse({"--" + name, "x"}), CLI::ParseError) << name;
  }
}

// The table of docs/sampling.md is made of these lines.
TEST(SamplingOptionsTest, TheDocumentHasThisTable) {
  const std::string document = test::ReadFile(test::DataPath("../../docs/sampling.md"));
  std::string table = "| option | default | values | what it does |\n|---|---|---|---|\n";
  const std::vector<SamplerSetting> defaults = ListSamplerOptions({});
  for (const SamplerOptionRow& row : SamplerOptionTable()) {
    std::string same_name = row.member_name;
    std::ranges::replace(same_name, '_', '-');
    table += std::string("| `--") + row.name + "`" +
             (same_name == row.name ? "" : std::string(" (`") + row.member_name + "`)") + " | `" +
             std::ranges::find(defaults, row.name, &SamplerSetting::name)->value + "` | " + row.range.text + " | " +
             row.help + " |\n";
  }
  EXPECT_NE(document.find("\n" + table + "\n"), std::string::npos) << table;
}

TEST(SamplingOptionsTest, SummaryNamesWhatDiffers) {
  EXPECT_EQ(SamplerSummary({}),
            "temp 0.8, top-k 40, top-p 0.95, min-p 0.05, repeat-penalty 1, repeat-last-n 64, seed 0");
  EXPECT_NE(SamplerSummary({.temperature = 0, .xtc_probability = 0.5f}).find("xtc-probability 0.5"), std::string::npos);
}

}  // namespace
}  // namespace slm::tools
