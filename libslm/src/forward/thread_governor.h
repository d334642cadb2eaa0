// How many threads generate a token when other programs want processors too.

#ifndef SLM_FORWARD_THREAD_GOVERNOR_H_
#define SLM_FORWARD_THREAD_GOVERNOR_H_

namespace slm {

// A token takes milliseconds, as long as the slice another program gets of a processor: a team that has to wait for a
// thread in the middle of each token can be slower than a smaller team. So a token that took much longer than usual
// makes the next few use one thread less. Then the full team is tried again; as long as it stays slower than the
// smaller one, the pauses between trials grow. On a machine of its own the team is always full. Not thread-safe.
class ThreadGovernor {
 public:
  explicit ThreadGovernor(int threads) : full_(threads) {}

  // Threads for the next token.
  int threads() const { return reduced_left_ > 0 ? full_ - 1 : full_; }

  // Says how long the token took that was computed with threads().
  void Took(double seconds);

 private:
  static constexpr int kFirstPause = 4;
  static constexpr int kLongestPause = 64;

  int full_;
  double usual_ = 0;      // seconds of a token with all threads, undisturbed; 0: not known yet
  double reduced_ = 0;    // seconds of a token with one thread less; 0: not known yet
  int reduced_left_ = 0;  // tokens still to be computed with fewer threads
  int pause_ = kFirstPause;
};

}  // namespace slm

#endif  // SLM_FORWARD_THREAD_GOVERNOR_H_
