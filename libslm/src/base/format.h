// Concatenation for error messages: Cat("expected ", 3, ", found ", 4).

#ifndef SLM_BASE_FORMAT_H_
#define SLM_BASE_FORMAT_H_

#include <locale>
#include <sstream>
#include <string>

namespace slm {

template <typename... Parts>
std::string Cat(const Parts&... parts) {
  std::ostringstream out;
  out.imbue(std::locale::classic());  // whatever the host program has set
  out.exceptions(std::ios::badbit);   // no memory is no reason for half a name
  (out << ... << parts);
  return std::move(out).str();
}

}  // namespace slm

#endif  // SLM_BASE_FORMAT_H_
