// Waiting without giving up the processor.

#ifndef SLM_FORWARD_SPIN_H_
#define SLM_FORWARD_SPIN_H_

namespace slm {

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether done() became true within so many tries, each some tens of nanoseconds long.
template <class F>
bool SpinUntil(int tries, const F& done) {
  for (int i = 0; i < tries; ++i) {
    if (done()) return true;
    Pause();
  }
  return done();
}

}  // namespace slm

#endif  // SLM_FORWARD_SPIN_H_
