// Models of a few kilobytes with random weights, whose every key and tensor a test may change: to see what is computed
// where a formula is simple enough to tell, and what each kind of wrong file is told.
//
//   TinyModel tiny({.architecture = "gemma3", .layers = 1});
//   tiny.Set("gemma3.attention.sliding_window", 4u).Erase("gemma3.rope.freq_base");
//   Result<Model> model = tiny.Open();

#ifndef SLM_TESTS_SUPPORT_TINY_MODEL_H_
#define SLM_TESTS_SUPPORT_TINY_MODEL_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats.h"
#include "slm/model.h"
#include "tiny_gguf.h"

namespace slm::test {

struct TinyShape {
  std::string architecture = "llama";
  std::uint32_t vocab = 40;
  std::uint32_t width = 32;
  std::uint32_t layers = 2;
  std::uint32_t heads = 4;
  std::uint32_t kv_heads = 2;
  std::uint32_t head_dim = 16;  // not width / heads
  std::uint32_t ffn_width = 64;
  std::uint32_t experts = 0;  // 0: a dense feed-forward
  std::uint32_t experts_used = 2;
  std::uint32_t context = 64;
  bool tied = true;                // no output.weight
  std::uint32_t value_dim = 0;     // 0: head_dim
  std::uint32_t expert_width = 0;  // 0: ffn_width
  // Of a TinyArchitecture that has them: inputs of layers, streams, and the low-rank path beside attention.
  std::uint32_t input_width = 8;
  std::uint32_t streams = 3;
  std::uint32_t rank = 4;

  std::uint64_t queries() const { return std::uint64_t{heads} * head_dim; }
  std::uint64_t keys() const { return std::uint64_t{kv_heads} * head_dim; }
  std::uint64_t values() const { return std::uint64_t{kv_heads} * value_length(); }
  std::uint64_t attended() const { return std::uint64_t{heads} * value_length(); }
  std::uint32_t value_length() const { return value_dim != 0 ? value_dim : head_dim; }
  std::uint32_t expert_length() const { return expert_width != 0 ? expert_width : ffn_width; }
};

class TinyModel {
 public:
  explicit TinyModel(const TinyShape& shape = {});

  // Adds or replaces a metadata entry.
  template <typename T>
  TinyModel& Set(const std::string& key, T value) {
    Entry(key) = [key, value = std::move(value)](TinyGguf& file) { file.Set(key, value); };
    return *this;
  }
  TinyModel& Erase(std::string_view key);

  // Adds or replaces a tensor: of F32, or with any bytes.
  TinyModel& SetTensor(std::string_view name, std::vector<std::uint64_t> shape, std::span<const float> values);
  TinyModel& SetTensor(std::string_view name, std::uint32_t type, std::vector<std::uint64_t> shape, std::string data);
  // Random weights.
  TinyModel& AddTensor(std::string_view name, std::vector<std::uint64_t> shape);
  TinyModel& EraseTensor(std::string_view name);
  // Changes one value of an F32 tensor, and copies a tensor under another name.
  TinyModel& SetValue(std::string_view name, std::size_t index, float value);
  TinyModel& CopyTensor(std::string_view from, std::string_view to);
  // Turns a tensor of stacked experts ("blk.0.ffn_up_exps.weight") into one tensor for each ("blk.0.ffn_up.0.weight").
  TinyModel& SplitExperts(std::string_view name);
  // Makes Q8_0 of all matrices whose rows have a length for it.
  TinyModel& Quantize();

  // Of an F32 tensor.
  std::vector<float> Values(std::string_view name) const;

  // Padding between tensors, and what the file says of it.
  TinyModel& SetAlignment(std::uint32_t alignment);

  std::string Build() const;
  // The same model split into so many files: metadata in the first, tensors dealt out in turn.
  std::vector<TinyGguf> Split(std::size_t parts) const;
  // Through a temporary file, which is gone when this returns.
  Result<Model> Open(const ModelOptions& options = {}) const;

 private:
  struct Tensor {
    std::string name;
    std::uint32_t type;
    std::vector<std::uint64_t> shape;
    std::string data;
  };
  std::function<void(TinyGguf&)>& Entry(const std::string& key);
  Tensor& Find(std::string_view name);
  void SetSizes(const TinyShape& shape);
  void SetVocabulary(std::uint32_t size);
  void AddLayer(const TinyShape& shape, std::uint32_t index);
  void AddFeedForward(const TinyShape& shape, const std::string& prefix);
  TinyGguf File() const;

  std::vector<std::pair<std::string, std::function<void(TinyGguf&)>>> entries_;
  std::vector<Tensor> tensors_;
  std::size_t alignment_ = 32;
  std::uint32_t seed_ = 0;
};

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_TINY_MODEL_H_
