#include "chat_long.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "text_split.h"

namespace slm::tools {

namespace {

class LongText {
 public:
  LongText(Responder& responder, const ChatPrompt& prompt, const LongOptions& options, const PieceCallback& on_piece)
      : responder_(responder),
        prompt_(prompt),
        options_(options),
        on_piece_(on_piece),
        room_(RoomForAnswer(responder.context_length(), options.max_tokens)) {}

  Result<Record> Run(std::string_view text) {
    ChatPrompt prompt = prompt_;
    std::string current(text);
    for (std::size_t last_count = 0;;) {
      const Result<std::vector<TextRange>> parts = Split(prompt, current);
      if (!parts.ok()) return parts.status();
      if (parts->size() == 1) {
        const Status status = Answer(PromptMessages(prompt, current), options_.max_tokens, on_piece_);
        if (!status.ok()) return status;
        return std::move(answer_);
      }
      if (last_count != 0 && parts->size() >= last_count) {
        return Status(StatusCode::kContextFull,
                      "The answers for the parts of the text are too long to be merged in a context of " +
                          std::to_string(responder_.context_length()) +
                          " tokens; a larger one (--ctx) or shorter answers (--max-tokens) make it possible.");
      }
      const bool whole = last_count == 0;
      last_count = parts->size();
      Result<std::string> answers = AnswerParts(prompt, current, *parts, whole);
      if (!answers.ok()) return answers.status();
      if (answer_.result.finish_reason == FinishReason::kCancelled) return std::move(answer_);
      Say("merging the answers for the " + std::to_string(last_count) + " parts");
      current = *std::move(answers);
      prompt = MergePrompt(last_count);
    }
  }

 private:
  void Say(const std::string& sentence) const {
    if (options_.say) options_.say(sentence);
  }

  // One part if the text fits, with room for its answer.
  Result<std::vector<TextRange>> Split(const ChatPrompt& prompt, std::string_view text) const {
    const std::int64_t limit = responder_.context_length() - room_;
    const auto measure = [&](std::string_view part) -> Result<std::int64_t> {
      const Result<std::int32_t> count = responder_.Count(PromptMessages(prompt, part));
      if (!count.ok()) return count.status();
      return *count;
    };
    const Result<std::int64_t> whole = measure(text);
    if (!whole.ok()) return whole.status();
    if (*whole <= limit || text.empty()) return std::vector<TextRange>{{.begin = 0, .end = text.size()}};
    Result<std::vector<TextRange>> parts = SplitText(text, measure, {.limit = limit});
    if (parts.status().code() == StatusCode::kInvalidArgument) {
      const Result<std::int64_t> empty = measure("");
      return Status(StatusCode::kContextFull, "The prompt without the text has about " +
                                                  std::to_string(empty.ok() ? *empty : 0) +
                                                  " tokens and its answer needs " + std::to_string(room_) +
                                                  ", which leaves no room for parts of the text in a context of " +
                                                  std::to_string(responder_.context_length()) + " tokens.");
    }
    return parts;
  }

  Status Answer(const std::vector<Message>& messages, std::int32_t max_tokens, const PieceCallback& on_piece) {
    const Result<GenerateResult> result = responder_.Answer(messages, max_tokens, on_piece);
    if (!result.ok()) return result.status();
    AddResult(*result, &answer_.result);
    last_ = *result;
    return {};
  }

  // Answers every part; `whole`: of the text itself rather than of answers.
  Result<std::string> AnswerParts(const ChatPrompt& prompt, std::string_view text, const std::vector<TextRange>& parts,
                                  bool whole) {
    const std::string count = std::to_string(parts.size());
    Say((whole ? "the text does not fit a context of " : "their answers do not fit a context of ") +
        std::to_string(responder_.context_length()) + " tokens; reading it in " + count + " parts that overlap");
    std::string answers;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::string_view part = text.substr(parts[i].begin, parts[i].end - parts[i].begin);
      if (Status status = Answer(PromptMessages(prompt, part), room_, {}); !status.ok()) return status;
      if (last_.finish_reason == FinishReason::kCancelled) {
        answer_.result.text.clear();  // an answer for a part is none for the text
        return answers;
      }
      const std::int32_t tokens = last_.prompt_tokens + last_.cached_tokens;
      const std::string number = std::to_string(i + 1);
      Say("part " + number + " of " + count + ": " + std::to_string(tokens) + " tokens read, answer of " +
          std::to_string(last_.generated_tokens) + " tokens" +
          (last_.finish_reason == FinishReason::kMaxTokens ? ", which ends at this limit" : ""));
      if (whole) {
        answer_.parts.push_back(
            {.range = parts[i], .prompt_tokens = tokens, .generated_tokens = last_.generated_tokens});
      }
      if (i > 0) answers += "\n\n";
      answers += "Part " + number + ":\n\n" + last_.text;
    }
    return answers;
  }

  // What to do with the answers for `count` parts.
  ChatPrompt MergePrompt(std::size_t count) const {
    ChatPrompt merge;
    merge.system = prompt_.system;
    merge.before = "A text was too long to be read at once. It was read in " + std::to_string(count) +
                   " parts, which overlap a little. These are the answers for the parts:\n\n";
    merge.after =
        "\n\nWrite one answer for the whole text, from the answers for its parts. Say everything once, and do not "
        "mention "
        "the parts. This was the task:\n\n" +
        prompt_.before + "(the text)" + prompt_.after;
    return merge;
  }

  Responder& responder_;
  const ChatPrompt& prompt_;
  const LongOptions& options_;
  const PieceCallback& on_piece_;
  const std::int32_t room_;
  GenerateResult last_;
  Record answer_;
};

}  // namespace

std::int32_t RoomForAnswer(std::int32_t context_length, std::int32_t max_tokens) {
  constexpr std::int32_t kMost = 1024;
  return max_tokens >= 0 ? max_tokens : std::min(kMost, context_length / 4);
}

Status TooLong(std::int32_t tokens, std::int32_t context_length) {
  return Status(StatusCode::kContextFull, "The prompt has " + std::to_string(tokens) +
                                              " tokens, but the context holds only " + std::to_string(context_length) +
                                              ".");
}

Result<Record> AnswerText(Responder& responder, const ChatPrompt& prompt, std::string_view text,
                          const LongOptions& options, const PieceCallback& on_piece) {
  if (options.split) return LongText(responder, prompt, options, on_piece).Run(text);
  const std::vector<Message> messages = PromptMessages(prompt, text);
  const Result<std::int32_t> count = responder.Count(messages);
  if (!count.ok()) return count.status();
  if (*count > responder.context_length()) {
    return TooLong(*count, responder.context_length());
  }
  Result<GenerateResult> result = responder.Answer(messages, options.max_tokens, on_piece);
  if (!result.ok()) return result.status();
  return Record{.result = *std::move(result)};
}

}  // namespace slm::tools
