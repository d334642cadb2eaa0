// Errors as values.
//
// Every function of libslm that can fail returns a Status, or a Result<T> that holds either a value or a Status.
// Nothing prints, aborts or exits, and nothing throws but for two cases: what a callback of the application throws
// passes through to its caller (but for std::bad_alloc and std::length_error, which no function that returns a Status
// can tell from its own), and where there is no memory, functions that return a plain value (a string, a vector)
// throw std::bad_alloc; those that return a Status or Result fail with kOutOfMemory and leave things as they were.
// Messages are complete sentences for a person: what failed, where, what was expected and what was found.
//
//   slm::Result<slm::Model> model = slm::Model::Open("model.gguf");
//   if (!model.ok()) return Report(model.status().message());
//   Use(*model);
//
// Thread-safety: values; distinct objects are independent.

#ifndef SLM_STATUS_H_
#define SLM_STATUS_H_

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace slm {

enum class StatusCode {
  kOk = 0,
  kInvalidArgument,  // the caller asked for something that makes no sense
  kNotFound,         // a file or name does not exist
  kIoError,          // the operating system refused or failed
  kCorruptFile,      // the bytes of a file contradict themselves or its format
  kUnsupported,      // well-formed, but this library does not know it
  kContextFull,      // more tokens than the context can hold
  kOutOfMemory,
  kCancelled,      // the caller's CancelToken was set
  kInvalidNumber,  // NaN or infinity where the computation needs a finite number
};

// The name of a code without the leading k, for example "CorruptFile".
std::string_view StatusCodeName(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    assert(!status_.ok() && "a Result without a value needs a failure");
  }

  bool ok() const { return value_.has_value(); }
  // OK exactly when there is a value.
  const Status& status() const { return status_; }

  // Only when ok().
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace slm

#endif  // SLM_STATUS_H_
