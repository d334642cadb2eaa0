// Keys and tensors of a GGUF file as the oracle wants them: numbers in double precision, weights as matrices. Whatever
// is missing throws.

#ifndef SLM_TESTS_SUPPORT_ORACLE_FILE_H_
#define SLM_TESTS_SUPPORT_ORACLE_FILE_H_

#include <Eigen/Core>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/gguf.h"
#include "slm/tokenizer.h"

namespace slm::test::oracle {

using Eigen::Index;
// Activations have a row for each token, weights a row for each output: y = x * weight.transpose().
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::RowVectorXd;

class OracleFile {
 public:
  explicit OracleFile(const GgufFile& file);

  const std::string& architecture() const { return architecture_; }
  Index layers() const { return layers_; }

  // Keys below the architecture's name.
  bool Has(std::string_view key) const;
  double Number(std::string_view key, std::optional<double> fallback = std::nullopt) const;
  Index Count(std::string_view key, std::optional<Index> fallback = std::nullopt) const;
  std::string Text(std::string_view key, std::string_view fallback) const;
  bool IsArray(std::string_view key) const;
  // The number of one layer: an array's entry, or the one that is the same for all.
  double LayerNumber(std::string_view key, Index layer, std::optional<double> fallback = std::nullopt) const;
  Index LayerCount(std::string_view key, Index layer, std::optional<Index> fallback = std::nullopt) const;

  bool HasTensor(std::string_view name) const;
  // {in, out} of the file as [out, in]; matrix number `index` of {in, out, n}.
  Matrix Weight(std::string_view name, Index index = 0) const;
  // All numbers of a tensor.
  Vector Values(std::string_view name) const;
  // The rows of an embedding table that belong to the tokens: [tokens, in].
  Matrix Rows(std::string_view name, std::span<const Token> tokens) const;

 private:
  const GgufValue* Find(std::string_view key) const;
  std::span<const float> Floats(std::string_view name) const;

  const GgufFile& file_;
  std::string architecture_;
  Index layers_ = 0;
};

// "blk.3.attn_norm.weight" of (3, "attn_norm.weight").
std::string LayerTensor(Index layer, std::string_view name);

}  // namespace slm::test::oracle

#endif  // SLM_TESTS_SUPPORT_ORACLE_FILE_H_
