// A TinyModel of each row of the architecture table, with every key and tensor the row asks for: six layers (or as many
// as the shape says) of which every third is global where layers slide, and of six the last two read the cache of
// earlier ones where files say so. Experts, if the shape has some, are beside a dense feed-forward where the row says
// so.

#ifndef SLM_TESTS_SUPPORT_TINY_ARCHITECTURE_H_
#define SLM_TESTS_SUPPORT_TINY_ARCHITECTURE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "model/model_config.h"
#include "support/tiny_model.h"

namespace slm::test {

// Throws if there is no such row.
const Architecture& FindRow(std::string_view name);

inline constexpr std::uint32_t kTinyLayers = 6;
inline constexpr std::uint32_t kTinySharedLayers = 2;  // where the row makes files say it

// The shape's architecture is the row's, and there are experts where the row always has some.
TinyModel TinyArchitecture(const Architecture& row, TinyShape shape = {.layers = kTinyLayers});
inline TinyModel TinyArchitecture(std::string_view name) { return TinyArchitecture(FindRow(name)); }

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_TINY_ARCHITECTURE_H_
