// What the library has to say besides errors: to a callback of the application. The library itself never prints.

#ifndef SLM_LOG_H_
#define SLM_LOG_H_

#include <functional>
#include <string_view>

namespace slm {

enum class LogLevel { kInfo, kWarning };
// Called on the thread that called into the library.
using LogCallback = std::function<void(LogLevel, std::string_view message)>;

}  // namespace slm

#endif  // SLM_LOG_H_
