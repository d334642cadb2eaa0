// slm-inspect info, tensors and check: what the file holds.

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inspect_commands.h"
#include "slm/model.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

using Json = nlohmann::ordered_json;

// Names and texts come from the file: bytes that are not UTF-8 become U+FFFD.
std::string Dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

// Text of the file in one line of printable characters; it must not be able to steer a terminal.
std::string Printable(std::string_view text) {
  const std::string quoted = Dump(Json(text), -1);
  return quoted.substr(1, quoted.size() - 2);
}

// At most `limit` bytes, cut between UTF-8 characters.
std::string Shorten(std::string text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string Bytes(std::uint64_t bytes) {
  char text[64];
  std::snprintf(text, sizeof(text), "%" PRIu64 " (%.1f MB)", bytes, static_cast<double>(bytes) / 1e6);
  return text;
}

std::uint64_t Elements(const TensorInfo& tensor) {
  std::uint64_t elements = 1;
  for (const std::uint64_t n : tensor.shape) elements *= n;
  return elements;
}

struct FormatShare {
  std::string_view format;
  std::uint64_t tensors = 0;
  std::uint64_t weights = 0;
  std::uint64_t bytes = 0;

  double bits_per_weight() const {
    return weights == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
  }
};

// The mixture of formats, largest first.
std::vector<FormatShare> Mixture(const std::vector<TensorInfo>& tensors) {
  std::vector<FormatShare> mixture;
  for (const TensorInfo& tensor : tensors) {
    auto share = std::find_if(mixture.begin(), mixture.end(), [&](const auto& s) { return s.format == tensor.format; });
    if (share == mixture.end()) share = mixture.insert(share, {.format = tensor.format});
    ++share->tensors;
    share->weights += Elements(tensor);
    share->bytes += tensor.size;
  }
  std::stable_sort(mixture.begin(), mixture.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  return mixture;
}

Json TokenJson(const Tokenizer& tokenizer, std::optional<Token> token) {
  if (!token) return nullptr;
  return {{"id", *token}, {"text", tokenizer.Text(*token)}};
}

Json InfoJson(const Model& model) {
  const Tokenizer& tokenizer = model.tokenizer();
  Json ends = Json::array();
  for (const Token token : tokenizer.end_of_generation()) ends.push_back(TokenJson(tokenizer, token));
  Json formats = Json::array();
  for (const FormatShare& share : Mixture(model.tensors())) {
    formats.push_back({{"format", share.format},
                       {"tensors", share.tensors},
                       {"weights", share.weights},
                       {"bytes", share.bytes},
                       {"bits_per_weight", share.bits_per_weight()}});
  }
  Json metadata = Json::array();
  for (const MetadataEntry& entry : model.metadata()) {
    metadata.push_back({{"key", entry.key}, {"type", entry.type}, {"value", entry.value}});
  }
  return {{"name", model.name()},
          {"architecture", model.architecture()},
          {"file_size", model.file_size()},
          {"parameters", model.parameter_count()},
          {"layers", model.layer_count()},
          {"context_length", model.context_length()},
          {"vocab_size", model.vocab_size()},
          {"bytes_per_token", model.bytes_per_token()},
          {"kernels", model.kernels()},
          {"tokenizer", tokenizer.kind()},
          {"pre_tokenizer", tokenizer.pre_tokenizer()},
          {"adds_bos", tokenizer.adds_bos()},
          {"bos", TokenJson(tokenizer, tokenizer.bos())},
          {"eos", TokenJson(tokenizer, tokenizer.eos())},
          {"end_of_generation", ends},
          {"chat_template", model.chat_template()},
          {"formats", formats},
          {"metadata", metadata}};
}

void PrintField(const char* label, std::string_view value) {
  std::printf("%-18s %.*s\n", label, static_cast<int>(value.size()), value.data());
}

std::string TokenLine(const Tokenizer& tokenizer, std::optional<Token> token) {
  return token ? std::to_string(*token) + " " + Printable(tokenizer.Text(*token)) : "none";
}

void PrintTokenizer(const Tokenizer& tokenizer) {
  std::string kind = Printable(tokenizer.kind());
  if (!tokenizer.pre_tokenizer().empty()) kind += ", pre-tokenizer " + Printable(tokenizer.pre_tokenizer());
  PrintField("tokenizer", kind);
  PrintField("BOS", TokenLine(tokenizer, tokenizer.bos()) + (tokenizer.adds_bos() ? ", begins every text" : ""));
  PrintField("EOS", TokenLine(tokenizer, tokenizer.eos()));
  std::string ends;
  for (const Token token : tokenizer.end_of_generation())
    ends += (ends.empty() ? "" : ", ") + TokenLine(tokenizer, token);
  PrintField("end of generation", ends.empty() ? "none" : ends);
}

void PrintMixture(const std::vector<FormatShare>& mixture) {
  std::printf("\n%-10s %8s %14s %14s %12s\n", "format", "tensors", "weights", "bytes", "bits/weight");
  for (const FormatShare& share : mixture) {
    std::printf("%-10.*s %8" PRIu64 " %14" PRIu64 " %14" PRIu64 " %12.2f\n", static_cast<int>(share.format.size()),
                share.format.data(), share.tensors, share.weights, share.bytes, share.bits_per_weight());
  }
}

void PrintMetadata(const std::vector<MetadataEntry>& metadata, bool all) {
  constexpr std::size_t kValueLimit = 72;
  std::printf("\n");
  for (const MetadataEntry& entry : metadata) {
    const std::string value = all ? entry.value : Shorten(entry.value, kValueLimit);
    std::printf("%s [%s] = %s\n", Printable(entry.key).c_str(), entry.type.c_str(), value.c_str());
  }
}

void PrintInfo(const Model& model, bool all) {
  PrintField("name", Printable(model.name()));
  PrintField("architecture", Printable(model.architecture()));
  PrintField("file size", Bytes(model.file_size()));
  PrintField("parameters", std::to_string(model.parameter_count()));
  PrintField("layers", std::to_string(model.layer_count()));
  PrintField("context length", std::to_string(model.context_length()));
  PrintField("vocabulary", std::to_string(model.vocab_size()));
  PrintTokenizer(model.tokenizer());
  PrintField("chat template",
             model.chat_template().empty() ? "none" : std::to_string(model.chat_template().size()) + " bytes");
  PrintField("kernels", model.kernels());
  PrintField("bytes per token", Bytes(model.bytes_per_token()));
  PrintMixture(Mixture(model.tensors()));
  PrintMetadata(model.metadata(), all);
}

void PrintTensors(const std::vector<TensorInfo>& tensors) {
  std::size_t width = 0;
  for (const TensorInfo& tensor : tensors) width = std::max(width, Printable(tensor.name).size());
  for (const TensorInfo& tensor : tensors) {
    std::string shape;
    for (const std::uint64_t n : tensor.shape) {
      if (!shape.empty()) shape += 'x';
      shape += std::to_string(n);
    }
    if (shape.empty()) shape = "scalar";
    std::printf("%-*s  %-5.*s  %14s  %12" PRIu64 "  %12" PRIu64 "\n", static_cast<int>(width),
                Printable(tensor.name).c_str(), static_cast<int>(tensor.format.size()), tensor.format.data(),
                shape.c_str(), tensor.file_offset, tensor.size);
  }
}

Json TensorsJson(const std::vector<TensorInfo>& tensors) {
  Json list = Json::array();
  for (const TensorInfo& tensor : tensors) {
    list.push_back({{"name", tensor.name},
                    {"format", tensor.format},
                    {"shape", tensor.shape},
                    {"offset", tensor.file_offset},
                    {"size", tensor.size}});
  }
  return list;
}

Status Check(const Model& model, const std::string& path) {
  const std::vector<BadNumber> found = model.FindBadNumbers();
  for (const BadNumber& bad : found) {
    std::printf("tensor %s, block %" PRIu64 " (element %" PRIu64 "): NaN or infinity\n", Printable(bad.tensor).c_str(),
                bad.block, bad.element);
  }
  if (!found.empty()) {
    return Status(StatusCode::kInvalidNumber, path + " is damaged: " + std::to_string(found.size()) +
                                                  (found.size() == 1 ? " tensor holds" : " tensors hold") +
                                                  " NaN or infinity; get the file again");
  }
  std::printf("ok: %" PRIu64 " weights in %zu tensors are finite\n", model.parameter_count(), model.tensors().size());
  return {};
}

}  // namespace

Command AddInfo(CLI::App& root) {
  struct Options {
    std::string model, kernels;
    bool all = false, json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("info", "Architecture, size, formats, tokenizer and metadata");
  AddModelArgument(*app, &options->model);
  app->add_flag("--all", options->all, "Do not shorten metadata values to a line (long arrays still are)");
  app->add_flag("--json", options->json, "One JSON object for programs");
  AddKernelsOption(*app, &options->kernels);
  app->footer(
      "Examples:\n"
      "  slm-inspect info model.gguf\n"
      "  slm-inspect info model.gguf --json | jq .formats");
  return {app, [options]() -> Status {
            const Result<Model> model = OpenModel(kInspect, options->model, options->kernels);
            if (!model.ok()) return model.status();
            if (options->json) {
              std::printf("%s\n", Dump(InfoJson(*model), 2).c_str());
            } else {
              PrintInfo(*model, options->all);
            }
            return {};
          }};
}

Command AddTensors(CLI::App& root) {
  struct Options {
    std::string model;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("tensors", "One line per tensor: name, format, shape, offset, size in bytes");
  AddModelArgument(*app, &options->model);
  app->add_flag("--json", options->json, "A JSON array for programs");
  app->footer(
      "The shape is in GGUF order: the first number is the contiguous dimension.\n"
      "Examples:\n"
      "  slm-inspect tensors model.gguf | grep attn_q\n"
      "  slm-inspect tensors model.gguf --json");
  return {app, [options]() -> Status {
            const Result<Model> model = OpenModel(kInspect, options->model);
            if (!model.ok()) return model.status();
            if (options->json) {
              std::printf("%s\n", Dump(TensorsJson(model->tensors()), 2).c_str());
            } else {
              PrintTensors(model->tensors());
            }
            return {};
          }};
}

Command AddCheck(CLI::App& root) {
  auto path = std::make_shared<std::string>();
  CLI::App* app =
      root.add_subcommand("check", "Reads every weight; names the tensors and blocks that hold NaN or infinity");
  AddModelArgument(*app, path.get());
  app->footer(
      "Exit code 1 if any weight is not finite.\n"
      "Examples:\n"
      "  slm-inspect check model.gguf");
  return {app, [path]() -> Status {
            const Result<Model> model = OpenModel(kInspect, *path);
            if (!model.ok()) return model.status();
            return Check(*model, *path);
          }};
}

}  // namespace slm::tools
