#include "fuzz/fuzz_models.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "fuzz/fuzz_target.h"
#include "model/model_config.h"
#include "slm/session.h"
#include "support/test_data.h"
#include "support/tiny_architecture.h"

namespace slm::test {

namespace {

// More than this is a number that the file is free to name, and says nothing about the code.
constexpr std::uint64_t kMostSessionBytes = 64u << 20;

const TinyShape kShape = {
    .vocab = 20, .width = 32, .layers = 2, .heads = 2, .kv_heads = 1, .head_dim = 32, .ffn_width = 32, .context = 32};

}  // namespace

std::string SmallModel(std::string_view architecture) {
  return TinyArchitecture(FindRow(architecture), kShape).Quantize().Build();
}

std::vector<std::string> SmallModels() {
  std::vector<std::string> models;
  for (const Architecture& row : AllArchitectures()) models.push_back(SmallModel(row.name));
  return models;
}

std::vector<std::string> SmallVocabularies() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(DataPath("tokenizers"))) {
    if (entry.is_directory()) paths.push_back(entry.path() / "vocab.gguf");
  }
  std::ranges::sort(paths);
  std::vector<std::string> files;
  for (const auto& path : paths) files.push_back(ReadFile(path));
  return files;
}

void UseFile(const ModelFile& file) {
  for (const TensorInfo& tensor : file.tensors()) Require(tensor.part < file.parts().size(), "a tensor lies in a part");
  for (const MetadataEntry& entry : file.metadata()) {
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    Require(std::ranges::none_of(entry.value, control), "values are shown escaped");
  }
  static_cast<void>(file.FindBadNumbers());
  static_cast<void>(file.chat_template("tool_use"));
}

void UseTokenizer(const Tokenizer& tokenizer) {
  for (const std::string_view text :
       {"Hello  world\n", " caf\xC3\xA9 \xE4\xBD\xA0\xF0\x9F\x98\x80 123", "<s>a</s>\xFF"}) {
    for (const bool special : {false, true}) {
      const auto tokens = tokenizer.Encode(text, {.parse_special = special, .add_special = special});
      if (!tokens.ok()) return;
      for (const Token token : *tokens)
        Require(0 <= token && token < tokenizer.vocab_size(), "ids are of the vocabulary");
      static_cast<void>(tokenizer.Decode(*tokens, special));
    }
  }
  for (const Token token : tokenizer.end_of_generation()) static_cast<void>(tokenizer.Piece(token, true));
}

void UseModel(const Model& model) {
  constexpr std::array kTypes = {KvType::kF16, KvType::kF32, KvType::kQ8_0};
  const SessionOptions options = {
      .context_length = 8, .kv_type = kTypes[model.file().size() % kTypes.size()], .threads = 1, .batch_size = 2};
  const auto estimate = EstimateMemory(model, options);
  if (!estimate.ok() || estimate->session_bytes() > kMostSessionBytes) return;
  auto session = Session::Create(model, options);
  if (!session.ok()) return;
  std::array<Token, 3> tokens{};
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<Token>(i) % std::max(model.vocab_size(), 1);
  const auto logits = session->Append(tokens);
  if (!logits.ok()) return;
  Require(logits->size() == static_cast<std::size_t>(model.vocab_size()), "there is a logit for each token");
  if (session->Rewind(2).ok()) static_cast<void>(session->Append(tokens));
}

}  // namespace slm::test
