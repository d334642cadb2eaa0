// What Gemma 3n and Gemma 4 have in common.

#ifndef SLM_TESTS_SUPPORT_ORACLE_GEMMA_PARTS_H_
#define SLM_TESTS_SUPPORT_ORACLE_GEMMA_PARTS_H_

#include <span>
#include <vector>

#include "slm/tokenizer.h"
#include "support/oracle_file.h"

namespace slm::test::oracle {

struct KeysAndValues {
  Matrix keys;
  Matrix values;
};

// The layer whose keys and values a layer attends to: itself or, for the last attention.shared_kv_layers, the last
// layer before those that slides as it does.
Index KeyValueSource(const OracleFile& file, Index layer, Index default_window_group);

// Each layer's own embedding of the tokens, [tokens, length]: the mean (times sqrt 2) of a projection of the model's
// embedding and of a row of the layer's part of a second table.
std::vector<Matrix> PerLayerInputs(const OracleFile& file, const Matrix& embedded, std::span<const Token> tokens,
                                   Index length, double epsilon);

}  // namespace slm::test::oracle

#endif  // SLM_TESTS_SUPPORT_ORACLE_GEMMA_PARTS_H_
