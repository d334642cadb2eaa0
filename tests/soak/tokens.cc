#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <vector>

#include "slm/session.h"
#include "soak/faults.h"
#include "soak/soak.h"

namespace slm::test {

namespace {

// What was done to a session, so that it can be done again.
struct Step {
  enum Kind { kAppend, kRewind, kShift } kind;
  std::vector<Token> tokens = {};
  std::int32_t first = 0;   // position, or tokens to keep
  std::int32_t second = 0;  // tokens to discard
};

Status Do(Session& session, const Step& step, const AppendOptions& options = {}) {
  switch (step.kind) {
    case Step::kAppend:
      return session.Append(step.tokens, options).status();
    case Step::kRewind:
      return session.Rewind(step.first);
    default:
      return session.Shift(step.first, step.second);
  }
}

Session NewSession(const Model& model, const SessionOptions& options) {
  auto session = Session::Create(model, options);
  Require(session.ok(), "a session: " + session.status().message());
  return std::move(*session);
}

Model Open(const World& world) {
  auto model = Model::Open(world.model_path);
  Require(model.ok(), "a model that could be opened can be opened again: " + model.status().message());
  return *model;
}

Step Draw(World& world, const Session& session) {
  Dice& dice = world.dice;
  const std::int32_t position = session.position();
  switch (dice.Below(6)) {
    case 0:
      return {.kind = Step::kRewind, .first = dice.Below(position + 2)};
    case 1:
      return {.kind = Step::kShift, .first = dice.Below(position + 1), .second = dice.Below(position + 2)};
    default:
      std::vector<Token> tokens(static_cast<std::size_t>(1 + dice.Below(40)));
      for (Token& token : tokens) token = dice.Below(session.model().vocab_size());
      return {.kind = Step::kAppend, .tokens = tokens};
  }
}

// A cancelled Append has read some of its tokens.
void Try(World& world, Session& session, Step step, std::vector<Step>& done) {
  const std::int32_t before = session.position();
  CancelToken cancel;
  AppendOptions options = {.cancel = &cancel};
  int calls = world.dice.Below(60);  // after some layers, or not at all
  if (world.dice.Chance(2)) {
    options.progress = [&](std::int64_t, std::int64_t) {
      if (--calls == 0) cancel.Cancel();
    };
  }
  std::optional<CancelLater> later;
  if (world.dice.Chance(4)) later.emplace(cancel, std::chrono::microseconds(world.dice.Below(500)));
  const Status status = Do(session, step, options);
  later.reset();
  if (status.code() == StatusCode::kCancelled) {
    ++world.counts["reads cancelled"];
    step.tokens.resize(static_cast<std::size_t>(session.position() - before));
    if (!step.tokens.empty()) done.push_back(step);
    return;
  }
  if (!status.ok()) {
    Require(session.position() == before, "what fails changes nothing: " + status.message());
    return;
  }
  done.push_back(step);
}

void SaveAndRestore(World& world, Session& session, const Model& model, const SessionOptions& options) {
  const auto path = world.folder / "tokens";
  Require(session.Save(path, "note").ok(), "a session is saved");
  auto restored = Session::Restore(model, path, options);
  Require(restored.ok() && restored->note == "note", "a session is restored: " + restored.status().message());
  Require(std::ranges::equal(restored->session.tokens(), session.tokens()), "with its tokens");
  session = std::move(restored->session);
  ++world.counts["sessions restored"];
  std::filesystem::remove(path);
}

}  // namespace

void RunTokens(World& world) {
  Dice& dice = world.dice;
  constexpr std::array kTypes = {KvType::kF16, KvType::kF32};
  SessionOptions options = {.context_length = 32 + dice.Below(200),
                            .kv_type = dice.Of(kTypes),
                            .threads = 1 + dice.Below(2),
                            .batch_size = 1 + dice.Below(64)};
  const Model model = Open(world);
  Session session = NewSession(model, options);
  std::vector<Step> done;
  for (int steps = dice.Below(30); steps >= 0; --steps) {
    if (dice.Chance(8)) SaveAndRestore(world, session, model, options);
    Try(world, session, Draw(world, session), done);
  }
  const std::vector<Token> tokens(session.tokens().begin(), session.tokens().end());
  if (session.position() >= session.context_length()) return;

  const Model fresh = Open(world);
  options.threads = 1;
  Session again = NewSession(fresh, options);
  for (const Step& step : done) Require(Do(again, step).ok(), "what worked once works again");
  Require(std::ranges::equal(again.tokens(), tokens), "a fresh session holds the same tokens");
  const auto actual = session.Append(std::array<Token, 1>{1}), expected = again.Append(std::array<Token, 1>{1});
  Require(actual.ok() && expected.ok(), "a token more: " + actual.status().message());
  const auto bits = [](float x) { return std::bit_cast<std::uint32_t>(x); };
  Require(std::ranges::equal(*actual, *expected, {}, bits, bits), "a fresh session computes the same bits");
  ++world.counts["sessions compared with fresh ones"];
}

}  // namespace slm::test
