// What the tests of the programs share.

#ifndef SLM_TESTS_TOOLS_TOOL_TEST_H_
#define SLM_TESTS_TOOLS_TOOL_TEST_H_

#include <string>
#include <string_view>

#include "support/test_data.h"

namespace slm::test {

// Random models; they answer noise. The second never ends its turn, and has a sliding window.
inline std::string Model(const std::string& name) { return DataPath("models/" + name + "/model.gguf").string(); }
inline std::string ChatMl() { return Model("llama_f16"); }
inline std::string Endless() { return Model("gemma3_linear"); }

inline bool IsEmulated() { return std::string_view(SLM_TEST_EMULATOR) != ""; }
inline bool Contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace slm::test

#endif  // SLM_TESTS_TOOLS_TOOL_TEST_H_
