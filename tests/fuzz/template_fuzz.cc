// Chat templates: an input is the template's source, a NUL, and a JSON object with its variables.

#include <nlohmann/json.hpp>

#include "fuzz/fuzz_target.h"
#include "slm/chat_template.h"
#include "support/json.h"
#include "support/test_data.h"

namespace slm::test {

namespace {

using Json = nlohmann::ordered_json;

std::string Input(std::string_view source, const Json& context) {
  return std::string(source) + '\0' + context.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<Json> Lines(const std::filesystem::path& path) {
  std::vector<Json> lines;
  const std::string text = ReadFile(path);
  for (std::size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    lines.push_back(Json::parse(text.substr(begin, end - begin)));
  }
  return lines;
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const Json& line : Lines(DataPath("templates/engine.jsonl")))
    seeds.push_back(Input(line.at("template").get<std::string>(), line.at("context")));
  const std::vector<Json> generated = Lines(DataPath("templates/generated.jsonl"));  // the variables come first
  for (std::size_t i = 1; i < generated.size(); i += 3)
    seeds.push_back(Input(generated[i].at(0).get<std::string>(), generated[0]));
  for (const auto& entry : std::filesystem::directory_iterator(DataPath("templates"))) {
    if (entry.path().extension() != ".jinja") continue;
    const std::string source = ReadFile(entry.path());
    const std::vector<Json> lines = Lines(std::filesystem::path(entry.path()).replace_extension(".jsonl"));
    for (std::size_t i = 0; i < lines.size(); i += 5) seeds.push_back(Input(source, lines[i]));
  }
  return seeds;
}

void Fuzz(std::string_view input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const auto chat_template = ChatTemplate::Parse(input.substr(0, end));
  if (!chat_template.ok()) {
    Require(!chat_template.status().message().empty(), "errors say something");
    return;
  }
  const std::string_view context = end < input.size() ? input.substr(end + 1) : "{}";
  const std::chrono::system_clock::time_point now{std::chrono::hours(400'000)};
  const auto prompt = chat_template->Render(context, now);
  if (!prompt.ok()) return;
  const auto again = chat_template->Render(context, now);
  Require(again.ok() && again->parts == prompt->parts, "the same variables render the same");
}

}  // namespace slm::test
