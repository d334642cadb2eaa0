#include "forward/profiler.h"

namespace slm {

void Profiler::Add(Operation operation, std::size_t layer, double seconds, const Cost& cost) {
  const std::size_t operations = kOperationNames.size();
  const std::size_t row = layer == kNoLayer ? entries_.size() / operations - 1 : layer;
  ProfileEntry& entry = entries_[row * operations + static_cast<std::size_t>(operation)];
  entry.operation = kOperationNames[static_cast<std::size_t>(operation)];
  entry.layer = layer == kNoLayer ? -1 : static_cast<std::int32_t>(layer);
  ++entry.calls;
  entry.seconds += seconds;
  entry.multiply_adds += cost.multiply_adds;
  entry.bytes += cost.bytes;
}

std::vector<ProfileEntry> Profiler::Entries() const {
  const std::size_t operations = kOperationNames.size();
  const std::size_t outside = entries_.size() - operations;
  std::vector<ProfileEntry> measured;
  const auto add = [&](std::size_t index) {
    if (entries_[index].calls > 0) measured.push_back(entries_[index]);
  };
  add(outside + static_cast<std::size_t>(Operation::kEmbed));
  for (std::size_t i = 0; i < outside; ++i) add(i);
  add(outside + static_cast<std::size_t>(Operation::kOutputHead));
  return measured;
}

}  // namespace slm
