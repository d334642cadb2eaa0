// The version of libslm. Here and nowhere else: CMake reads it from this file.

#ifndef SLM_VERSION_H_
#define SLM_VERSION_H_

#include <string>

// Of the headers a program is compiled with.
#define SLM_VERSION_MAJOR 0
#define SLM_VERSION_MINOR 1
#define SLM_VERSION_PATCH 0

namespace slm {

// Of the library it is linked with: "0.1.0".
std::string Version();

}  // namespace slm

#endif  // SLM_VERSION_H_
