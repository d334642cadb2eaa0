// A model's folder as Hugging Face transformers saves it: config.json and what lies beside it.

#ifndef SLM_CONVERT_HF_FOLDER_H_
#define SLM_CONVERT_HF_FOLDER_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "slm/status.h"

namespace slm {

class HfFolder {
 public:
  // Fails with kNotFound (no such folder, or one without config.json), kIoError or kCorruptFile.
  static Result<HfFolder> Open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  // config.json, an object.
  const nlohmann::json& config() const { return config_; }

  // A file of the folder; nothing if it has none of that name. Any bytes can be in it. kCorruptFile: no JSON object
  // (says where), or, for text, no UTF-8; kUnsupported: longer than what is read (says both numbers).
  Result<std::optional<nlohmann::json>> ReadJson(std::string_view name) const;
  Result<std::optional<std::string>> ReadText(std::string_view name) const;

 private:
  std::filesystem::path path_;
  nlohmann::json config_;
};

}  // namespace slm

#endif  // SLM_CONVERT_HF_FOLDER_H_
