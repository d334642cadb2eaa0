// Joules the processor has used, as Linux counts them (https://docs.kernel.org/power/powercap/powercap.html).

#ifndef SLM_TOOLS_ENERGY_METER_H_
#define SLM_TOOLS_ENERGY_METER_H_

#include <cstdint>
#include <string>
#include <vector>

namespace slm::tools {

// Sums the processor packages. Zones inside a package (core, uncore, dram) are part of it or of what not every machine
// counts, and "psys" is the whole machine, packages included: neither is added. Not thread-safe.
class EnergyMeter {
 public:
  static constexpr char kSystemRoot[] = "/sys/class/powercap";

  // root: where the zones' folders are found; "": kSystemRoot.
  explicit EnergyMeter(const std::string& root);

  // Why there are no joules, for a person; empty if there are.
  const std::string& reason() const { return reason_; }

  // Joules used since the meter was made: take the difference of two calls. Counters start again at their range (half
  // an hour or more at full power), which the meter notices if it is asked at least once in between. NaN if there is a
  // reason(), and from when a counter could no longer be read.
  double Joules() const;

 private:
  struct Zone {
    std::string counter;      // path of energy_uj
    std::uint64_t range = 0;  // the counter's largest value
    std::uint64_t last = 0;   // microjoules
  };

  // "" or why not.
  std::string AddZone(const std::string& folder);

  std::string reason_;
  mutable std::vector<Zone> zones_;
  mutable double joules_ = 0;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_ENERGY_METER_H_
