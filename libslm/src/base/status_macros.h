// Short forms for making and passing on failures.

#ifndef SLM_BASE_STATUS_MACROS_H_
#define SLM_BASE_STATUS_MACROS_H_

#include <new>
#include <stdexcept>
#include <utility>

#include "slm/status.h"

#define SLM_CONCAT_INNER(a, b) a##b
#define SLM_CONCAT(a, b) SLM_CONCAT_INNER(a, b)

// Evaluates to a Status; returns it from the enclosing function unless it is OK.
#define SLM_RETURN_IF_ERROR(expr)                        \
  do {                                                   \
    if (::slm::Status status_ = (expr); !status_.ok()) { \
      return status_;                                    \
    }                                                    \
  } while (false)

// `SLM_ASSIGN_OR_RETURN(auto x, F());` declares x from a Result, or returns its Status.
#define SLM_ASSIGN_OR_RETURN(lhs, expr) SLM_ASSIGN_OR_RETURN_INNER(SLM_CONCAT(result_, __LINE__), lhs, expr)
#define SLM_ASSIGN_OR_RETURN_INNER(result, lhs, expr) \
  auto result = (expr);                               \
  if (!result.ok()) return result.status();           \
  lhs = *std::move(result)

namespace slm {
// With a message that needs no memory.
inline Status OutOfMemory() { return {StatusCode::kOutOfMemory, "out of memory"}; }
}  // namespace slm

// Ends the body of a public function: `Status F() try { ... } SLM_CATCH_OUT_OF_MEMORY`. What callbacks of the
// application throw passes.
#define SLM_CATCH_OUT_OF_MEMORY      \
  catch (const std::bad_alloc&) {    \
    return ::slm::OutOfMemory();     \
  }                                  \
  catch (const std::length_error&) { \
    return ::slm::OutOfMemory();     \
  }

#endif  // SLM_BASE_STATUS_MACROS_H_
