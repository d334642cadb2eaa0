#include "slm/version.h"

#include "base/format.h"

namespace slm {

std::string Version() { return Cat(SLM_VERSION_MAJOR, ".", SLM_VERSION_MINOR, ".", SLM_VERSION_PATCH); }

}  // namespace slm
