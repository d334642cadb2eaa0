// The options of sampling by name (slm/sampler_options.h): on the command line, for `/set NAME VALUE` of a
// conversation, in the front matter of prompt files.
//
// Names are those of llama.cpp's command line ("top-k", "typical", "mirostat-ent") or of SamplerOptions' members
// ("top_k", "typical_p", "mirostat_tau"); "-" and "_" are the same. Values are text: numbers; for logit-bias
// "TOKEN+BIAS TOKEN-BIAS ..." where "-inf" bans; for dry-sequence-breaker as text_options.h has it; "none" for an
// empty list; -1 for a random seed.

#ifndef SLM_TOOLS_SAMPLING_OPTIONS_H_
#define SLM_TOOLS_SAMPLING_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slm/model_file.h"
#include "slm/sampler.h"
#include "slm/status.h"

namespace slm::tools {

struct SamplerSetting {
  std::string name;
  std::string value;
};

// Registers an option for each row of the table, with the default in its help. What the user gives is checked at once
// and appended to `settings`, for the application to apply after whatever it puts below the command line.
void AddSamplingOptions(CLI::App& app, std::vector<SamplerSetting>* settings);

// The name on the command line of an option that is called by any of its names; other names as they are.
std::string_view SamplerOptionName(std::string_view name);

// Below 2^53, so that programs which read it from JSON as a floating-point number lose nothing.
std::uint64_t RandomSeed();

// What a model's file recommends: its keys "general.sampling.*".
struct SamplingOfFile {
  std::vector<SamplerSetting> settings;
  std::vector<std::string> problems;  // sentences about what is not known here or out of range
};
SamplingOfFile ReadSamplingOfFile(const ModelFile& file);

// kInvalidArgument for a name that is none, a value that can't be read or that Sampler::Validate refuses; `options` are
// then as before.
Status SetSamplerOption(std::string_view name, std::string_view value, SamplerOptions* options);
// One after the other, until one fails.
Status ApplySamplerSettings(std::span<const SamplerSetting> settings, SamplerOptions* options);

// All options under the command line's names, with values that SetSamplerOption reads back exactly.
std::vector<SamplerSetting> ListSamplerOptions(const SamplerOptions& options);

// "temp 0.8, top-k 40, ...": what is usually set, and what differs from the default.
std::string SamplerSummary(const SamplerOptions& options);

}  // namespace slm::tools

#endif  // SLM_TOOLS_SAMPLING_OPTIONS_H_
