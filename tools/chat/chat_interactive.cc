#include "chat_interactive.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat_commands.h"
#include "chat_input.h"
#include "chat_line_editor.h"
#include "chat_turns.h"
#include "file_identity.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

// $XDG_STATE_HOME/slm-chat/history, or below ~/.local/state. Empty if there is no home.
std::filesystem::path DefaultHistoryFile() {
  const auto folder = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  std::filesystem::path state = folder("XDG_STATE_HOME");
  if (!state.is_absolute()) {
    const std::filesystem::path home = folder("HOME");
    if (home.empty()) return {};
    state = home / ".local" / "state";
  }
  return state / "slm-chat" / "history";
}

TurnReader OpenTurns(Conversation& conversation) {
  LineEditorOptions options{.complete = CompleteCommand, .bold_prompt = conversation.style().enabled()};
  if (!conversation.options().no_history) {
    // The history is replaced by renaming, which must not replace a link.
    const Result<std::filesystem::path> file = ResolvePath(DefaultHistoryFile());
    if (file.ok()) options.history_file = *file;
  }
  return TurnReader(LineEditor::Create(options));
}

// Files that were attached go before the text; they are kept for the next try if there is no answer.
Status Say(Talk& talk, const std::string& text) {
  std::vector<std::string> blocks;
  for (const AttachedFile& file : talk.files) blocks.push_back(file.block);
  blocks.push_back(text);
  if (Status status = talk.conversation.Say(blocks.size() == 1 ? text : JoinBlocks(blocks)); !status.ok())
    return status;
  if (!talk.conversation.stopped() || !talk.conversation.last()->text.empty()) talk.files.clear();
  return {};
}

Status Take(Talk& talk, TurnReader::Turn turn) {
  if (IsBlank(turn.text)) return {};
  if (turn.verbatim) return Say(talk, turn.text);
  if (IsCommand(turn.text)) return RunCommand(talk, turn.text);
  if (turn.text.starts_with("//")) turn.text.erase(0, 1);
  return Say(talk, turn.text);
}

}  // namespace

int Converse(Conversation& conversation) {
  conversation.options().interactive = true;
  TurnReader turns = OpenTurns(conversation);
  Talk talk{.conversation = conversation, .turns = turns};
  const bool terminal = ::isatty(STDIN_FILENO) != 0;
  if (terminal) conversation.style().Note("/help shows what you can do.");
  bool warned = false;  // that one more Ctrl-C ends it
  while (!talk.quit && std::ferror(stdout) == 0) {
    if (terminal) std::fputs("\n", stderr);
    TurnReader::Turn turn = turns.Next();
    if (turn.event == LineEditor::Event::kEnd) break;
    if (turn.event == LineEditor::Event::kInterrupt) {
      if (!turn.text.empty()) continue;
      if (warned) return kExitInterrupted;
      warned = true;
      conversation.style().Note("Ctrl-C once more, Ctrl-D or /quit ends the conversation.");
      continue;
    }
    warned = false;
    if (Status status = Take(talk, std::move(turn)); !status.ok()) PrintMessage(kChat, InUserWords(status).message());
  }
  return kExitOk;
}

}  // namespace slm::tools
