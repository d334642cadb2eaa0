#include "chat_commands.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "chat_input.h"
#include "chat_settings.h"
#include "slm/message.h"
#include "tool_main.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

struct Command {
  std::string_view name;
  std::string_view arguments;
  std::string_view help;
  enum class Needs { kNothing, kTurns, kTurnsAndPath } needs;
  Status (*run)(Talk& talk, std::string_view argument);
};
std::span<const Command> Commands();

Status Invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

// `argument` with the home folder for a leading "~/", as a shell would read it.
fs::path PathOf(std::string_view argument) {
  const char* const home = std::getenv("HOME");
  if (argument.starts_with("~/") && home != nullptr) return fs::path(home) / argument.substr(2);
  return argument;
}

// What other people's text looks like on a terminal.
void Show(std::string_view text) { std::fprintf(stderr, "%s\n", WithoutControls(text).c_str()); }

Status Help(Talk& talk, std::string_view) {
  std::string text;
  for (const Command& command : Commands()) {
    std::string usage = "  " + std::string(command.name) + " " + std::string(command.arguments);
    usage.resize(std::max<std::size_t>(usage.size() + 1, 20), ' ');
    text += usage + std::string(command.help) + "\n";
  }
  text +=
      "  //TEXT            send a text that begins with a slash\n"
      "A line that ends with \\ goes on in the next one; lines between two lines of \"\"\" are one message.\n"
      "Ctrl-C stops an answer or clears the line; Ctrl-D ends the conversation.\n";
  if (talk.turns.can_edit()) text += "Alt-Enter breaks a line, Tab completes commands and paths, Ctrl-R searches.\n";
  std::fputs(text.c_str(), stderr);
  return {};
}

Status System(Talk& talk, std::string_view argument) {
  Chat& chat = *talk.conversation.chat();
  if (!argument.empty()) {
    if (Status status = chat.SetSystem(argument == "-" ? std::string_view() : argument); !status.ok()) return status;
    return talk.conversation.SaveSession();
  }
  const std::vector<Message>& messages = chat.messages();
  const bool has_system = !messages.empty() && messages.front().role == Role::kSystem;
  Show(has_system ? messages.front().content : "There is no system text. /system TEXT sets one.");
  return {};
}

Status AttachFile(Talk& talk, std::string_view argument) {
  if (argument == "-") {
    talk.files.clear();
    return {};
  }
  if (argument.empty()) {
    if (talk.files.empty()) Show("No file goes with the next message. /file PATH adds one.");
    for (const AttachedFile& file : talk.files) Show(file.path + ": " + std::to_string(file.tokens) + " tokens");
    return {};
  }
  const fs::path path = PathOf(argument);
  const Result<std::string> text = ReadTextFile(path.string());
  if (!text.ok()) return text.status();
  AttachedFile file{.path = std::string(argument), .block = FileBlock(path, *text)};
  const Result<std::vector<Token>> tokens = talk.conversation.model().tokenizer().Encode(file.block);
  if (!tokens.ok()) return tokens.status();
  file.tokens = std::ssize(*tokens);
  Show(file.path + " goes with your next message: " + std::to_string(file.tokens) + " tokens");
  talk.files.push_back(std::move(file));
  return {};
}

Status Save(Talk& talk, std::string_view argument) {
  if (argument.empty()) return Invalid("/save needs a path.");
  if (Status status = talk.conversation.Save(PathOf(argument)); !status.ok()) return status;
  Show("Saved to " + std::string(argument) + ".");
  return {};
}

Status Load(Talk& talk, std::string_view argument) {
  if (argument.empty()) return Invalid("/load needs a path.");
  return talk.conversation.Load(PathOf(argument));
}

Status Undo(Talk& talk, std::string_view) {
  if (talk.conversation.chat()->messages().size() <= talk.conversation.FirstTurn()) {
    return Invalid("There is nothing to take back: you have not said anything.");
  }
  const Result<std::string> text = talk.conversation.chat()->Undo();
  if (!text.ok()) return text.status();
  Show("Taken back: " + *text);
  return talk.conversation.SaveSession();
}

Status Retry(Talk& talk, std::string_view) { return talk.conversation.Retry(); }

// Splits "2 Another text" into a number and the rest; without a number it is 0.
Result<std::size_t> TakeNumber(std::string_view* argument) {
  std::size_t number = 0;
  const char* const end = argument->data() + argument->size();
  const auto [after, error] = std::from_chars(argument->data(), end, number);
  if (error == std::errc::invalid_argument) return std::size_t{0};
  if (after != end && *after != ' ' && *after != '\n') return std::size_t{0};
  if (error != std::errc() || number == 0) return Invalid("Messages are counted from 1.");
  argument->remove_prefix(static_cast<std::size_t>(after - argument->data()));
  argument->remove_prefix(std::min(argument->find_first_not_of(" \n"), argument->size()));
  return number;
}

// The message of the n-th text of the user, from 1; 0 for the last. Messages before `first` are a prompt's examples.
Result<std::size_t> UserMessage(const std::vector<Message>& messages, std::size_t first, std::size_t n) {
  std::vector<std::size_t> of_user;
  for (std::size_t i = first; i < messages.size(); ++i) {
    if (messages[i].role == Role::kUser) of_user.push_back(i);
  }
  if (of_user.empty()) return Invalid("There is no message to edit yet.");
  if (n > of_user.size()) {
    return Invalid("There is no message " + std::to_string(n) + " of yours; there are " +
                   std::to_string(of_user.size()) + ".");
  }
  return n == 0 ? of_user.back() : of_user[n - 1];
}

Status Edit(Talk& talk, std::string_view argument) {
  const Result<std::size_t> number = TakeNumber(&argument);
  if (!number.ok()) return number.status();
  std::vector<Message> messages = talk.conversation.chat()->messages();
  const Result<std::size_t> index = UserMessage(messages, talk.conversation.FirstTurn(), *number);
  if (!index.ok()) return index.status();
  messages.resize(*index + 1);
  if (!argument.empty()) {
    messages.back().content = argument;
  } else if (talk.turns.can_edit()) {
    TurnReader::Turn turn = talk.turns.Edit(messages.back().content);
    if (turn.event != LineEditor::Event::kLine || turn.text.empty()) {
      Show("Nothing is changed.");
      return {};
    }
    messages.back().content = std::move(turn.text);
  } else {
    return Invalid("There is no line editor here: give the new text after /edit N.");
  }
  return talk.conversation.AnswerInstead(std::move(messages));
}

Status Stats(Talk& talk, std::string_view) {
  std::fputs(StatsText(talk.conversation).c_str(), stderr);
  return {};
}

Status Set(Talk& talk, std::string_view argument) {
  if (argument.empty()) {
    std::fputs(SettingsText(talk.conversation).c_str(), stderr);
    return {};
  }
  const std::size_t space = std::min(argument.find(' '), argument.size());
  std::string_view value = argument.substr(space);
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return ChangeSetting(talk.conversation, argument.substr(0, space), value);
}

Status Reset(Talk& talk, std::string_view) {
  if (Status status = talk.conversation.Reset(); !status.ok()) return status;
  talk.files.clear();
  return talk.conversation.SaveSession();
}

Status Quit(Talk& talk, std::string_view) {
  talk.quit = true;
  return {};
}

std::span<const Command> Commands() {
  using enum Command::Needs;
  static constexpr std::array kCommands = {
      Command{"/help", "", "this list", kNothing, Help},
      Command{"/system", "[TEXT|-]", "show or set what the model is told about its task; -: nothing", kTurns, System},
      Command{"/file", "[PATH|-]", "add a text file to the next message; alone: list them; -: take them off",
              kTurnsAndPath, AttachFile},
      Command{"/save", "PATH", "keep the conversation in a file", kTurnsAndPath, Save},
      Command{"/load", "PATH", "go on with the conversation of a file", kTurnsAndPath, Load},
      Command{"/undo", "", "take back your last message and its answer", kTurns, Undo},
      Command{"/retry", "", "another answer to your last message", kTurns, Retry},
      Command{"/edit", "[N] [TEXT]", "change your last (or N-th) message, and go on from there", kTurns, Edit},
      Command{"/stats", "", "tokens, time, memory and energy so far", kNothing, Stats},
      Command{"/set", "[NAME VALUE]", "change how answers are made; alone: list what can be changed", kNothing, Set},
      Command{"/reset", "", "forget the conversation", kNothing, Reset},
      Command{"/quit", "", "end; so does Ctrl-D", kNothing, Quit},
  };
  return kCommands;
}

// Files of a folder whose names begin as the path that is typed so far.
std::vector<std::string> PathsLike(std::string_view typed) {
  const std::size_t name_start = typed.rfind('/') + 1;
  const std::string_view folder = typed.substr(0, name_start);
  const std::string_view name = typed.substr(name_start);
  std::vector<std::string> paths;
  std::error_code error;
  fs::directory_iterator entries(folder.empty() ? fs::path(".") : PathOf(folder), error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    std::string entry = entries->path().filename().string();
    if (!entry.starts_with(name) || (name.empty() && entry.starts_with('.'))) continue;
    std::error_code unknown;
    if (entries->is_directory(unknown)) entry += '/';
    paths.push_back(std::string(folder) + entry);
  }
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

bool IsCommand(std::string_view text) { return text.starts_with('/') && !text.starts_with("//"); }

Status RunCommand(Talk& talk, std::string_view text) {
  while (text.ends_with(' ') || text.ends_with('\n')) text.remove_suffix(1);
  const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
  const std::string_view name = text.substr(0, end);
  std::string_view argument = text.substr(end);
  argument.remove_prefix(std::min(argument.find_first_not_of(" \n"), argument.size()));
  const auto command = std::ranges::find(Commands(), name, &Command::name);
  if (command == Commands().end()) {
    return Invalid("There is no command " + std::string(name) +
                   ". /help lists them; // sends a text that begins with a slash.");
  }
  if (command->needs != Command::Needs::kNothing && talk.conversation.chat() == nullptr) {
    return Invalid(std::string(name) + " needs turns, and --raw has none.");
  }
  if (command->arguments.empty() && !argument.empty()) return Invalid(std::string(name) + " takes no argument.");
  return command->run(talk, argument);
}

Completion CompleteCommand(std::string_view before) {
  if (!IsCommand(before)) return {};
  const std::size_t space = before.find(' ');
  Completion completion;
  if (space == std::string_view::npos) {
    for (const Command& command : Commands()) {
      if (command.name.starts_with(before)) completion.words.emplace_back(command.name);
    }
    return completion;
  }
  completion.start = space + 1;
  const std::string_view typed = before.substr(space + 1);
  const std::string_view name = before.substr(0, space);
  const auto command = std::ranges::find(Commands(), name, &Command::name);
  if (command == Commands().end()) return {};
  if (command->needs == Command::Needs::kTurnsAndPath) completion.words = PathsLike(typed);
  if (name != "/set") return completion;
  for (std::string& setting : SettingNames()) {
    if (setting.starts_with(typed)) completion.words.push_back(std::move(setting));
  }
  return completion;
}

}  // namespace slm::tools
