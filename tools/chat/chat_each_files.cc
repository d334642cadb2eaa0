#include "chat_each_files.h"

#define XXH_INLINE_ALL  // no library to link
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <set>
#include <system_error>

#include "chat_input.h"
#include "file_identity.h"
#include "json_text.h"
#include "replace_file.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

fs::path AnswerName(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".md") ? name : name + ".md";
}

// Files of one name.
struct Namesakes {
  std::size_t count = 0;
  fs::path folder = {};  // the one furthest down of those that contain them all

  void Add(const fs::path& file) {
    if (count++ == 0) folder = file.parent_path();
    while (std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first != folder.end()) {
      folder = folder.parent_path();
    }
  }
};

// How the log calls an answer: JSON has no bytes that are not UTF-8, but names may differ in those alone.
std::string LogName(const fs::path& output) {
  const std::string name = output.generic_string();
  const std::string shown = ParseJson(DumpJson(Json(name)), "the name")->text;
  return shown == name ? name : shown + '#' + std::to_string(Fingerprint(name));
}

std::string NoPlace(const std::string& file, const fs::path& path) {
  return "The answer to " + file + " would replace " + path.string() +
         ", which is one of the files that are read; give another --out-dir.";
}

std::string ToHex(std::uint64_t value) {
  char digits[17];
  std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

}  // namespace

Result<std::vector<EachFile>> NameAnswers(const std::vector<std::string>& paths, const fs::path& folder,
                                          const std::vector<std::string>& inputs) {
  std::vector<EachFile> files;
  std::vector<fs::path> reals;
  std::set<fs::path> read;
  for (const std::string& path : paths) {
    Result<fs::path> real = ResolvePath(path);
    if (!real.ok()) return real.status();
    if (!read.insert(*real).second) continue;
    files.push_back({.path = path, .output = AnswerName(*real)});
    reals.push_back(*std::move(real));
  }
  for (const std::string& input : inputs) {
    const Result<fs::path> real = ResolvePath(input);
    if (!input.empty() && real.ok()) read.insert(*real);
  }
  std::map<fs::path, Namesakes> by_name;
  for (std::size_t i = 0; i < files.size(); ++i) by_name[files[i].output].Add(reals[i]);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const Namesakes& same = by_name[files[i].output];
    if (same.count > 1) files[i].output = reals[i].parent_path().lexically_relative(same.folder) / files[i].output;
    files[i].output = files[i].output.lexically_normal();
  }
  std::map<fs::path, const std::string*> outputs;
  for (const EachFile& file : files) {
    const Result<fs::path> output = ResolvePath(folder / file.output);
    if (!output.ok()) return output.status();
    for (const fs::path& written : {*output, PartOf(*output), output->parent_path() / kLogName}) {
      if (read.contains(written)) return Status(StatusCode::kInvalidArgument, NoPlace(file.path, written));
    }
    const auto [other, added] = outputs.emplace(*output, &file.path);
    if (!added) {
      return Status(StatusCode::kInvalidArgument, "The answers to " + *other->second + " and " + file.path +
                                                      " would both be called " + file.output.string() +
                                                      "; rename one of the files.");
    }
  }
  return files;
}

Result<std::string> ReadDocument(const std::string& path, bool warn) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    return Status(StatusCode::kInvalidArgument, path + " is no regular file.");
  }
  Result<std::string> text = ReadTextFile(path, warn);
  if (!text.ok()) return text;
  if (text->find_first_not_of(" \t\r\n") == std::string::npos) {
    return Status(StatusCode::kInvalidArgument, path + " is empty.");
  }
  return text;
}

std::uint64_t Fingerprint(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

Result<AnswerLog> AnswerLog::Open(const fs::path& path) {
  const Result<fs::path> folder_path = ResolvePath(path);
  if (!folder_path.ok()) return folder_path.status();
  const fs::path& folder = *folder_path;
  AnswerLog log(folder);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return SystemError("Cannot make the folder", folder, error.value());
  const fs::file_status status = fs::symlink_status(log.path(), error);
  if (!fs::exists(status)) return log;
  if (!fs::is_regular_file(status)) {
    return Status(StatusCode::kIoError,
                  log.path().string() + ", which lists the answers there are, is no regular file.");
  }
  std::ifstream file(log.path(), std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    log.line_open_ = file.eof();
    const Result<JsonValue> json = ParseJson(line, "the line");
    if (!json.ok()) continue;
    const auto text = [&](std::string_view name) {
      const auto item = std::ranges::find(json->items, name, &JsonItem::name);
      return item != json->items.end() && item->type == JsonType::string ? item->text : "";
    };
    const std::string output = text("output"), fingerprint = text("fingerprint");
    if (!output.empty() && !fingerprint.empty()) log.fingerprints_[output] = fingerprint;
  }
  if (file.bad()) return SystemError("Cannot read", log.path(), errno);
  return log;
}

AnswerLog::State AnswerLog::Find(const fs::path& output, std::uint64_t fingerprint) const {
  std::error_code error;
  if (!fs::exists(folder_ / output, error)) return State::kNone;
  const auto known = fingerprints_.find(LogName(output));
  if (known == fingerprints_.end()) return State::kUnknown;
  return known->second == ToHex(fingerprint) ? State::kSame : State::kOther;
}

Status AnswerLog::Add(const fs::path& output, std::uint64_t fingerprint) {
  const std::string hex = ToHex(fingerprint);
  fingerprints_[LogName(output)] = hex;
  const Json json = {{"output", LogName(output)}, {"fingerprint", hex}};
  const std::string line = (line_open_ ? "\n" : "") + DumpJson(json) + "\n";
  Status status = AppendToFile(path(), line);
  line_open_ = !status.ok();  // a full disk may have room for half a line
  return status;
}

}  // namespace slm::tools
