// What /proc and /sys of Linux say about processors and memory. Where they are missing or make no sense, the plain
// assumptions of Machine hold.

#include "base/machine_query.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <array>
#include <bitset>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace slm {

namespace {

namespace fs = std::filesystem;

constexpr std::int32_t kMaxProcessors = 8192;  // of Linux
using ProcessorSet = std::bitset<kMaxProcessors>;

// Calls f(number) for each member, in ascending order.
template <class F>
void ForEach(const ProcessorSet& set, const F& f) {
  for (std::int32_t i = 0; i < kMaxProcessors; ++i) {
    if (set[static_cast<std::size_t>(i)]) f(i);
  }
}

// `set` must not be empty.
std::int32_t Lowest(const ProcessorSet& set) {
  std::int32_t lowest = 0;
  while (!set[static_cast<std::size_t>(lowest)]) ++lowest;
  return lowest;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n";
  const std::size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// Cuts off and returns what is before the next `separator`; all of it if there is none.
std::string_view Next(std::string_view* text, char separator) {
  const std::size_t end = text->find(separator);
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return part;
}

std::optional<std::int64_t> ParseNumber(std::string_view text) {
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

// "0-3,8,10-11", not empty.
std::optional<ProcessorSet> ParseProcessors(std::string_view text) {
  ProcessorSet set;
  while (!text.empty()) {
    const std::string_view range = Next(&text, ',');
    const std::size_t dash = range.find('-');
    const std::optional<std::int64_t> first = ParseNumber(range.substr(0, dash));
    const std::optional<std::int64_t> last =
        dash == std::string_view::npos ? first : ParseNumber(range.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last >= kMaxProcessors) return std::nullopt;
    for (std::int64_t i = *first; i <= *last; ++i) set.set(static_cast<std::size_t>(i));
  }
  return set.any() ? std::optional(set) : std::nullopt;
}

// The beginning of a file, without space around it; "" if it can't be read.
std::string ReadText(const fs::path& path) {
  constexpr std::size_t kMaxBytes = 1 << 16;
  std::string text(kMaxBytes, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(text.data(), kMaxBytes);
  text.resize(static_cast<std::size_t>(file.gcount()));
  return std::string(Trim(text));
}

fs::path ProcessorFolder(const fs::path& root, std::int32_t processor) {
  return root / "sys/devices/system/cpu" / ("cpu" + std::to_string(processor));
}

// --- Which processors ---

std::optional<ProcessorSet> AskAffinity() {
#ifdef __linux__
  std::array<cpu_set_t, kMaxProcessors / CPU_SETSIZE> mask = {};
  if (sched_getaffinity(0, sizeof(mask), mask.data()) != 0) return std::nullopt;
  ProcessorSet set;
  for (std::size_t i = 0; i < kMaxProcessors; ++i) set[i] = CPU_ISSET_S(i, sizeof(mask), mask.data());
  return set;
#else
  return std::nullopt;
#endif
}

ProcessorSet AllowedProcessors(const std::vector<std::int32_t>& numbers) {
  ProcessorSet set;
  for (const std::int32_t number : numbers) {
    if (number >= 0 && number < kMaxProcessors) set.set(static_cast<std::size_t>(number));
  }
  if (!numbers.empty()) return set;
  if (const std::optional<ProcessorSet> asked = AskAffinity()) return *asked;
  const std::size_t count = std::min<std::size_t>(std::thread::hardware_concurrency(), kMaxProcessors);
  for (std::size_t i = 0; i < count; ++i) set.set(i);
  return set;
}

// --- Cores ---

// The same for the processors of one core.
using CoreId = std::pair<std::int64_t, std::int64_t>;

CoreId CoreOf(const fs::path& root, std::int32_t processor) {
  constexpr std::int64_t kBySibling = -1, kAlone = -2;  // packages are counted from 0
  const fs::path topology = ProcessorFolder(root, processor) / "topology";
  const std::optional<ProcessorSet> siblings = ParseProcessors(ReadText(topology / "thread_siblings_list"));
  if (siblings && siblings->test(static_cast<std::size_t>(processor))) return {kBySibling, Lowest(*siblings)};
  const std::optional<std::int64_t> package = ParseNumber(ReadText(topology / "physical_package_id"));
  const std::optional<std::int64_t> core = ParseNumber(ReadText(topology / "core_id"));
  if (package && core && *package >= 0 && *core >= 0) return {*package, *core};
  return {kAlone, processor};
}

// One processor of each core that has any among the allowed.
ProcessorSet OneOfEachCore(const fs::path& root, const ProcessorSet& allowed) {
  ProcessorSet cores;
  std::set<CoreId> seen;
  ForEach(allowed, [&](std::int32_t processor) {
    if (seen.insert(CoreOf(root, processor)).second) cores.set(static_cast<std::size_t>(processor));
  });
  return cores;
}

// The faster ones by the number each processor has in `file`, if they fall into classes by it. Processors of one class
// differ a little too, favoured ones by up to a sixth from the next: where the numbers drop by more than a fifth,
// another class begins. Of several drops the steepest counts, but none that would leave a single core: neither a
// favoured core nor a phone's prime core is to work alone.
ProcessorSet FasterBy(const fs::path& root, const ProcessorSet& cores, const char* file) {
  constexpr double kSameClass = 0.8;
  constexpr std::size_t kLeastClass = 2;
  std::vector<std::pair<double, std::int32_t>> speeds;
  ForEach(cores, [&](std::int32_t processor) {
    const std::int64_t speed = ParseNumber(ReadText(ProcessorFolder(root, processor) / file)).value_or(0);
    if (speed > 0) speeds.emplace_back(static_cast<double>(speed), processor);
  });
  if (speeds.size() != cores.count()) return cores;

  std::sort(speeds.begin(), speeds.end(), std::greater<>());
  std::size_t fast = speeds.size();
  double steepest = kSameClass;
  for (std::size_t i = kLeastClass; i < speeds.size(); ++i) {
    const double drop = speeds[i].first / speeds[i - 1].first;
    if (drop >= steepest) continue;
    steepest = drop;
    fast = i;
  }
  ProcessorSet faster;
  for (std::size_t i = 0; i < fast; ++i) faster.set(static_cast<std::size_t>(speeds[i].second));
  return faster;
}

ProcessorSet PerformanceCores(const fs::path& root, const ProcessorSet& cores) {
  // Hybrid processors of Intel have a performance counter device for each class.
  const std::optional<ProcessorSet> fast = ParseProcessors(ReadText(root / "sys/devices/cpu_core/cpus"));
  const std::optional<ProcessorSet> slow = ParseProcessors(ReadText(root / "sys/devices/cpu_atom/cpus"));
  if (fast && slow && (cores & *fast).any()) return cores & *fast;
  for (const char* file : {"cpu_capacity", "acpi_cppc/highest_perf", "cpufreq/cpuinfo_max_freq"}) {
    const ProcessorSet faster = FasterBy(root, cores, file);
    if (faster != cores) return faster;
  }
  return cores;
}

// --- The control group's quota ---

constexpr double kNoQuota = 0;

double Smaller(double quota, double other) {
  if (quota == kNoQuota || other == kNoQuota) return std::max(quota, other);
  return std::min(quota, other);
}

double QuotaOf(std::string_view time, std::string_view period) {
  const std::int64_t granted = ParseNumber(time).value_or(0);  // "max" and -1: no limit
  const std::int64_t of = ParseNumber(period).value_or(0);
  return granted > 0 && of > 0 ? static_cast<double>(granted) / static_cast<double>(of) : kNoQuota;
}

double QuotaAt(const fs::path& group) {
  const std::string both = ReadText(group / "cpu.max");
  std::string_view period = both;
  const std::string_view time = Next(&period, ' ');
  return Smaller(QuotaOf(time, period),
                 QuotaOf(ReadText(group / "cpu.cfs_quota_us"), ReadText(group / "cpu.cfs_period_us")));
}

// Calls visit with a group's folder and those of all above it. In a container the path can be the host's: then only
// some of it is there, and the top is the container's own group.
template <class Visit>
void VisitAlong(const fs::path& top, std::string_view path, const Visit& visit) {
  constexpr std::size_t kMaxDepth = 64;
  fs::path group = top;
  visit(group);
  for (std::size_t depth = 0; depth < kMaxDepth && !path.empty(); ++depth) {
    const std::string_view name = Next(&path, '/');
    if (name == "..") break;
    if (name.empty()) continue;
    group /= name;
    visit(group);
  }
}

bool HasController(std::string_view controllers, std::string_view name) {
  while (!controllers.empty()) {
    if (Next(&controllers, ',') == name) return true;
  }
  return false;
}

// Every group this process is in that may limit it by `controller`, which version 1 mounts at `mounts`.
template <class Visit>
void VisitGroups(const fs::path& root, std::string_view controller, std::initializer_list<const char*> mounts,
                 const Visit& visit) {
  const fs::path groups = root / "sys/fs/cgroup";
  const std::string text = ReadText(root / "proc/self/cgroup");
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view path = Next(&rest, '\n');  // "number:controllers:path"; version 2 names no controllers
    Next(&path, ':');
    const std::string_view controllers = Next(&path, ':');
    if (controllers.empty()) {
      VisitAlong(groups, path, visit);
    } else if (HasController(controllers, controller)) {
      for (const char* mount : mounts) VisitAlong(groups / mount, path, visit);
    }
  }
}

double Quota(const fs::path& root) {
  double quota = kNoQuota;
  VisitGroups(root, "cpu", {"cpu", "cpu,cpuacct"},
              [&](const fs::path& group) { quota = Smaller(quota, QuotaAt(group)); });
  return quota;
}

// --- Memory ---

// The number after `name` at the beginning of a line: "MemTotal:  123 kB", "inactive_file 456".
std::optional<std::uint64_t> NumberAfter(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::string_view line = Next(&text, '\n');
    if (!line.starts_with(name)) continue;
    line = Trim(line.substr(name.size()));
    const std::optional<std::int64_t> number = ParseNumber(Next(&line, ' '));
    if (number && *number >= 0) return static_cast<std::uint64_t>(*number);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> ReadBytes(const fs::path& file) {
  const std::optional<std::int64_t> number = ParseNumber(ReadText(file));  // not of "max": no limit
  if (!number || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

struct Memory {
  std::uint64_t total = 0;
  std::uint64_t available = 0;
};

// Files of the two versions of control groups.
struct MemoryFiles {
  const char* limit;
  const char* usage;
  const char* cached[2];  // what of the usage only caches files, in memory.stat
};
constexpr MemoryFiles kMemoryFiles[] = {
    {"memory.max", "memory.current", {"active_file ", "inactive_file "}},
    {"memory.limit_in_bytes", "memory.usage_in_bytes", {"total_active_file ", "total_inactive_file "}},
};

void LimitMemory(const fs::path& group, Memory* memory) {
  for (const MemoryFiles& files : kMemoryFiles) {
    const std::optional<std::uint64_t> limit = ReadBytes(group / files.limit);
    // Version 1 says "no limit" by a number beyond any memory.
    if (!limit || *limit >= memory->total) continue;
    const std::string stat = ReadText(group / "memory.stat");
    std::uint64_t used = ReadBytes(group / files.usage).value_or(0);
    for (const char* cached : files.cached) used -= std::min(used, NumberAfter(stat, cached).value_or(0));
    memory->total = *limit;
    memory->available = std::min(memory->available, *limit - std::min(*limit, used));
  }
}

Memory DescribeMemory(const fs::path& root) {
  constexpr std::uint64_t kKilo = 1024;
  constexpr std::uint64_t kMostKilobytes = std::uint64_t{1} << 50;
  const std::string text = ReadText(root / "proc/meminfo");
  const std::optional<std::uint64_t> total = NumberAfter(text, "MemTotal:");
  const std::optional<std::uint64_t> available = NumberAfter(text, "MemAvailable:");
  if (!total || !available || *total > kMostKilobytes || *available > *total) return {};
  Memory memory = {.total = *total * kKilo, .available = *available * kKilo};
  VisitGroups(root, "memory", {"memory"}, [&](const fs::path& group) { LimitMemory(group, &memory); });
  return memory;
}

// --- Name ---

// "" if it holds anything but plain characters.
std::string PlainName(std::string_view text) {
  constexpr std::size_t kMaxLength = 128;
  const std::string_view name = Trim(text).substr(0, kMaxLength);
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return printable ? std::string(name) : "";
}

std::string ProcessorName(const fs::path& root) {
  const std::string text = ReadText(root / "proc/cpuinfo");
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view value = Next(&rest, '\n');
    if (Trim(Next(&value, ':')) == "model name") return PlainName(value);
  }
  // ARM's has numbers only; what board it is says more. The text ends with a zero byte.
  const std::string board = ReadText(root / "proc/device-tree/model");
  return PlainName(board.c_str());
}

std::int32_t Count(const ProcessorSet& set) { return std::max(static_cast<std::int32_t>(set.count()), 1); }

}  // namespace

Machine DescribeMachine() { return DescribeMachine(MachineQuery()); }

Machine DescribeMachine(const MachineQuery& query) {
  const ProcessorSet allowed = AllowedProcessors(query.allowed);
  const ProcessorSet cores = OneOfEachCore(query.root, allowed);
  Machine machine;
  machine.processor = ProcessorName(query.root);
  machine.processors = Count(allowed);
  machine.cores = Count(cores);
  machine.performance_cores = Count(PerformanceCores(query.root, cores));
  machine.quota = Quota(query.root);
  const Memory memory = DescribeMemory(query.root);
  machine.memory_bytes = memory.total;
  machine.available_bytes = memory.available;
  machine.default_threads = machine.performance_cores;
  // Rounded down: a group that uses up its time early stands still for the rest of the period, all threads of it, and
  // the threads of a step wait for each other.
  if (machine.quota > 0 && machine.quota < machine.performance_cores) {
    machine.default_threads = std::max(static_cast<std::int32_t>(machine.quota), 1);
  }
  return machine;
}

}  // namespace slm
