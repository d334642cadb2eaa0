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
#include "chat_prompts.h"
#include "chat_report.h"
#include "chat_responder.h"
#include "chat_terminal.h"
#include "energy_meter.h"
#include "slm/chat.h"
#include "slm/draft.h"
#include "slm/generate.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"

namespace slm::tools {

class Conversation : public Responder {
 public:
  // `beginning`: the messages before the user's first text, with which there are `tokens` tokens to read; 0: it is not
  // known yet. A context that --ctx doesn't give is as long as they need.
  static Result<Conversation> Start(const Model& model, const ChatToolOptions& options, std::vector<Message> beginning,
                                    std::int32_t tokens);
  // Another one with the same settings and the same past, which shares what it computes with this one where two threads
  // use them.
  Result<Conversation> Fork() const;
  // Goes on from the file of --session. `system`: another system text than the file's, if there is one.
  static Result<Conversation> GoOn(const Model& model, const ChatToolOptions& options, const std::string& system);

  // Answers a text of the user, which becomes part of the conversation unless there is no word of an answer.
  Status Say(std::string_view text);
  // Another answer in the place of the last one.
  Status Retry();
  // Answers another conversation, which takes the place of this one unless there is no word of an answer.
  Status AnswerInstead(std::vector<Message> messages);
  // Answers a prompt about a text as if nothing had been said before, in parts if that is what --long says.
  Status AnswerOnce(const ChatPrompt& prompt, const std::string& text);
  // The same without showing anything but what is done with a long text, which is called `about`.
  Result<Record> AnswerUnseen(const ChatPrompt& prompt, const std::string& text, const std::string& about,
                              const PieceCallback& on_piece = {});
  // Reads the prompt without an answer, for those to come, of forks too.
  Result<Record> Read(const ChatPrompt& prompt, const std::string& text);
  // From now on no line tells how far a prompt is read: several at a time would write over each other's.
  void HideProgress() { shows_progress_ = false; }
  // With --json, the line of an answer.
  void PrintRecord(Record record) const;
  // What is to be told of an answer besides its text.
  void SayHowItEnded(const GenerateResult& result) const;

  Result<std::int32_t> Count(const std::vector<Message>& messages) const override;
  std::int32_t context_length() const override { return session().context_length(); }
  Result<GenerateResult> Answer(const std::vector<Message>& messages, std::int32_t max_tokens,
                                const PieceCallback& on_piece) override;

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

  // Gives the template a variable, "NAME=JSON", from the next answer on.
  Status SetVariable(std::string_view assignment);
  // Files of LoRA adapters, each with =WEIGHT or not, instead of those so far.
  Status SetAdapters(std::vector<std::string> texts);

  // Back to the beginning, with the system text of now.
  Status Reset();
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
  // Whether Ctrl-C stopped it.
  bool stopped() const { return stopped_; }
  // What all answers so far took together.
  const Record& totals() const { return totals_; }
  int answers() const { return answers_; }
  const EnergyMeter& energy() const { return energy_; }

 private:
  using Call = std::function<Result<Record>(const PieceCallback&)>;

  Conversation(const Model& model, const ChatToolOptions& options, std::vector<Message> beginning)
      : model_(model), options_(options), beginning_(std::move(beginning)), style_(options.color), energy_("") {}

  // For a session that was made just now. Opens the draft's file when it first does.
  Status MakeDraft();
  Status CheckLength(std::string_view text) const;
  GenerateOptions ToGenerateOptions();
  Result<GenerateResult> ContinueText(std::string_view text, const PieceCallback& on_piece,
                                      const GenerateOptions& options);
  Result<Record> AnswerAbout(const ChatPrompt& prompt, const std::string& text, const std::string& about,
                             const PieceCallback& on_piece);
  Result<Record> Measure(const Call& call, const PieceCallback& on_piece) const;
  Status Show(const Call& call);
  bool goes_on() const { return options_.interactive || !options_.session.empty(); }
  std::string MoreRoom() const;     // for an answer that fills the context
  std::string RoomForText() const;  // for a text that does not fit

  Model model_;
  ChatToolOptions options_;
  std::vector<Message> beginning_;
  Style style_;
  std::optional<Chat> chat_;
  std::optional<Session> session_;  // of --raw
  std::optional<Sampler> sampler_;  // of --raw
  std::optional<Model> draft_model_;
  std::optional<Draft> draft_;  // not of forks: those compute together, where a draft rests
  std::optional<GenerateResult> last_;
  bool stopped_ = false;
  bool shows_progress_ = true;
  Record totals_;
  int answers_ = 0;
  EnergyMeter energy_;
  std::vector<std::filesystem::path> own_files_;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_CONVERSATION_H_
