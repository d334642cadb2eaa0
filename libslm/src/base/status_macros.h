// Short forms for passing failures on.

#ifndef SLM_BASE_STATUS_MACROS_H_
#define SLM_BASE_STATUS_MACROS_H_

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

#endif  // SLM_BASE_STATUS_MACROS_H_
