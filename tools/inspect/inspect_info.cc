// slm-inspect info: what a file holds, whether it can be run, and what memory that takes.

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inspect_commands.h"
#include "inspect_print.h"
#include "json_text.h"
#include "slm/machine.h"
#include "slm/model.h"
#include "slm/model_file.h"
#include "slm/session.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

// At most `limit` bytes, cut between UTF-8 characters.
std::string Shorten(std::string text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

struct FormatShare {
  std::string format;
  std::uint64_t tensors = 0;
  std::uint64_t weights = 0;
  std::uint64_t bytes = 0;  // 0 for a format that can't be read

  double bits_per_weight() const {
    return weights == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
  }
};

// The mixture of formats, largest first.
std::vector<FormatShare> Mixture(const std::vector<TensorInfo>& tensors) {
  std::vector<FormatShare> mixture;
  std::map<std::string, std::size_t> places;
  for (const TensorInfo& tensor : tensors) {
    const auto [place, is_new] = places.emplace(tensor.format, mixture.size());
    if (is_new) mixture.push_back({.format = tensor.format});
    FormatShare& share = mixture[place->second];
    ++share.tensors;
    share.weights += Elements(tensor);
    share.bytes += tensor.size;
  }
  std::stable_sort(mixture.begin(), mixture.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  return mixture;
}

// --- Memory ---

struct MemoryReport {
  MemoryEstimate needed;
  std::string kv;
  std::uint64_t machine = 0;  // bytes; 0: neither this nor the next is known
  std::uint64_t available = 0;
};

// "yes", "slowly", "no" or "unknown".
std::string_view Fits(const MemoryReport& memory) {
  if (memory.machine == 0) return "unknown";
  if (memory.needed.total_bytes() <= memory.available) return "yes";
  return memory.needed.session_bytes() <= memory.available ? "slowly" : "no";
}

std::string FitsSentence(const MemoryReport& memory) {
  const std::string_view fits = Fits(memory);
  if (fits == "unknown") return "unknown: the system does not say how much memory is available";
  if (fits == "slowly")
    return "slowly: what does not stay in memory of the weights is read from the file for every token";
  if (fits == "no")
    return "no: keys, values and working memory can't be dropped and read again; use a smaller --context";
  return "yes";
}

Json MemoryJson(const MemoryReport& memory) {
  const MemoryEstimate& needed = memory.needed;
  return {{"context_length", needed.context_length},
          {"kv", memory.kv},
          {"weight_bytes", needed.weight_bytes},
          {"kv_bytes", needed.kv_bytes},
          {"scratch_bytes", needed.scratch_bytes},
          {"total_bytes", needed.total_bytes()},
          {"machine_bytes", memory.machine != 0 ? Json(memory.machine) : Json()},
          {"available_bytes", memory.machine != 0 ? Json(memory.available) : Json()},
          {"fits", Fits(memory)}};
}

void PrintField(const char* label, std::string_view value) { std::printf("%-18s %s\n", label, Escaped(value).c_str()); }

void PrintMemory(const MemoryReport& memory) {
  const MemoryEstimate& needed = memory.needed;
  std::printf("\nmemory for %d tokens of context, keys and values in %s\n", needed.context_length, memory.kv.c_str());
  PrintField("weights", Bytes(needed.weight_bytes) + ", mapped from the file");
  PrintField("keys and values", Bytes(needed.kv_bytes));
  PrintField("working memory", Bytes(needed.scratch_bytes));
  PrintField("total", Bytes(needed.total_bytes()));
  if (memory.machine != 0) PrintField("available", Bytes(memory.available) + " of " + Bytes(memory.machine));
  PrintField("fits", FitsSentence(memory));
}

// --- What is shown ---

// A file, and what can be said of it only if this library can run it.
struct Report {
  ModelFile file;
  std::optional<Model> model;
  std::string reason;  // why it can't be run
  std::optional<MemoryReport> memory;
};

Json TokenJson(const Tokenizer& tokenizer, std::optional<Token> token) {
  if (!token) return nullptr;
  return {{"id", *token}, {"text", tokenizer.Text(*token)}};
}

void AddModelJson(const Model& model, Json* json) {
  const Tokenizer& tokenizer = model.tokenizer();
  Json ends = Json::array();
  for (const Token token : tokenizer.end_of_generation()) ends.push_back(TokenJson(tokenizer, token));
  json->update({{"layers", model.layer_count()},
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
                {"chat_template", model.file().chat_template()}});
}

Json ToJson(const Report& report) {
  const ModelFile& file = report.file;
  Json parts = Json::array();
  for (const FilePart& part : file.parts()) parts.push_back({{"path", part.path}, {"size", part.size}});
  Json json = {{"name", file.name()},
               {"architecture", file.architecture()},
               {"gguf_version", file.version()},
               {"file_size", file.size()},
               {"parts", parts},
               {"parameters", file.parameter_count()},
               {"runs", report.model.has_value()}};
  if (report.model) {
    AddModelJson(*report.model, &json);
    json["memory"] = MemoryJson(*report.memory);
  } else {
    json["reason"] = report.reason;
  }
  Json formats = Json::array();
  for (const FormatShare& share : Mixture(file.tensors())) {
    const bool known = share.bytes != 0;
    formats.push_back({{"format", share.format},
                       {"tensors", share.tensors},
                       {"weights", share.weights},
                       {"bytes", known ? Json(share.bytes) : Json()},
                       {"bits_per_weight", known ? Json(share.bits_per_weight()) : Json()}});
  }
  json["formats"] = formats;
  Json metadata = Json::array();
  for (const MetadataEntry& entry : file.metadata()) {
    metadata.push_back({{"key", entry.key}, {"type", entry.type}, {"value", entry.value}});
  }
  json["metadata"] = metadata;
  return json;
}

std::string TokenLine(const Tokenizer& tokenizer, std::optional<Token> token) {
  return token ? std::to_string(*token) + " " + std::string(tokenizer.Text(*token)) : "none";
}

void PrintTokenizer(const Tokenizer& tokenizer) {
  std::string kind(tokenizer.kind());
  if (!tokenizer.pre_tokenizer().empty()) kind += ", pre-tokenizer " + std::string(tokenizer.pre_tokenizer());
  PrintField("tokenizer", kind);
  PrintField("BOS", TokenLine(tokenizer, tokenizer.bos()) + (tokenizer.adds_bos() ? ", begins every text" : ""));
  PrintField("EOS", TokenLine(tokenizer, tokenizer.eos()));
  std::string ends;
  for (const Token token : tokenizer.end_of_generation())
    ends += (ends.empty() ? "" : ", ") + TokenLine(tokenizer, token);
  PrintField("end of generation", ends.empty() ? "none" : ends);
}

void PrintModel(const Model& model) {
  PrintField("layers", std::to_string(model.layer_count()));
  PrintField("context length", std::to_string(model.context_length()));
  PrintField("vocabulary", std::to_string(model.vocab_size()));
  PrintTokenizer(model.tokenizer());
  PrintField("chat template", model.file().chat_template().empty()
                                  ? "none"
                                  : std::to_string(model.file().chat_template().size()) + " bytes");
  PrintField("kernels", model.kernels());
  PrintField("bytes per token", Bytes(model.bytes_per_token()));
}

void PrintMixture(const std::vector<FormatShare>& mixture) {
  if (mixture.empty()) return;
  std::printf("\n%-10s %8s %14s %14s %12s\n", "format", "tensors", "weights", "bytes", "bits/weight");
  for (const FormatShare& share : mixture) {
    std::printf("%-10s %8" PRIu64 " %14" PRIu64, share.format.c_str(), share.tensors, share.weights);
    if (share.bytes != 0) {
      std::printf(" %14" PRIu64 " %12.2f\n", share.bytes, share.bits_per_weight());
    } else {
      std::printf(" %14s %12s\n", "unknown", "unknown");
    }
  }
}

void PrintMetadata(const std::vector<MetadataEntry>& metadata, bool all) {
  constexpr std::size_t kValueLimit = 72;
  std::printf("\n");
  for (const MetadataEntry& entry : metadata) {
    const std::string value = all ? entry.value : Shorten(entry.value, kValueLimit);
    std::printf("%s [%s] = %s\n", Escaped(entry.key).c_str(), entry.type.c_str(), Escaped(value).c_str());
  }
}

void Print(const Report& report, bool all) {
  const ModelFile& file = report.file;
  PrintField("name", file.name());
  PrintField("architecture", file.architecture().empty() ? "unknown" : file.architecture());
  PrintField(
      "file size",
      Bytes(file.size()) + (file.parts().size() == 1 ? "" : " in " + std::to_string(file.parts().size()) + " parts"));
  PrintField("parameters", std::to_string(file.parameter_count()));
  if (report.model) {
    PrintModel(*report.model);
    PrintMemory(*report.memory);
  } else {
    PrintField("runs", "no: " + report.reason);
  }
  PrintMixture(Mixture(file.tensors()));
  PrintMetadata(file.metadata(), all);
}

// --- The command ---

struct Options {
  std::string model, kernels, kv = "f16";
  std::int32_t context = 0;
  bool all = false, json = false;
};

Result<MemoryReport> DescribeMemory(const Model& model, const Options& options) {
  if (options.context != 0) WarnBeyondTraining(kInspect, model, options.context);
  const Result<MemoryEstimate> needed =
      EstimateMemory(model, {.context_length = options.context, .kv_type = KvTypeNamed(options.kv)});
  if (!needed.ok()) return needed.status();
  const Machine machine = DescribeMachine();
  return MemoryReport{
      .needed = *needed, .kv = options.kv, .machine = machine.memory_bytes, .available = machine.available_bytes};
}

Status ShowInfo(const Options& options) {
  const Result<ModelFile> file = OpenModelFile(kInspect, options.model);
  if (!file.ok()) return file.status();
  Report report{.file = *file, .model = {}, .reason = {}, .memory = {}};
  Result<Model> model = OpenModel(kInspect, *file, options.kernels);
  if (model.ok()) {
    Result<MemoryReport> memory = DescribeMemory(*model, options);
    if (!memory.ok()) return memory.status();
    report.memory = *std::move(memory);
    report.model = *std::move(model);
  } else if (model.status().code() == StatusCode::kInvalidArgument) {
    return model.status();  // not about the file
  } else {
    const std::string source = options.model + ": ";
    const std::string& message = model.status().message();
    report.reason = message.starts_with(source) ? message.substr(source.size()) : message;
  }
  if (options.json) {
    std::printf("%s\n", DumpJson(ToJson(report), 2).c_str());
  } else {
    Print(report, options.all);
  }
  return {};
}

}  // namespace

Command AddInfo(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("info", "Architecture, size, memory, formats, tokenizer and metadata");
  AddModelArgument(*app, &options->model);
  app->add_option("--context", options->context,
                  "Tokens of context to tell the memory for (default: 4096, or what the model was trained for if less)")
      ->check(WholeNumber(1))
      ->option_text("N");
  AddKvOption(*app, &options->kv);
  app->add_flag("--all", options->all, "Do not shorten metadata values to a line (long arrays still are)");
  app->add_flag("--json", options->json, "One JSON object for programs");
  AddKernelsOption(*app, &options->kernels);
  app->footer(
      "A file that this version can't run is shown too, and why it can't.\n"
      "Examples:\n"
      "  slm-inspect info model.gguf\n"
      "  slm-inspect info model-00001-of-00003.gguf --context 32768 --kv q8_0\n"
      "  slm-inspect info model.gguf --json | jq .memory");
  return {app, [options] { return ShowInfo(*options); }};
}

}  // namespace slm::tools
