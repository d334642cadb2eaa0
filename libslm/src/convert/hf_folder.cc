#include "convert/hf_folder.h"

#include <cstdint>
#include <fstream>
#include <ios>
#include <system_error>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "base/utf8.h"

namespace slm {

namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 28;  // the largest tokenizer.json known has 35 MB

Result<std::optional<std::string>> ReadFile(const std::filesystem::path& path) {
  std::error_code error;
  const auto info = std::filesystem::status(path, error);
  if (!std::filesystem::exists(info)) return std::optional<std::string>();
  if (!std::filesystem::is_regular_file(info))
    return Status(StatusCode::kIoError, Cat("cannot read ", path.string(), ": it is no file"));
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (!error && size > kMaxBytes) {
    return Status(StatusCode::kUnsupported, Cat("cannot read ", path.string(), ": it has ", size, " bytes, and ",
                                                kMaxBytes, " at most are read"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<std::size_t>(error ? 0 : size), '\0');
  if (error || !file.read(text.data(), static_cast<std::streamsize>(text.size())))
    return Status(StatusCode::kIoError, Cat("cannot read ", path.string(), error ? ": " + error.message() : ""));
  return std::optional(std::move(text));
}

bool IsUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Char next = DecodeUtf8(text, i);
    if (next.status != Utf8Status::kValid) return false;
    i += next.size;
  }
  return true;
}

}  // namespace

Result<HfFolder> HfFolder::Open(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return Status(StatusCode::kNotFound,
                  Cat("cannot read ", path.string(), ": it is no folder; a model's folder as Hugging Face saves it is ",
                      "needed, with config.json and *.safetensors"));
  }
  HfFolder folder;
  folder.path_ = path;
  SLM_ASSIGN_OR_RETURN(std::optional<nlohmann::json> config, folder.ReadJson("config.json"));
  if (!config)
    return Status(StatusCode::kNotFound, Cat("the folder ", path.string(), " has no config.json: it is no model's"));
  folder.config_ = *std::move(config);
  return folder;
}

Result<std::optional<nlohmann::json>> HfFolder::ReadJson(std::string_view name) const {
  SLM_ASSIGN_OR_RETURN(const std::optional<std::string> text, ReadFile(path_ / name));
  if (!text) return std::optional<nlohmann::json>();
  nlohmann::json value = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object())
    return Status(StatusCode::kCorruptFile, Cat((path_ / name).string(), " holds no JSON object"));
  return std::optional(std::move(value));
}

Result<std::optional<std::string>> HfFolder::ReadText(std::string_view name) const {
  SLM_ASSIGN_OR_RETURN(std::optional<std::string> text, ReadFile(path_ / name));
  if (text && !IsUtf8(*text))
    return Status(StatusCode::kCorruptFile, Cat((path_ / name).string(), " is no UTF-8 text"));
  return text;
}

}  // namespace slm
