// What the random models of all architectures are written with.

#ifndef SLM_TESTS_SUPPORT_RANDOM_WRITER_H_
#define SLM_TESTS_SUPPORT_RANDOM_WRITER_H_

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/random_model.h"
#include "tiny_gguf.h"

namespace slm::test {

class Random {
 public:
  explicit Random(std::uint32_t seed) : generator_(seed) {}

  double Real(double low, double high) { return low + (high - low) * static_cast<double>(generator_()) / 0x1p32; }
  // Both ends included.
  std::uint32_t Int(std::uint32_t low, std::uint32_t high) {
    return low + static_cast<std::uint32_t>(Real(0, high - low + 1));
  }
  std::uint32_t Even(std::uint32_t low, std::uint32_t high) { return 2 * Int(low / 2, high / 2); }
  bool Chance(double probability) { return Real(0, 1) < probability; }
  // All orders of magnitude alike.
  double LogReal(double low, double high);

 private:
  std::mt19937 generator_;  // its numbers, unlike those of the standard's distributions, are the same everywhere
};

// A number for each layer.
using PerLayer = std::vector<std::uint32_t>;

// Sizes that all architectures have.
struct RandomShape {
  std::uint32_t vocab = 0;
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  PerLayer heads;
  PerLayer kv_heads;
  std::uint32_t key_length = 0;
  std::uint32_t value_length = 0;
  bool head_lengths_in_file = true;  // else they are width / heads
  PerLayer ffn_width;
};

class RandomWriter {
 public:
  RandomWriter(std::string_view architecture, std::uint32_t seed);

  const std::string& architecture() const { return architecture_; }
  std::uint32_t seed() const { return seed_; }
  Random& random() { return random_; }

  // Metadata below the architecture's name.
  template <typename T>
  void Key(std::string_view name, const T& value) {
    file_.Set(architecture_ + "." + std::string(name), value);
  }
  void Number(std::string_view name, double value) { Key(name, static_cast<float>(value)); }
  // A scalar if all entries are equal (an array now and then all the same), otherwise an array.
  void PerLayerKey(std::string_view name, const PerLayer& values);

  // {in, out[, n]} with values that multiply the size of what they are applied to by `gain`.
  void Matrix(std::string_view name, std::vector<std::uint64_t> shape, double gain = 1);
  // Numbers from (1 - spread) * mean to (1 + spread) * mean, none of them alike.
  void Vector(std::string_view name, std::uint64_t size, double mean = 1, double spread = 0.5);
  void Bias(std::string_view name, std::uint64_t size) { Numbers(name, {size}, -0.5, 0.5); }
  void Numbers(std::string_view name, std::vector<std::uint64_t> shape, double low, double high);
  void Exactly(std::string_view name, const std::vector<float>& values) { file_.AddF32(name, {values.size()}, values); }

  // Sizes with `layers` layers; key and value lengths may differ only if the architecture allows.
  RandomShape DrawShape(std::uint32_t layers, bool value_length_may_differ);
  PerLayer DrawFfnWidths(std::uint32_t layers);
  // Keys of the shape and the norm's epsilon.
  void WriteShape(const RandomShape& shape);
  // The vocabulary, embedding (rows of length `embedding_size`) and output norm; now and then an output matrix.
  void WriteTables(const RandomShape& shape, double embedding_size, bool may_be_untied);

  // The finished file and a text for it.
  RandomModel Finish(const RandomShape& shape, std::int32_t context_length);

 private:
  std::string architecture_;
  std::uint32_t seed_;
  Random random_;
  TinyGguf file_;
};

std::string LayerPrefix(std::uint32_t layer);  // "blk.3."

constexpr std::uint32_t kRandomTextLength = 32;
// Tokens the models say they were trained for.
constexpr std::uint32_t kRandomContextLength = 96;

// The families; each writes a whole model.
RandomModel RandomLlamaFamily(RandomWriter& out);  // and mistral3, smollm3, qwen*, phi3, granite
RandomModel RandomGemma(RandomWriter& out);        // gemma, gemma2, gemma3
RandomModel RandomGemma3n(RandomWriter& out);
RandomModel RandomGemma4(RandomWriter& out);

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_RANDOM_WRITER_H_
