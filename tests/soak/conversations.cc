#include <array>
#include <optional>
#include <vector>

#include "slm/chat.h"
#include "soak/faults.h"
#include "soak/soak.h"

namespace slm::test {

namespace {

constexpr std::array kTexts = {"Hi",
                               "What is a balcony?",
                               "  Say 3 < 4 </s>",
                               "caf\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD",
                               "\n",
                               "A longer text, so that a part of the context is used and now and then all of it is."};
constexpr const char* kTemplate =
    "{% for m in messages %}<{{ m.role }}> {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant> {% "
    "endif %}";

class Conversation {
 public:
  explicit Conversation(World& world) : world_(world), model_(Open()), chat_(Begin()) {}

  void Run() {
    for (int steps = world_.dice.Below(30); steps >= 0; --steps) Step();
  }

 private:
  Dice& dice() { return world_.dice; }
  Model Open() const {
    auto model = Model::Open(world_.model_path);
    Require(model.ok(), "a model that could be opened can be opened again: " + model.status().message());
    return *model;
  }
  ChatOptions Options() {
    ChatOptions options;
    options.system = dice().Chance(2) ? "Be brief." : "";
    options.chat_template = kTemplate;
    options.session = {.context_length = 64 * (1 + dice().Below(8)),
                       .kv_type = types_[static_cast<std::size_t>(dice().Below(2))],
                       .threads = 1 + dice().Below(2),
                       .batch_size = 1 + dice().Below(64)};
    options.sampler = {.temperature = dice().Chance(2) ? 0.0f : 0.8f, .seed = 7};
    options.forget_oldest = dice().Chance(2);
    return options;
  }
  Chat Begin() {
    options_ = Options();
    auto chat = Chat::Create(model_, options_);
    Require(chat.ok(), "a conversation begins: " + chat.status().message());
    return std::move(*chat);
  }

  void Step() {
    switch (dice().Below(9)) {
      case 0:
        return Retry();
      case 1:
        return Undo();
      case 2:
        return Edit();
      case 3:
        return Save();
      case 4:
        return Restore();
      case 5:
        return Resize();
      case 6:
        return Cancel();
      default:
        return Send({.max_tokens = 1 + dice().Below(12)});
    }
  }

  void Send(const GenerateOptions& generate) {
    const std::vector<Message> before = chat_.messages();
    const std::string user = dice().Of(kTexts);
    const auto answer = chat_.Send(user, nullptr, generate);
    if (!answer.ok()) {
      ++world_.counts["sends refused"];
      Require(chat_.messages() == before, "a Send that failed leaves the conversation as it was");
      return;
    }
    ++answers_;
    ++world_.counts["answers"];
    CheckAnswer(*answer, generate);
  }
  void Retry() {
    const std::vector<Message> before = chat_.messages();
    const GenerateOptions generate = {.max_tokens = 6};
    const auto answer = chat_.Retry(nullptr, generate);
    if (!answer.ok()) {
      Require(chat_.messages() == before, "a Retry that failed leaves the conversation as it was");
      return;
    }
    ++answers_;
    ++world_.counts["retries"];
    CheckAnswer(*answer, generate);
  }
  // Ended by the callback, by the token before it begins, or from another thread at any moment.
  void Cancel() {
    const std::vector<Message> before = chat_.messages();
    CancelToken token;
    int calls = dice().Below(40);
    GenerateOptions generate = {.max_tokens = 12, .cancel = &token};
    generate.prompt_progress = [&](std::int64_t, std::int64_t) {
      if (--calls == 0) token.Cancel();
    };
    std::optional<CancelLater> later;
    if (dice().Chance(2)) later.emplace(token, std::chrono::microseconds(dice().Below(3000)));
    const auto answer = chat_.Send(dice().Of(kTexts), nullptr, generate);
    const bool cancelled = !answer.ok() || answer->finish_reason == FinishReason::kCancelled;
    const bool nothing = !answer.ok() || (cancelled && answer->text.empty());
    ++world_.counts[cancelled ? "answers cancelled" : "cancelled too late"];
    if (nothing) {
      Require(chat_.messages() == before, "a Send that was cancelled before its answer leaves nothing");
    } else {
      ++answers_;
    }
  }
  void Undo() {
    const std::size_t before = chat_.messages().size();
    if (chat_.Undo().ok()) {
      ++world_.counts["undone"];
      Require(chat_.messages().size() < before, "an undo takes messages back");
    }
  }
  void Edit() {
    std::vector<Message> messages = chat_.messages();
    if (messages.empty()) return;
    messages[static_cast<std::size_t>(dice().Below(static_cast<int>(messages.size())))].content += " (edited)";
    chat_.SetMessages(messages);
    ++world_.counts["edited"];
  }
  void Resize() {
    const std::int32_t length = 64 * (1 + dice().Below(8));
    if (chat_.Resize(length).ok()) options_.session.context_length = length;
    ++world_.counts["resized"];
  }
  // Now and then the disk is full, and the file that was there has to stay.
  void Save() {
    std::optional<Limit> full;
    if (dice().Chance(3)) full.emplace(RLIMIT_FSIZE, static_cast<rlim_t>(dice().Below(20'000)));
    const Status saved = chat_.Save(Path());
    full.reset();
    ++world_.counts[saved.ok() ? "saved" : "saves that found no room"];
    if (saved.ok()) {
      saved_ = chat_.messages();
      saved_answers_ = answers_;
      saved_options_ = options_;
    }
    if (saved_) Require(RestoredMessages() == *saved_, "the file has what was saved last");
  }
  std::vector<Message> RestoredMessages() {
    auto chat = Chat::Restore(model_, Path(), saved_options_);
    Require(chat.ok(), "what was saved can be restored: " + chat.status().message());
    return chat->messages();
  }
  void Restore() {
    if (!saved_) return;
    if (dice().Chance(4)) {
      const Limit none = NoDescriptors();
      Require(!Chat::Restore(model_, Path(), saved_options_).ok(), "without descriptors nothing is restored");
      ++world_.counts["restores that could not open the file"];
    }
    if (dice().Chance(2)) model_ = Open();
    auto chat = Chat::Restore(model_, Path(), saved_options_);
    Require(chat.ok(), "what was saved can be restored: " + chat.status().message());
    chat_ = std::move(*chat);
    options_ = saved_options_;
    answers_ = saved_answers_;
    ++world_.counts["restored"];
  }

  // A fresh model and session, given the prompt of the answer, writes the same.
  void CheckAnswer(const GenerateResult& answer, const GenerateOptions& generate) {
    const std::span<const Token> tokens = chat_.session().tokens();
    const auto prompt = static_cast<std::size_t>(answer.prompt_tokens + answer.cached_tokens);
    Require(prompt <= tokens.size(), "the session holds the prompt");
    const Model fresh = Open();
    SessionOptions options = options_.session;
    options.threads = 1;
    options.batch_size = 512;
    auto session = Session::Create(fresh, options);
    Require(session.ok(), "a fresh session");
    SamplerOptions sampling = options_.sampler;
    sampling.seed += answers_ - 1;
    Sampler sampler(sampling, &fresh.tokenizer());
    const auto again = Generate(*session, sampler, tokens.first(prompt), generate, nullptr);
    Require(again.ok() && again->text == answer.text, "a fresh session answers the same: '" + answer.text + "', '" +
                                                          (again.ok() ? again->text : again.status().message()) + "'");
    ++world_.counts["answers compared with a fresh session's"];
  }

  std::filesystem::path Path() const { return world_.folder / "conversation"; }

  static constexpr std::array types_ = {KvType::kF16, KvType::kF32};
  World& world_;
  Model model_;
  ChatOptions options_;
  Chat chat_;
  std::uint64_t answers_ = 0;  // each is drawn with a seed of its own
  std::optional<std::vector<Message>> saved_;
  std::uint64_t saved_answers_ = 0;
  ChatOptions saved_options_;
};

}  // namespace

void RunConversation(World& world) {
  ++world.counts["conversations"];
  Conversation(world).Run();
  std::filesystem::remove(world.folder / "conversation");
}

}  // namespace slm::test
