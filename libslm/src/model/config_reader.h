// The metadata keys below one architecture's prefix, read with their checks.

#ifndef SLM_MODEL_CONFIG_READER_H_
#define SLM_MODEL_CONFIG_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "file/gguf.h"
#include "slm/status.h"

namespace slm {

class ConfigReader {
 public:
  // `prefix` must outlive the reader.
  ConfigReader(const GgufFile& file, std::string_view prefix) : file_(file), prefix_(prefix) {}

  std::string Key(std::string_view name) const;
  const GgufValue* Find(std::string_view name) const { return file_.Find(Key(name)); }
  bool Has(std::string_view name) const { return Find(name) != nullptr; }

  // An integer in [low, high]; `fallback` if the key is absent, an error if there is none.
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
  Status Bad(std::string_view name, const GgufValue& value, std::string_view expected) const;

 private:
  const GgufFile& file_;
  std::string_view prefix_;
};

}  // namespace slm

#endif  // SLM_MODEL_CONFIG_READER_H_
