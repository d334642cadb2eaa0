#include "support/oracle_file.h"

#include <cstddef>
#include <stdexcept>

namespace slm::test::oracle {

namespace {

[[noreturn]] void Fail(const std::string& message) { throw std::runtime_error("oracle: " + message); }

// An array's entry as a double, whatever numbers it is made of.
std::optional<double> Element(const GgufValue& array, std::size_t index) {
  if (index >= array.count()) return std::nullopt;
  if (const auto integers = array.AsInts()) return static_cast<double>((*integers)[index]);
  if (const auto bools = array.AsBools()) return (*bools)[index] ? 1.0 : 0.0;
  if (const auto floats = array.AsFloats()) return (*floats)[index];
  return std::nullopt;
}

}  // namespace

OracleFile::OracleFile(const GgufFile& file) : file_(file) {
  const GgufValue* name = file.Find("general.architecture");
  if (name == nullptr || !name->AsString()) Fail("general.architecture is missing");
  architecture_ = *name->AsString();
  layers_ = Count("block_count");
}

const GgufValue* OracleFile::Find(std::string_view key) const {
  return file_.Find(architecture_ + "." + std::string(key));
}

bool OracleFile::Has(std::string_view key) const { return Find(key) != nullptr; }

bool OracleFile::IsArray(std::string_view key) const { return Has(key) && Find(key)->type() == GgufType::kArray; }

double OracleFile::Number(std::string_view key, std::optional<double> fallback) const {
  const GgufValue* value = Find(key);
  const std::optional<double> number = value != nullptr ? value->AsDouble() : fallback;
  if (!number) Fail("no number " + std::string(key));
  return *number;
}

Index OracleFile::Count(std::string_view key, std::optional<Index> fallback) const {
  const GgufValue* value = Find(key);
  const auto number = value != nullptr ? value->AsInt() : std::optional<std::int64_t>(fallback);
  if (!number) Fail("no integer " + std::string(key));
  return static_cast<Index>(*number);
}

std::string OracleFile::Text(std::string_view key, std::string_view fallback) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::string(fallback);
  if (!value->AsString()) Fail("no text " + std::string(key));
  return std::string(*value->AsString());
}

double OracleFile::LayerNumber(std::string_view key, Index layer, std::optional<double> fallback) const {
  if (!IsArray(key)) return Number(key, fallback);
  const std::optional<double> number = Element(*Find(key), static_cast<std::size_t>(layer));
  if (!number) Fail("no number of layer " + std::to_string(layer) + " in " + std::string(key));
  return *number;
}

Index OracleFile::LayerCount(std::string_view key, Index layer, std::optional<Index> fallback) const {
  return static_cast<Index>(
      LayerNumber(key, layer, fallback ? std::optional(static_cast<double>(*fallback)) : std::nullopt));
}

bool OracleFile::HasTensor(std::string_view name) const { return file_.FindTensor(name) != nullptr; }

std::span<const float> OracleFile::Floats(std::string_view name) const {
  const GgufTensor* tensor = file_.FindTensor(name);
  if (tensor == nullptr) Fail("no tensor " + std::string(name));
  if (tensor->type != static_cast<std::uint32_t>(Format::kF32)) Fail(std::string(name) + " is not F32");
  return {reinterpret_cast<const float*>(tensor->data.data()), static_cast<std::size_t>(tensor->elements())};
}

Matrix OracleFile::Weight(std::string_view name, Index index) const {
  const std::span<const float> values = Floats(name);
  const GgufTensor& tensor = *file_.FindTensor(name);
  const auto in = static_cast<Index>(tensor.shape[0]);
  const auto out = static_cast<Index>(tensor.shape[1]);
  if (index >= static_cast<Index>(tensor.shape[2])) Fail(std::string(name) + " has too few matrices");
  using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  return Eigen::Map<const Floats>(values.data() + index * in * out, out, in).cast<double>();
}

Vector OracleFile::Values(std::string_view name) const {
  const std::span<const float> values = Floats(name);
  return Eigen::Map<const Eigen::RowVectorXf>(values.data(), static_cast<Index>(values.size())).cast<double>();
}

Matrix OracleFile::Rows(std::string_view name, std::span<const Token> tokens) const {
  const Matrix table = Weight(name);
  Matrix rows(static_cast<Index>(tokens.size()), table.cols());
  for (Index i = 0; i < rows.rows(); ++i) rows.row(i) = table.row(tokens[static_cast<std::size_t>(i)]);
  return rows;
}

std::string LayerTensor(Index layer, std::string_view name) {
  return "blk." + std::to_string(layer) + "." + std::string(name);
}

}  // namespace slm::test::oracle
