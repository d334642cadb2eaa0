// The rules that keep the project's parts apart, checked on its source tree.

#ifndef SLM_TESTS_LAYOUT_LAYOUT_RULES_H_
#define SLM_TESTS_LAYOUT_LAYOUT_RULES_H_

#include <filesystem>
#include <string>
#include <vector>

namespace slm::test {

struct LayoutReport {
  int files = 0;                        // files looked at
  std::vector<std::string> violations;  // "file:line: what is wrong and what is allowed"
};

// Every #include of the C++ files points in the allowed direction: tools to the public headers; the library to its
// public headers and the kernels; kernels to themselves; and only to the libraries that belong there.
LayoutReport CheckIncludes(const std::filesystem::path& root);

// No CMake file sets instruction-set flags but for a file under kernels/isa, and none asks for inexact arithmetic or
// for the building machine's own instructions.
LayoutReport CheckCompilerFlags(const std::filesystem::path& root);

}  // namespace slm::test

#endif  // SLM_TESTS_LAYOUT_LAYOUT_RULES_H_
