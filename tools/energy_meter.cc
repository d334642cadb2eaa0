#include "energy_meter.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

// The first line of a small file; otherwise `error` is an errno value.
std::optional<std::string> ReadLine(const std::string& path, int* error) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  char line[64];
  if (file == nullptr || std::fgets(line, sizeof(line), file.get()) == nullptr) {
    *error = file == nullptr || std::ferror(file.get()) != 0 ? errno : 0;
    return std::nullopt;
  }
  return std::string(line, std::strcspn(line, "\n"));
}

struct Reading {
  std::uint64_t value = 0;
  std::string reason;  // why there is no value
};

Reading ReadCounter(const std::string& path) {
  int error = 0;
  const std::optional<std::string> line = ReadLine(path, &error);
  if (!line) {
    const std::string found = error != 0 ? std::strerror(error) : "it is empty";
    const bool forbidden = error == EACCES || error == EPERM;
    return {.reason = path + " cannot be read: " + found +
                      (forbidden ? "; run as root, or let root give everyone permission to read it (chmod a+r)" : "")};
  }
  Reading reading;
  const char* end = line->data() + line->size();
  const auto [stop, code] = std::from_chars(line->data(), end, reading.value);
  if (code != std::errc() || stop != end) return {.reason = path + " does not hold a number"};
  return reading;
}

// Folders of the packages, one for each: a package that is read in two ways (intel-rapl:0, intel-rapl-mmio:0) is
// there twice under one name.
std::vector<std::string> PackageFolders(const std::string& root, std::error_code* error) {
  std::vector<std::string> folders;
  for (fs::directory_iterator it(root, *error), end; !*error && it != end; it.increment(*error))
    folders.push_back(it->path().string());
  const auto order = [](const std::string& path) { return std::pair(path.size(), std::string_view(path)); };
  std::sort(folders.begin(), folders.end(), [&](const auto& a, const auto& b) { return order(a) < order(b); });

  std::set<std::string> names;
  std::erase_if(folders, [&](const std::string& folder) {
    int ignored = 0;
    std::optional<std::string> name = ReadLine(folder + "/name", &ignored);
    return !name || !name->starts_with("package-") || !names.insert(*std::move(name)).second;
  });
  return folders;
}

}  // namespace

EnergyMeter::EnergyMeter(const std::string& root) {
  const std::string folder = root.empty() ? kSystemRoot : root;
  std::error_code error;
  const std::vector<std::string> packages = PackageFolders(folder, &error);
  if (error == std::errc::no_such_file_or_directory) {
    reason_ = folder + " does not exist: this system offers no energy counters";
  } else if (error) {
    reason_ = folder + " cannot be listed: " + error.message();
  } else if (packages.empty()) {
    reason_ = folder + " has no zone of a processor package (name \"package-...\")";
  }
  for (const std::string& package : packages) {
    if (reason_.empty()) reason_ = AddZone(package);
  }
  if (!reason_.empty()) joules_ = std::numeric_limits<double>::quiet_NaN();
}

std::string EnergyMeter::AddZone(const std::string& folder) {
  const Reading range = ReadCounter(folder + "/max_energy_range_uj");
  if (!range.reason.empty()) return range.reason;
  const std::string counter = folder + "/energy_uj";
  const Reading now = ReadCounter(counter);
  if (!now.reason.empty()) return now.reason;
  zones_.push_back({.counter = counter, .range = range.value, .last = now.value});
  return "";
}

double EnergyMeter::Joules() const {
  constexpr double kJoulesPerMicrojoule = 1e-6;
  for (Zone& zone : zones_) {
    const Reading now = ReadCounter(zone.counter);
    const bool wrapped = now.value < zone.last;
    if (!now.reason.empty() || (wrapped && zone.last > zone.range)) {
      joules_ = std::numeric_limits<double>::quiet_NaN();
      break;
    }
    const std::uint64_t used = wrapped ? zone.range - zone.last + now.value : now.value - zone.last;
    joules_ += static_cast<double>(used) * kJoulesPerMicrojoule;
    zone.last = now.value;
  }
  return joules_;
}

}  // namespace slm::tools
