#include "slm/status.h"

namespace slm {

std::string_view StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "Ok";
    case StatusCode::kInvalidArgument:
      return "InvalidArgument";
    case StatusCode::kNotFound:
      return "NotFound";
    case StatusCode::kIoError:
      return "IoError";
    case StatusCode::kCorruptFile:
      return "CorruptFile";
    case StatusCode::kUnsupported:
      return "Unsupported";
    case StatusCode::kContextFull:
      return "ContextFull";
    case StatusCode::kOutOfMemory:
      return "OutOfMemory";
    case StatusCode::kCancelled:
      return "Cancelled";
    case StatusCode::kInvalidNumber:
      return "InvalidNumber";
  }
  return "Unknown";
}

}  // namespace slm
