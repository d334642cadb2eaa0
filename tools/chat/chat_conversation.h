// A conversation with a model and what it shows: answers on standard output as they come, the rest on standard error.

#ifndef SLM_TOOLS_CHAT_CONVERSATION_H_
#define SLM_TOOLS_CHAT_CONVERSATION_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat_options.h"
#include "chat_terminal.h"
#include "energy_meter.h"
#include "slm/chat.h"
#include "slm/generate.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"

namespace slm::tools {

// What a conversation has cost so far.
struct ChatTotals {
  std::int64_t answers = 0;
  std::int64_t read_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t reread_tokens = 0;
  std::int64_t generated_tokens = 0;
  double read_seconds = 0;
  double generate_seconds = 0;
  double joules = 0;
};

class Conversation {
 public:
  // With --session, goes on from the file if there is one; only the system text is then taken from `beginning`, the
  // messages before the user's first. `prompt` is that first text, null if it is not known yet: a context that --ctx
  // doesn't give is as long as it needs.
  static Result<Conversation> Start(const Model& model, const ChatToolOptions& options, std::vector<Message> beginning,
                                    const std::string* prompt);

  // How an answer ended. Failures are a Status.
  enum class End { kWhole, kStopped };
  // Answers a text of the user, which becomes part of the conversation unless there is no word of an answer.
  Result<End> Say(std::string_view text);
  // Another answer in the place of the last one.
  Result<End> Retry();
  // Answers another conversation, which takes the place of this one unless there is no word of an answer.
  Result<End> AnswerInstead(std::vector<Message> messages);

  // Null for --raw, where every text is continued on its own.
  Chat* chat() { return chat_ ? &*chat_ : nullptr; }
  const Session& session() const { return chat_ ? chat_->session() : *session_; }
  const Model& model() const { return model_; }
  // Names the template, "none" for --raw.
  std::string template_origin() const { return chat_ ? chat_->chat_template().origin() : "none"; }
  const Style& style() const { return style_; }

  // What the next answer is made with. Sampler options are changed by SetSampler.
  ChatToolOptions& options() { return options_; }
  Status SetSampler(const SamplerOptions& sampler);

  // Back to the beginning, with the system text of now.
  void Reset();
  // The first of the chat's messages that is not part of the beginning.
  std::size_t FirstTurn() const;

  // Says what the longer cache takes, then makes it.
  Status Resize(std::int32_t context_length);

  // A file that is there already is replaced only if this conversation was saved to it or loaded from it before.
  Status Save(const std::filesystem::path& path);
  // context_length: 0 for the file's; any other must be the file's too.
  Status Load(const std::filesystem::path& path, std::int32_t context_length = 0);
  // Saves to the file of --session, if there is one.
  Status SaveSession();

  // Of the last answer, if there is one.
  const std::optional<GenerateResult>& last() const { return last_; }
  const ChatTotals& totals() const { return totals_; }
  const EnergyMeter& energy() const { return energy_; }

 private:
  using Call = std::function<Result<GenerateResult>(const PieceCallback&, const GenerateOptions&)>;

  Conversation(const Model& model, const ChatToolOptions& options, std::vector<Message> beginning)
      : model_(model), options_(options), beginning_(std::move(beginning)), style_(options.color), energy_("") {}

  Status Open(const std::string* prompt);
  ChatOptions ToChatOptions() const;
  Result<std::int32_t> CountPrompt(const std::string& prompt) const;
  void PrintRecord(const GenerateResult& result, std::optional<double> joules) const;
  Result<End> Answer(const Call& call);
  void Count(const GenerateResult& result, std::optional<double> joules);
  void SayHowItEnded(const GenerateResult& result) const;
  Result<GenerateResult> ContinueText(std::string_view text, const PieceCallback& on_piece,
                                      const GenerateOptions& options);
  std::string MoreRoom() const;

  Model model_;
  ChatToolOptions options_;
  std::vector<Message> beginning_;
  Style style_;
  std::string template_source_;
  std::optional<Chat> chat_;
  std::optional<Session> session_;  // of --raw
  std::optional<Sampler> sampler_;  // of --raw
  std::optional<GenerateResult> last_;
  ChatTotals totals_;
  EnergyMeter energy_;
  std::vector<std::filesystem::path> own_files_;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_CONVERSATION_H_
