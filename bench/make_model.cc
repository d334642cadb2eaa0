// slm-make-model: writes GGUF files of random weights in the shapes of published models, to measure speed with.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>

#include "model_shapes.h"
#include "model_writer.h"
#include "tool_main.h"

namespace slm::bench {

namespace {

constexpr const char* kProgram = "slm-make-model";

struct Options {
  std::string shape;
  std::string path;
  std::string mixture = "q4_k_m";
  std::int32_t layers = 0;  // 0: all of the shape's
  std::uint64_t seed = 1;
};

std::string Known() {
  std::string names;
  for (const ModelShape& shape : AllShapes()) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  return names;
}

double Gigabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

void PrintShapes() {
  std::printf("%-14s %7s %11s %9s %9s\n", "shape", "layers", "weights", "q4_k_m", "q4_0");
  for (const ModelShape& shape : AllShapes()) {
    std::uint64_t weights = 0;
    for (const MadeTensor& tensor : TensorsOf(shape, shape.layers, Mixture::kQ4_0)) weights += tensor.elements();
    std::printf("%-14s %7d %9.0f M %6.2f GB %6.2f GB\n", std::string(shape.name).c_str(), shape.layers,
                static_cast<double>(weights) / 1e6, Gigabytes(TensorBytes({&shape, shape.layers, Mixture::kQ4_K_M, 0})),
                Gigabytes(TensorBytes({&shape, shape.layers, Mixture::kQ4_0, 0})));
  }
}

void AddOptions(CLI::App& app, Options* options) {
  app.add_option("SHAPE", options->shape, "One of --list")
      ->required()
      ->option_text("(required)")
      ->check([](const std::string& name) {
        return FindShape(name) != nullptr ? "" : "unknown shape \"" + name + "\"; known: " + Known();
      });
  app.add_option("OUT.gguf", options->path, "File to write")->required()->option_text("(required)");
  app.add_option("--mix", options->mixture, "Formats of the tensors")
      ->check(CLI::IsMember({"q4_k_m", "q4_0"}))
      ->option_text("q4_k_m|q4_0 (" + options->mixture + ")");
  app.add_option("--layers", options->layers, "Layers to make (default: all of the model's)")
      ->check(CLI::Range(1, 512))
      ->option_text("N");
  app.add_option("--seed", options->seed, "The same seed makes the same file")
      ->option_text("N (" + std::to_string(options->seed) + ")");
  app.add_flag_callback(
         "--list",
         [] {
           PrintShapes();
           throw CLI::Success();
         },
         "Print the shapes and the sizes of their files")
      ->trigger_on_parse();
  app.footer(
      "Examples:\n"
      "  slm-make-model --list\n"
      "  slm-make-model mistral-7b mistral-7b-q4_k_m.gguf\n"
      "  slm-make-model llama2-70b four-layers.gguf --mix q4_0 --layers 4\n"
      "\n"
      "The text such a model writes means nothing; its speed is that of the real one.\n"
      "Progress is on standard error. Exit code: 0 success, 1 failure, 2 wrong usage.");
}

Status Make(const Options& options) {
  const ModelShape& shape = *FindShape(options.shape);
  const ModelRecipe recipe = {
      .shape = &shape,
      .layers = options.layers > 0 ? options.layers : shape.layers,
      .mixture = options.mixture == "q4_0" ? Mixture::kQ4_0 : Mixture::kQ4_K_M,
      .seed = options.seed,
  };
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  std::uint64_t shown = 101;  // no percentage
  const auto progress = [&](std::uint64_t written, std::uint64_t total) {
    const std::uint64_t percent = written * 100 / total;
    if (is_terminal && percent != shown) std::fprintf(stderr, "\r%3" PRIu64 " %%", percent);
    shown = percent;
  };
  const Result<WrittenModel> written = WriteModel(recipe, options.path, progress);
  if (is_terminal) std::fputs("\r     \r", stderr);
  if (!written.ok()) return written.status();
  std::fprintf(stderr, "%s: %zu tensors, %.2f GB\n", options.path.c_str(), written->tensors, Gigabytes(written->bytes));
  return {};
}

}  // namespace

}  // namespace slm::bench

int main(int argc, char** argv) {
  CLI::App app("Writes a GGUF file of random weights in the shape of a published model.", slm::bench::kProgram);
  slm::bench::Options options;
  slm::bench::AddOptions(app, &options);
  return slm::tools::RunTool(app, argc, argv, [&options] { return slm::bench::Make(options); });
}
