// The description of a machine other than this one.

#ifndef SLM_BASE_MACHINE_QUERY_H_
#define SLM_BASE_MACHINE_QUERY_H_

#include <cstdint>
#include <filesystem>
#include <vector>

#include "slm/machine.h"

namespace slm {

struct MachineQuery {
  // Where /proc and /sys are found.
  std::filesystem::path root = "/";
  // Numbers of the processors this process may run on. Empty: ask the operating system.
  std::vector<std::int32_t> allowed = {};
};

Machine DescribeMachine(const MachineQuery& query);

}  // namespace slm

#endif  // SLM_BASE_MACHINE_QUERY_H_
