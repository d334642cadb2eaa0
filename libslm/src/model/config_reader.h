// The metadata keys below one architecture's prefix, read with their checks.

#ifndef SLM_MODEL_CONFIG_READER_H_
#define SLM_MODEL_CONFIG_READER_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "file/gguf.h"
#include "slm/status.h"

namespace slm {

class ConfigReader {
 public:
  // All must outlive the reader. `absent`, if given, gets the keys that were asked for and are not in the file.
  ConfigReader(const GgufFile& file, std::string_view prefix, std::set<std::string>* absent = nullptr)
      : file_(file), prefix_(prefix), absent_(absent) {}

  const GgufFile& file() const { return file_; }
  std::string Key(std::string_view name) const;
  const GgufValue* Find(std::string_view name) const;
  bool Has(std::string_view name) const { return Find(name) != nullptr; }

  // What stands for an absent key is checked like a value of the file; without it, an absent key is an error.

  // An integer in [low, high].
  Result<std::int32_t> Int(std::string_view name, std::int32_t low, std::int32_t high,
                           std::optional<std::int32_t> fallback) const;
  // A finite number above 0, or also 0 itself.
  Result<double> Number(std::string_view name, std::optional<double> fallback, bool zero_allowed = false) const;
  // One integer for all layers, or an array with one for each.
  Result<std::vector<std::int32_t>> PerLayer(std::string_view name, std::int32_t layers, std::int32_t low,
                                             std::int32_t high, const std::vector<std::int32_t>* fallback) const;
  // An array with a number for each layer, which may be minus infinity.
  Result<std::vector<float>> FloatPerLayer(std::string_view name, std::size_t layers) const;

  Status Missing(std::string_view name) const;
  // `fallback` is what stands for an absent value.
  Status Bad(std::string_view name, const GgufValue* value, std::string_view expected,
             std::string_view fallback = "nothing") const;

 private:
  const GgufFile& file_;
  std::string_view prefix_;
  std::set<std::string>* absent_;
};

}  // namespace slm

#endif  // SLM_MODEL_CONFIG_READER_H_
