#include "chat_each_files.h"

#include <unistd.h>

#define XXH_INLINE_ALL  // no library to link
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>
#include <set>
#include <system_error>

#include "chat_input.h"
#include "file_identity.h"
#include "json_text.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

Status SystemError(const std::string& what, const fs::path& path, int error) {
  return Status(StatusCode::kIoError, what + " " + path.string() + ": " + std::generic_category().message(error) + ".");
}

fs::path AnswerName(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".md") ? name : name + ".md";
}

// The folder that is furthest down of those that contain all files.
fs::path CommonFolder(const std::vector<const fs::path*>& files) {
  fs::path common = files[0]->parent_path();
  for (const fs::path* file : files) {
    while (std::mismatch(common.begin(), common.end(), file->begin(), file->end()).first != common.end()) {
      common = common.parent_path();
    }
  }
  return common;
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
  std::map<fs::path, std::vector<const fs::path*>> by_name;
  for (std::size_t i = 0; i < files.size(); ++i) by_name[files[i].output].push_back(&reals[i]);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::vector<const fs::path*>& same = by_name[files[i].output];
    if (same.size() > 1)
      files[i].output = reals[i].parent_path().lexically_relative(CommonFolder(same)) / files[i].output;
    files[i].output = files[i].output.lexically_normal();
  }
  std::map<fs::path, const std::string*> outputs;
  for (const EachFile& file : files) {
    const Result<fs::path> output = ResolvePath(folder / file.output);
    if (!output.ok()) return output.status();
    if (read.contains(*output)) {
      return Status(StatusCode::kInvalidArgument, "The answer to " + file.path + " would replace " +
                                                      (folder / file.output).string() +
                                                      ", which is one of the files that are read; give another "
                                                      "--out-dir.");
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

Status ReplaceFile(const fs::path& name, std::string_view contents) {
  const Result<fs::path> resolved = ResolvePath(name);
  if (!resolved.ok()) return resolved.status();
  const fs::path& path = *resolved;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return SystemError("Cannot make the folder", path.parent_path(), error.value());
  // The same name every time, so that what a crash leaves is replaced by the next run.
  const fs::path part = path.parent_path() / ("." + path.filename().string() + ".part");
  File file(std::fopen(part.c_str(), "wb"));
  if (file == nullptr) return SystemError("Cannot write", part, errno);
  const bool written = std::fwrite(contents.data(), 1, contents.size(), file.get()) == contents.size() &&
                       std::fflush(file.get()) == 0 && ::fsync(::fileno(file.get())) == 0;
  const int reason = errno;
  if (std::fclose(file.release()) != 0 || !written) {
    fs::remove(part, error);
    return SystemError("Cannot write", path, reason);
  }
  fs::rename(part, path, error);
  return error ? SystemError("Cannot write", path, error.value()) : Status();
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
  if (!fs::exists(log.path(), error)) return log;
  std::ifstream file(log.path(), std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    log.line_open_ = file.eof();
    const Result<Json> json = ParseJson(line, "the line");
    if (!json.ok() || !json->is_object() || !json->contains("output") || !json->contains("fingerprint")) continue;
    const Json &output = (*json)["output"], &fingerprint = (*json)["fingerprint"];
    if (!output.is_string() || !fingerprint.is_string()) continue;
    log.fingerprints_[output.get<std::string>()] = fingerprint.get<std::string>();
  }
  if (file.bad()) return SystemError("Cannot read", log.path(), errno);
  return log;
}

AnswerLog::State AnswerLog::Find(const fs::path& output, std::uint64_t fingerprint) const {
  std::error_code error;
  if (!fs::exists(folder_ / output, error)) return State::kNone;
  const auto known = fingerprints_.find(output.generic_string());
  if (known == fingerprints_.end()) return State::kUnknown;
  return known->second == ToHex(fingerprint) ? State::kSame : State::kOther;
}

Status AnswerLog::Add(const fs::path& output, std::uint64_t fingerprint) {
  const std::string hex = ToHex(fingerprint);
  fingerprints_[output.generic_string()] = hex;
  const Json json = {{"output", output.generic_string()}, {"fingerprint", hex}};
  const std::string line = (line_open_ ? "\n" : "") + DumpJson(json) + "\n";
  const File file(std::fopen(path().c_str(), "ab"));
  if (file == nullptr || std::fwrite(line.data(), 1, line.size(), file.get()) != line.size() ||
      std::fflush(file.get()) != 0) {
    return SystemError("Cannot write", path(), errno);
  }
  line_open_ = false;
  return {};
}

}  // namespace slm::tools
