#include "chat_turns.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <utility>

#include "chat_input.h"

namespace slm::tools {

namespace {

constexpr char kPrompt[] = "> ";
constexpr char kMorePrompt[] = ". ";
constexpr std::string_view kFence = "\"\"\"";

}  // namespace

bool IsBlank(std::string_view text) { return text.find_first_not_of(" \t\n") == std::string_view::npos; }

TurnReader::TurnReader(std::unique_ptr<LineEditor> editor)
    : editor_(std::move(editor)), terminal_(::isatty(STDIN_FILENO) != 0) {}

LineEditor::Line TurnReader::ReadLine(std::string_view prompt, std::string_view text) {
  if (editor_ != nullptr) return editor_->Read(prompt, text);
  if (terminal_) std::fwrite(prompt.data(), 1, prompt.size(), stderr);
  std::string line;
  if (!std::getline(std::cin, line)) {
    if (terminal_) std::fputs("\n", stderr);
    return {LineEditor::Event::kEnd, {}};
  }
  line = CleanText(line, "the line");
  if (line.ends_with('\r')) line.pop_back();
  return {LineEditor::Event::kLine, std::move(line)};
}

TurnReader::Turn TurnReader::Next() {
  LineEditor::Line line = ReadLine(kPrompt);
  Turn turn{line.event, std::move(line.text)};
  if (turn.event == LineEditor::Event::kLine && turn.text == kFence) {
    turn = ReadBlock();
  }
  while (turn.event == LineEditor::Event::kLine && !turn.verbatim && turn.text.ends_with('\\')) {
    turn.text.back() = '\n';
    line = ReadLine(kMorePrompt);
    if (line.event == LineEditor::Event::kInterrupt) return {line.event, turn.text + line.text};
    if (line.event == LineEditor::Event::kEnd) break;
    turn.text += line.text;
  }
  if (editor_ != nullptr && turn.event == LineEditor::Event::kLine && !IsBlank(turn.text)) {
    editor_->Remember(turn.text);
  }
  return turn;
}

// The end of the input ends the block too.
TurnReader::Turn TurnReader::ReadBlock() {
  Turn turn{.verbatim = true};
  while (true) {
    const LineEditor::Line line = ReadLine(kMorePrompt);
    if (line.event == LineEditor::Event::kInterrupt) return {line.event, turn.text + line.text};
    if (line.event == LineEditor::Event::kEnd || line.text == kFence) break;
    turn.text += line.text + "\n";
  }
  if (!turn.text.empty()) turn.text.pop_back();
  return turn;
}

TurnReader::Turn TurnReader::Edit(std::string_view text) {
  LineEditor::Line line = editor_->Read(kPrompt, text);
  if (line.event == LineEditor::Event::kLine && !IsBlank(line.text)) editor_->Remember(line.text);
  return {line.event, std::move(line.text), true};
}

}  // namespace slm::tools
