#include "model/config_reader.h"

#include <cmath>
#include <limits>

#include "base/format.h"
#include "base/status_macros.h"

namespace slm {

std::string ConfigReader::Key(std::string_view name) const { return Cat(prefix_, ".", name); }

const GgufValue* ConfigReader::Find(std::string_view name) const {
  const GgufValue* value = file_.Find(Key(name));
  if (value == nullptr && absent_ != nullptr) absent_->emplace(name);
  return value;
}

Result<std::int32_t> ConfigReader::Int(std::string_view name, std::int32_t low, std::int32_t high,
                                       std::optional<std::int32_t> fallback) const {
  const GgufValue* value = Find(name);
  if (value == nullptr && !fallback) return Missing(name);
  const std::optional<std::int64_t> number = value != nullptr ? value->AsInt() : std::optional<std::int64_t>(fallback);
  if (!number || *number < low || *number > high)
    return Bad(name, value, Cat("an integer from ", low, " to ", high), Cat(fallback.value_or(0)));
  return static_cast<std::int32_t>(*number);
}

Result<double> ConfigReader::Number(std::string_view name, std::optional<double> fallback, bool zero_allowed) const {
  const GgufValue* value = Find(name);
  if (value == nullptr && !fallback) return Missing(name);
  const std::optional<double> number = value != nullptr ? value->AsDouble() : fallback;
  const bool valid = number && std::isfinite(*number) && (*number > 0 || (zero_allowed && *number == 0));
  if (valid) return *number;
  return Bad(name, value, zero_allowed ? "a finite number of at least 0" : "a finite number above 0",
             Cat(fallback.value_or(0)));
}

Result<std::vector<std::int32_t>> ConfigReader::PerLayer(std::string_view name, std::int32_t layers, std::int32_t low,
                                                         std::int32_t high,
                                                         const std::vector<std::int32_t>* fallback) const {
  const GgufValue* value = Find(name);
  if (value == nullptr ? fallback == nullptr : value->type() != GgufType::kArray) {
    SLM_ASSIGN_OR_RETURN(const std::int32_t number, Int(name, low, high, std::nullopt));
    return std::vector<std::int32_t>(static_cast<std::size_t>(layers), number);
  }
  using Integers = std::vector<std::int64_t>;
  const auto numbers = value != nullptr ? value->AsInts() : Integers(fallback->begin(), fallback->end());
  if (!numbers || numbers->size() != static_cast<std::size_t>(layers))
    return Bad(name, value, Cat(layers, " integers, one for each layer"));
  for (const std::int64_t number : *numbers) {
    if (number < low || number > high) return Bad(name, value, Cat("integers from ", low, " to ", high), Cat(number));
  }
  return std::vector<std::int32_t>(numbers->begin(), numbers->end());
}

Result<std::vector<float>> ConfigReader::FloatPerLayer(std::string_view name, std::size_t layers) const {
  const GgufValue* value = Find(name);
  if (value == nullptr) return Missing(name);
  std::optional<std::vector<float>> numbers = value->AsFloats();
  if (!numbers || numbers->size() != layers) return Bad(name, value, Cat(layers, " numbers, one for each layer"));
  for (const float number : *numbers) {
    if (!(number < std::numeric_limits<float>::infinity())) return Bad(name, value, "numbers below infinity");
  }
  return *std::move(numbers);
}

Status ConfigReader::Missing(std::string_view name) const {
  return Status(StatusCode::kCorruptFile, Cat("metadata key ", Key(name), " is missing"));
}

Status ConfigReader::Bad(std::string_view name, const GgufValue* value, std::string_view expected,
                         std::string_view fallback) const {
  const std::string found = value != nullptr ? Cat(value->ToString(60), " (", value->TypeName(), ")")
                                             : Cat(fallback, ", which stands for it where it is missing");
  return Status(StatusCode::kCorruptFile, Cat("metadata key ", Key(name), ": expected ", expected, ", found ", found));
}

}  // namespace slm
