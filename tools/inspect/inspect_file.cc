// slm-inspect tensors and check: the table of tensors, and every weight.

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "inspect_commands.h"
#include "inspect_print.h"
#include "json_text.h"
#include "slm/model_file.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

std::string ShapeText(const TensorInfo& tensor) {
  std::string shape;
  for (const std::uint64_t n : tensor.shape) {
    if (!shape.empty()) shape += 'x';
    shape += std::to_string(n);
  }
  return shape.empty() ? "scalar" : shape;
}

void PrintTensors(const ModelFile& file) {
  const std::vector<TensorInfo> tensors = file.tensors();
  std::size_t width = 0, format_width = 5;
  for (const TensorInfo& tensor : tensors) {
    width = std::max(width, Escaped(tensor.name).size());
    format_width = std::max(format_width, tensor.format.size());
  }
  for (const TensorInfo& tensor : tensors) {
    const std::string size = tensor.size != 0 ? std::to_string(tensor.size) : "unknown";
    std::printf("%-*s  %-*s  %14s  %12" PRIu64 "  %12s", static_cast<int>(width), Escaped(tensor.name).c_str(),
                static_cast<int>(format_width), tensor.format.c_str(), ShapeText(tensor).c_str(), tensor.file_offset,
                size.c_str());
    if (file.parts().size() > 1) std::printf("  part %zu", tensor.part + 1);
    std::printf("\n");
  }
}

Json TensorsJson(const ModelFile& file) {
  Json list = Json::array();
  for (const TensorInfo& tensor : file.tensors()) {
    list.push_back({{"name", tensor.name},
                    {"format", tensor.format},
                    {"shape", tensor.shape},
                    {"part", tensor.part + 1},
                    {"offset", tensor.file_offset},
                    {"size", tensor.size != 0 ? Json(tensor.size) : Json()}});
  }
  return list;
}

// The longest stretch of a tensor in which every 256 weights are stored as the 256 before.
struct Repetition {
  std::uint64_t offset = 0;  // bytes from the tensor's beginning
  std::uint64_t size = 0;
};

Result<Repetition> LongestRepetition(const TensorInfo& tensor, const std::string& path) {
  constexpr std::uint64_t kWeights = 256;  // whole blocks in all formats
  const std::uint64_t block = tensor.size * kWeights / std::max<std::uint64_t>(Elements(tensor), 1);
  Repetition longest;
  if (block == 0 || block > tensor.size) return longest;
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(tensor.file_offset));
  std::string last(block, '\0'), next(block, '\0');
  Repetition current{.offset = 0, .size = 0};
  for (std::uint64_t offset = 0; offset + block <= tensor.size; offset += block) {
    if (!file.read(next.data(), static_cast<std::streamsize>(block))) {
      return Status(StatusCode::kIoError, "cannot read " + path);
    }
    if (offset == 0 || next != last) current = {.offset = offset, .size = 0};
    current.size += block;
    if (current.size > longest.size) longest = current;
    std::swap(last, next);
  }
  return longest;
}

// A download that was given its size in advance, and then broken off, has zeros where weights should be.
Status WarnOfRepetitions(const ModelFile& file) {
  constexpr std::uint64_t kLong = 256 << 10;  // bytes
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.size < kLong) continue;
    const Result<Repetition> found = LongestRepetition(tensor, file.parts()[tensor.part].path);
    if (!found.ok()) return found.status();
    if (found->size < kLong) continue;
    const std::uint64_t begin = tensor.file_offset + found->offset;
    PrintMessage(kInspect,
                 "warning: tensor " + std::string(tensor.name) + " repeats the same weights over and over in " +
                     std::to_string(found->size) + " bytes, from byte " + std::to_string(begin) + " of " +
                     file.parts()[tensor.part].path +
                     ": an incomplete download looks like this (so do vocabularies padded with unused tokens)");
  }
  return {};
}

Status Check(const ModelFile& file, const std::string& path) {
  const std::vector<BadNumber> found = file.FindBadNumbers();
  for (const BadNumber& bad : found) {
    std::printf("tensor %s, block %" PRIu64 " (element %" PRIu64 "): NaN or infinity\n", Escaped(bad.tensor).c_str(),
                bad.block, bad.element);
  }
  if (!found.empty()) {
    return Status(StatusCode::kInvalidNumber, path + " is damaged: " + std::to_string(found.size()) +
                                                  (found.size() == 1 ? " tensor holds" : " tensors hold") +
                                                  " NaN or infinity; get the file again");
  }
  std::uint64_t weights = 0;
  std::size_t sound = 0, unread = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.size == 0) {
      ++unread;
      continue;
    }
    ++sound;
    weights += Elements(tensor);
  }
  std::printf("ok: %" PRIu64 " weights in %zu tensors are finite\n", weights, sound);
  if (unread != 0) std::printf("not read: %zu tensors, of formats this version does not know\n", unread);
  return WarnOfRepetitions(file);
}

}  // namespace

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
      "The shape is in GGUF order: the first number is the contiguous dimension. Offsets count from the beginning of\n"
      "the file, or of the part the tensor lies in.\n"
      "Examples:\n"
      "  slm-inspect tensors model.gguf | grep attn_q\n"
      "  slm-inspect tensors model.gguf --json");
  return {app, [options]() -> Status {
            const Result<ModelFile> file = OpenModelFile(kInspect, options->model);
            if (!file.ok()) return file.status();
            if (options->json) {
              std::printf("%s\n", DumpJson(TensorsJson(*file), 2).c_str());
            } else {
              PrintTensors(*file);
            }
            return {};
          }};
}

Command AddCheck(CLI::App& root) {
  auto path = std::make_shared<std::string>();
  CLI::App* app = root.add_subcommand(
      "check", "Reads every weight; names the tensors and blocks that hold NaN or infinity, and what looks incomplete");
  AddModelArgument(*app, path.get());
  app->footer(
      "Exit code 1 if any weight is not finite. Long stretches of equal weights, as a download that was broken off "
      "may\n"
      "have, are warned about.\n"
      "Examples:\n"
      "  slm-inspect check model.gguf");
  return {app, [path]() -> Status {
            const Result<ModelFile> file = OpenModelFile(kInspect, *path);
            if (!file.ok()) return file.status();
            return Check(*file, *path);
          }};
}

}  // namespace slm::tools
