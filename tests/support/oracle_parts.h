// The parts that the oracle's architectures are made of, one function for each formula.

#ifndef SLM_TESTS_SUPPORT_ORACLE_PARTS_H_
#define SLM_TESTS_SUPPORT_ORACLE_PARTS_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "support/oracle_file.h"

namespace slm::test::oracle {

// Element by element.
Matrix Silu(const Matrix& x);
Matrix GeluTanh(const Matrix& x);
Matrix Softcap(const Matrix& x, double cap);
using Activation = Matrix (*)(const Matrix&);

Matrix Softmax(const Matrix& x);  // of each row

// x / sqrt(mean(x^2) + epsilon) * weight of each row; `weight` of all ones where there is none.
Matrix RmsNorm(const Matrix& x, const Vector& weight, double epsilon);
Matrix RmsNorm(const Matrix& x, double epsilon);
// The same of each head: [tokens, heads * weight.size()].
Matrix RmsNormHeads(const Matrix& x, const Vector& weight, double epsilon);

// x * weight^T + bias with the tensors <name>.weight and, if the file has it, <name>.bias.
Matrix Linear(const OracleFile& file, const Matrix& x, const std::string& name);

// How the heads of a layer are rotated.
struct Rope {
  enum Pairs { kInterleaved, kHalves };  // (2i, 2i + 1) or (i, i + dimensions / 2)
  Pairs pairs = kHalves;
  Vector angles;  // of each pair, per position; two rotated dimensions a pair
  double magnitude = 1;
};
// base^(-2i / dimensions) for each pair i.
Vector RopeAngles(double base, Index dimensions);
// Rope with what the file's rope.scaling.* keys and tensors of divisors do to angles and magnitude.
Rope ScaledRope(const OracleFile& file, Rope::Pairs pairs, double base, Index dimensions, Index context_length);
// Rotates every head of x [tokens, heads * head_length]; row p is position p.
Matrix Rotate(const Matrix& x, Index head_length, const Rope& rope);

struct AttentionShape {
  Index heads = 0;
  Index kv_heads = 0;
  Index key_length = 0;
  Index value_length = 0;
};
struct AttentionRule {
  double scale = 1;
  double softcap = 0;  // 0: none
  Index window = 0;    // positions seen, the token's own included; 0: all
};
// Causal attention: queries [tokens, heads * key_length], keys [tokens, kv_heads * key_length], values
// [tokens, kv_heads * value_length] to [tokens, heads * value_length].
Matrix Attention(const Matrix& queries, const Matrix& keys, const Matrix& values, const AttentionShape& shape,
                 const AttentionRule& rule);

// Whether a layer slides: the file's pattern (an array, or a group's length), or groups of `default_group`.
bool Slides(const OracleFile& file, Index layer, Index default_group);
// The same for a group's length: all but the last of a group slide; 0: all.
bool SlidesInGroups(Index layer, Index group);

// down(activation(gate x) * (up x)) with the tensors blk.<layer>.ffn_{gate,up,down}.
Matrix FeedForward(const OracleFile& file, const Matrix& x, Index layer, Activation activation);

// The expert weights [tokens, experts]: the `used` largest of each row of probabilities over their sum, others 0.
Matrix TopExperts(const Matrix& probabilities, Index used);
// sum_e weights[:, e] * expert e of x; stacked tensors with gate and up apart or fused, or a tensor for each expert.
Matrix Experts(const OracleFile& file, const Matrix& x, const Matrix& weights, Index layer, Activation activation);

// The output head: rms norm, the output matrix (or the embedding), soft-cap (0: none).
Matrix OutputLogits(const OracleFile& file, const Matrix& x, double epsilon, double softcap);

}  // namespace slm::test::oracle

#endif  // SLM_TESTS_SUPPORT_ORACLE_PARTS_H_
