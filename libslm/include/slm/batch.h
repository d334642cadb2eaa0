// Sessions that compute together: the weights that are read for one serve all of them.
//
//   slm::Result<slm::Batch> batch = slm::Batch::Create(model);
//   // on each of several threads:
//   auto session = slm::Session::Create(model, {.batch = &*batch});
//   auto result = slm::Generate(*session, sampler, prompt, options, on_piece);
//
// A session of a batch is used as any other, by a thread of its own; its options, callbacks, cancel token and errors
// are its own. Calls that overlap meet in steps: of each session that generates the next token, of those that read a
// prompt the next tokens of it. Sessions may come and go at any time. A step begins when all that generate are there,
// so a thread that generates holds up the others between two tokens, but only for a moment while a callback runs. The
// results are those of sessions alone, bit for bit.
//
// A session that is computing a step calls its progress callback (or AppendVisiting its visitor) with the batch in use:
// there other sessions of the batch can't compute, and calls that the callback makes of them fail with
// kInvalidArgument. It must not wait for another thread that makes one.
//
// Thread-safety: may be used from any number of threads. A Batch is a cheap handle; copies are the same batch.

#ifndef SLM_BATCH_H_
#define SLM_BATCH_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "slm/model.h"
#include "slm/status.h"
#include "slm/workers.h"

namespace slm {

// As the fields of SessionOptions of the same names.
struct BatchOptions {
  std::int32_t threads = 0;  // for steps of up to 16 tokens
  std::int32_t prompt_threads = 0;
  std::int32_t batch_size = 512;  // the most tokens of a step
  const Workers* workers = nullptr;
};

class Batch {
 public:
  // `model` may go out of scope. Fails with kInvalidArgument or kOutOfMemory.
  static Result<Batch> Create(const Model& model, const BatchOptions& options = {});

  const Model& model() const;
  std::int32_t threads() const;
  std::int32_t prompt_threads() const;
  // Bytes of working memory, which its sessions share.
  std::uint64_t scratch_bytes() const;
  // Steps computed so far. Tokens over steps is how many shared one.
  std::int64_t steps() const;

 private:
  friend struct Internal;
  struct Impl;
  explicit Batch(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace slm

#endif  // SLM_BATCH_H_
