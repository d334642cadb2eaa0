// The options of sampling as a table, for applications that take them as text: a command line, JSON, a file of
// settings. It is the one place that names them; SamplerOptions has their defaults.
//
//   for (const slm::SamplerOptionRow& row : slm::SamplerOptionTable()) {
//     std::printf("--%s: %s; %s\n", row.name, row.help, row.range.text);
//   }

#ifndef SLM_SAMPLER_OPTIONS_H_
#define SLM_SAMPLER_OPTIONS_H_

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "slm/sampler.h"

namespace slm {

using SamplerMember =
    std::variant<float SamplerOptions::*, std::int32_t SamplerOptions::*, std::uint64_t SamplerOptions::*,
                 std::vector<LogitBias> SamplerOptions::*, std::vector<std::string> SamplerOptions::*>;

// What Sampler::Validate accepts.
struct SamplerRange {
  const char* text;         // "a number from 0 to 1"
  bool (*holds)(double x);  // null for lists
};

struct SamplerOptionRow {
  const char* name;         // as llama.cpp's command line has it: "temp"
  const char* member_name;  // "temperature"
  const char* file_key;     // what a model's file calls it, behind "general.sampling."; null: files don't have it
  SamplerMember member;
  bool usual;  // worth showing before the others
  SamplerRange range;
  const char* help;
};

std::span<const SamplerOptionRow> SamplerOptionTable();

}  // namespace slm

#endif  // SLM_SAMPLER_OPTIONS_H_
