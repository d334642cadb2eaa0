// One conversation or document: the tokens a model has read, its key/value cache, and the position.
//
//   slm::Result<slm::Session> session = slm::Session::Create(model, {.context_length = 4096});
//   slm::Result<std::span<const float>> logits = session->Append(tokens);   // [vocab_size] of the last token
//
// The same tokens give bit-identical logits however they are split over calls and for any number of threads.
//
// Callbacks run on the thread that called. One that throws ends the call as cancelling does, and the exception goes on
// to the caller. In one, what changes or saves its session is kInvalidArgument; nothing may move or destroy it there.
//
// Thread-safety: a Session must not be used from two threads at once. Different sessions are independent and may share
// a Model. CancelToken may be set from any thread. After fork(), see workers.h.

#ifndef SLM_SESSION_H_
#define SLM_SESSION_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slm/adapter.h"
#include "slm/batch.h"
#include "slm/cancel_token.h"  // IWYU pragma: export
#include "slm/model.h"
#include "slm/profile.h"
#include "slm/status.h"
#include "slm/tokenizer.h"
#include "slm/workers.h"

namespace slm {

enum class KvType { kF16, kF32, kQ8_0 };

struct SessionOptions {
  // Tokens the session can hold. 0: the smaller of 4096 and what the model was trained for. Models with LongRoPE (some
  // of Phi-3) compute with their factors for long texts where this is more than their original context, for the first
  // token as for the last.
  std::int32_t context_length = 0;
  // Storage of keys and values. kQ8_0 takes 17/32 of the memory of kF16 and costs a little accuracy (docs/numerics.md);
  // kF32 is for comparing numbers.
  KvType kv_type = KvType::kF16;
  // Threads to generate with, one token at a time. 0: what suits the machine (Machine::default_threads).
  std::int32_t threads = 0;
  // Threads to read prompts with. 0: as `threads`.
  std::int32_t prompt_threads = 0;
  // Keep the times of every operation for Session::Profile.
  bool profile = false;
  // Rows evaluated at once while a prompt is read. More needs more scratch memory; the results are the same.
  std::int32_t batch_size = 512;
  // Where the threads come from; the session keeps a handle of its own. nullptr: the pool of the process. If the system
  // makes fewer threads than wanted, ModelOptions::log is told, and Session::threads has their number.
  const Workers* workers = nullptr;
  // With whom it computes; likewise. All but context_length and kv_type is the batch's own then. nullptr: alone.
  const Batch* batch = nullptr;
  // Of the model; Session::SetAdapters changes them. Sessions of a batch whose adapters differ share no steps.
  std::vector<WeightedAdapter> adapters = {};
};

// What a model and one session take, known before the session takes it. Not counted: the tokenizer's tables and norms
// (10 MB for a vocabulary of 262144) and the stacks of threads.
struct MemoryEstimate {
  std::int32_t context_length = 0;  // tokens the session would hold: SessionOptions::context_length, or its default
  // The model's file. It is mapped, so this is shared by all sessions and processes, and where memory is short the
  // system drops parts of it and reads them again: too little memory for it makes the model slow, not impossible.
  std::uint64_t weight_bytes = 0;
  // Each session's own, and needed as a whole. Exactly Session::kv_bytes() and scratch_bytes().
  std::uint64_t kv_bytes = 0;
  std::uint64_t scratch_bytes = 0;
  std::uint64_t session_bytes() const { return kv_bytes + scratch_bytes; }
  std::uint64_t total_bytes() const { return weight_bytes + session_bytes(); }
};
// Allocates nothing. Fails with kInvalidArgument or kUnsupported as Session::Create does, and with kOutOfMemory only
// for what no machine could hold. DescribeMachine in machine.h tells what there is.
Result<MemoryEstimate> EstimateMemory(const Model& model, const SessionOptions& options = {});

// Called now and then while a prompt is read, on the thread that called, with the number of tokens done and wanted in
// this call. Tokens are read in batches, layer by layer; a batch that is half through its layers counts as half its
// tokens. The last call is with done == total.
using ProgressCallback = std::function<void(std::int64_t done, std::int64_t total)>;

struct AppendOptions {
  const CancelToken* cancel = nullptr;
  ProgressCallback progress = {};
};

// How much of a text Session::Follow found read.
struct Reuse {
  std::int32_t cached_tokens = 0;  // kept
  std::int32_t reread_tokens = 0;  // had been read, but a sliding window dropped them: read again
};

struct RestoredSession;

class Session {
 public:
  // `model` may go out of scope: the session keeps the mapping alive. Fails with kInvalidArgument, kOutOfMemory or
  // kUnsupported (a q8_0 cache for heads whose length is no multiple of 32).
  static Result<Session> Create(const Model& model, const SessionOptions& options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Reads tokens and returns the logits that follow the last one: [vocab_size], owned by the session, valid until the
  // next call. Fails with kInvalidArgument (no tokens, an id outside the vocabulary), kContextFull (says both numbers;
  // nothing is read), kOutOfMemory (nothing is read), kCancelled (position() tells how many tokens were read) or
  // kInvalidNumber (logits are not finite). `tokens` may be a view of tokens().
  Result<std::span<const float>> Append(std::span<const Token> tokens, const AppendOptions& options = {});

  // Reads tokens and hands out the logits after every one of them, in order: visit(position, [vocab_size]).
  using LogitsVisitor = std::function<void(std::int32_t position, std::span<const float> logits)>;
  Status AppendVisiting(std::span<const Token> tokens, const LogitsVisitor& visit, const AppendOptions& options = {});

  // Reads what it takes to hold exactly `tokens`, the whole of a text that may have changed anywhere, and returns the
  // logits as Append does. What the session has of its beginning is kept as far as Rewind can go back, else all is read
  // anew; the last token is read in any case. `reuse`, if given, tells how much was kept, of a cancelled call too.
  // Fails as Append does; where it is kInvalidArgument or kContextFull, the session is as before.
  Result<std::span<const float>> Follow(std::span<const Token> tokens, const AppendOptions& options = {},
                                        Reuse* reuse = nullptr);

  // Another session of the same batch that has read the same tokens, whose cells are copied. Fails as Create does.
  Result<Session> Fork() const;

  // Computes with these adapters from now on. What was read with others is forgotten, so that position() is 0; nothing
  // is, if they are those it has. Fails with kInvalidArgument (of another model; a weight that is not finite) or
  // kOutOfMemory; then nothing is changed.
  Status SetAdapters(std::span<const WeightedAdapter> adapters);
  std::span<const WeightedAdapter> adapters() const;  // but for those with a weight of 0

  // Forgets everything from `position` on. Layers with a sliding window keep only their last window of keys and values;
  // going back further than that is kInvalidArgument, with the first position that is possible. Position 0 always is.
  Status Rewind(std::int32_t position);

  // Forgets the `discard` tokens after the first `keep`, and moves later ones down: a way to go on when the context is
  // full (by custom, the first token and the system prompt are kept and half of the rest goes). Only on request,
  // because it is an approximation: what remains was computed with the forgotten tokens in sight. Keys are turned to
  // their new positions by each layer's own RoPE and stored again in the cache's format, so that after very many shifts
  // a kF16 or kQ8_0 cache has lost a little more precision (docs/numerics.md). If nothing follows the forgotten tokens,
  // this is Rewind.
  //
  // Layers with a sliding window keep only their last window: either at least window - 1 tokens must follow the
  // forgotten ones, or those before them must not have been dropped yet. Otherwise kInvalidArgument, with how many can
  // go; as for numbers that are negative or more than position(). Then nothing is changed.
  Status Shift(std::int32_t keep, std::int32_t discard);

  // Writes tokens, keys and values to a file, and `note`, bytes of the application's own. The file is private: it
  // spells out the conversation, so only its owner may read it. It is written whole or not at all: until it is
  // complete, a file that was there before is untouched, and only a process that is killed leaves a part behind, as
  // PATH.XXXXXX. Fails with kNotFound (no such folder) or kIoError (the system's reason).
  Status Save(const std::filesystem::path& path, std::string_view note = {}) const;

  // A session as it was when it was saved: the same tokens give the logits they would have given there, bit for bit on
  // the same kernels. A file belongs to the model's very file, to the adapters, context length and kv_type it was saved
  // with, and to this version of its format; other options are free. A context_length of 0 is the saved one, unless
  // that is more than 4096 and than the model was trained for: a file must not choose what memory is taken. Sliding
  // windows are restored as far back as they were kept and `batch_size` leaves room for, which Rewind and Shift may
  // notice.
  //
  // Any file can be given. Fails with kNotFound or kIoError, kUnsupported (no session file, or of another version),
  // kCorruptFile (truncated or changed), kInvalidArgument (another model, context length or kv_type: says both; other
  // adapters) or as Create does.
  static Result<RestoredSession> Restore(const Model& model, const std::filesystem::path& path,
                                         const SessionOptions& options = {});

  // Tokens read so far, and the position of the next one.
  std::span<const Token> tokens() const;
  std::int32_t position() const;
  std::int32_t context_length() const;
  std::int32_t threads() const;
  std::int32_t prompt_threads() const;
  // Bytes of the key/value cache, and of working memory but for that of a batch that it was given.
  std::uint64_t kv_bytes() const;
  std::uint64_t scratch_bytes() const;
  const Model& model() const;

  // What was measured since the session began or ClearProfile was called, in the order of the forward pass; empty
  // unless SessionOptions::profile is set. Forks share it: it has the steps of all, and waits for one that is computed.
  std::vector<ProfileEntry> Profile() const;
  void ClearProfile();

 private:
  friend struct Internal;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct RestoredSession {
  Session session;
  std::string note;  // as given to Save
};

}  // namespace slm

#endif  // SLM_SESSION_H_
