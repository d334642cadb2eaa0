// What the handles of the public headers hold, for the library and its tests.

#ifndef SLM_BASE_INTERNAL_H_
#define SLM_BASE_INTERNAL_H_

#include <type_traits>
#include <utility>

namespace slm {

// The one friend that classes of public headers have.
struct Internal {
  template <typename Handle>
  static const auto& Impl(const Handle& handle) {
    return *handle.impl_;
  }
  template <typename Handle>
  static auto& Impl(Handle& handle) {
    return *handle.impl_;
  }
  template <typename Handle, typename Held>
  static Handle Make(Held impl) {
    return Handle(std::move(impl));
  }
};

template <typename Handle>
using ImplOf = std::remove_cvref_t<decltype(Internal::Impl(std::declval<const Handle&>()))>;

}  // namespace slm

#endif  // SLM_BASE_INTERNAL_H_
