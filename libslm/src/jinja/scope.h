// Variables and where they are visible.

#ifndef SLM_JINJA_SCOPE_H_
#define SLM_JINJA_SCOPE_H_

#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "jinja/memory.h"
#include "jinja/value.h"

namespace slm::jinja {

class Scope {
 public:
  explicit Scope(std::shared_ptr<const Scope> parent)
      : parent_(std::move(parent)), depth_(parent_ == nullptr ? 0 : parent_->depth_ + 1) {}

  // Scopes around it.
  unsigned depth() const { return depth_; }

  // `name` must outlive the scope: it is part of the template or of its variables.
  void Set(std::string_view name, Value value) { variables_.insert_or_assign(name, std::move(value)); }

  // Here or further out; nullptr if there is none.
  const Value* Find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent_.get()) {
      const auto found = scope->variables_.find(name);
      if (found != scope->variables_.end()) return &found->second;
    }
    return nullptr;
  }

 private:
  std::shared_ptr<const Scope> parent_;
  unsigned depth_;
  std::map<std::string_view, Value, std::less<>, Metered<std::pair<const std::string_view, Value>>> variables_;
};

}  // namespace slm::jinja

#endif  // SLM_JINJA_SCOPE_H_
