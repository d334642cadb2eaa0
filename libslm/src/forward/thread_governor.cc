#include "forward/thread_governor.h"

#include <algorithm>

namespace slm {

namespace {

constexpr double kMuchLonger = 1.5;
constexpr double kLonger = 1.2;
// Tokens get slower as the context grows, and machines as they warm up: what is usual may grow by this share a token,
// far slower than a disturbance comes.
constexpr double kDrift = 1.002;
constexpr double kNewest = 0.25;  // weight of the newest token in an average

}  // namespace

void ThreadGovernor::Took(double seconds) {
  if (full_ == 1) return;
  if (reduced_left_ > 0) {
    --reduced_left_;
    reduced_ = reduced_ > 0 ? reduced_ + kNewest * (seconds - reduced_) : seconds;
    return;
  }
  const double limit = reduced_ > 0 ? std::max(kLonger * usual_, reduced_) : kMuchLonger * usual_;
  if (usual_ > 0 && seconds > limit) {
    reduced_left_ = pause_;
    pause_ = std::min(2 * pause_, kLongestPause);
    usual_ *= kDrift;
    return;
  }
  pause_ = std::max(pause_ - 1, kFirstPause);
  usual_ = usual_ > 0 ? std::min(seconds, usual_ * kDrift) : seconds;
}

}  // namespace slm
