#include "chat_line_editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <system_error>
#include <utility>

#include "chat_terminal.h"
#include "terminal_text.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

constexpr int kHistorySize = 1000;
// What the terminal puts around pasted text once it is asked to, and how it is asked.
constexpr wchar_t kPasteBegin[] = L"\\e[200~";
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";
constexpr char kPasteMarksOn[] = "\x1b[?2004h";
constexpr char kPasteMarksOff[] = "\x1b[?2004l";
// Keys that no keyboard has. The editor itself presses them, to insert the given text and to end an interrupted line.
constexpr wchar_t kInsertText[] = L"\\e[9001~";
constexpr char kInsertTextKeys[] = "\x1b[9001~";
constexpr wchar_t kInterrupt[] = L"\\e[9002~";
constexpr char kInterruptKeys[] = "\x1b[9002~";

// libedit converts to and from wide characters by the locale.
bool UseUtf8Locale() {
  for (const char* const name : {"", "C.UTF-8", "en_US.UTF-8"}) {
    if (std::setlocale(LC_CTYPE, name) == nullptr) continue;
    wchar_t wide = 0;
    std::mbstate_t state = {};
    if (std::mbrtowc(&wide, "\xC3\xA9", 2, &state) == 2 && wide == L'\u00E9') return true;
  }
  return false;
}

// While it lives, a change of the window's size ends a read with EINTR.
class ResizeSignal {
 public:
  ResizeSignal() {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGWINCH, &action, &before_);
  }
  ~ResizeSignal() { ::sigaction(SIGWINCH, &before_, nullptr); }
  ResizeSignal(const ResizeSignal&) = delete;
  ResizeSignal& operator=(const ResizeSignal&) = delete;

 private:
  struct sigaction before_ = {};
};

int WindowColumns() {
  ::winsize window = {};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

class LibeditLineEditor final : public LineEditor {
 public:
  explicit LibeditLineEditor(const LineEditorOptions& options) : options_(options) {}
  ~LibeditLineEditor() override {
    if (edit_ != nullptr) el_end(edit_);
    if (history_ != nullptr) history_end(history_);
  }

  bool Start();
  Line Read(std::string_view prompt, std::string_view text) override;
  void Remember(const std::string& text) override;

 private:
  using Handler = unsigned char (LibeditLineEditor::*)();

  static LibeditLineEditor* Of(EditLine* edit) {
    LibeditLineEditor* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return self;
  }
  template <Handler kHandler>
  static unsigned char Call(EditLine* edit, int) {
    return (Of(edit)->*kHandler)();
  }
  static int ReadKey(EditLine* edit, wchar_t* character) { return Of(edit)->ReadCharacter(character); }
  static char* Prompt(EditLine* edit) { return Of(edit)->prompt_.data(); }

  // Gives a function a name and keys. Wide, because libedit never frees what it makes of narrow names.
  template <Handler kHandler>
  void Bind(const wchar_t* name, std::initializer_list<const wchar_t*> keys) {
    el_wset(edit_, EL_ADDFN, name, name, &Call<kHandler>);
    for (const wchar_t* const key : keys) el_wset(edit_, EL_BIND, key, name, nullptr);
  }
  void BindKeys();
  int ReadCharacter(wchar_t* character);
  void RedrawIfResized();
  int RowsAboveCursor(int columns) const;
  void LoadHistory();
  void SaveHistory();
  void Write(std::string_view text);

  // What keys do; the results tell libedit what to draw.
  unsigned char Interrupt();
  unsigned char EndInterrupted();
  unsigned char Suspend();
  unsigned char Paste();
  unsigned char InsertText();
  unsigned char BreakLine();
  unsigned char Complete();
  unsigned char Up();
  unsigned char Down();

  void ListCandidates(const std::vector<std::string>& words);

  const LineEditorOptions options_;
  File output_;
  EditLine* edit_ = nullptr;
  History* history_ = nullptr;
  bool keep_history_ = false;
  int columns_ = 0;  // of the window, when the line was drawn
  std::string prompt_;
  int prompt_width_ = 0;
  std::string text_;
  bool interrupted_ = false;
};

bool LibeditLineEditor::Start() {
  if (!IsSmartTerminal(STDIN_FILENO) || !IsSmartTerminal(STDERR_FILENO) || !UseUtf8Locale()) return false;
  // Standard error itself has no buffer, and would get every character of a line on its own.
  output_.reset(::fdopen(::dup(STDERR_FILENO), "w"));
  if (output_ == nullptr) return false;
  edit_ = el_init("slm-chat", stdin, output_.get(), stderr);
  history_ = history_init();
  if (edit_ == nullptr || history_ == nullptr) return false;
  HistEvent event;
  history(history_, &event, H_SETSIZE, kHistorySize);
  history(history_, &event, H_SETUNIQUE, 1);
  el_set(edit_, EL_CLIENTDATA, this);
  el_set(edit_, EL_HIST, history, history_);
  el_set(edit_, EL_PROMPT_ESC, &Prompt, '\1');
  el_set(edit_, EL_GETCFN, &ReadKey);
  el_set(edit_, EL_EDITOR, "emacs");
  el_set(edit_, EL_SIGNAL, 1);
  el_source(edit_, nullptr);  // ~/.editrc, as in every program with libedit
  BindKeys();
  LoadHistory();
  return true;
}

void LibeditLineEditor::BindKeys() {
  // While a line is edited, Ctrl-C and Ctrl-Z are keys like any other, and not signals.
  el_set(edit_, EL_SETTY, "-d", "-isig", nullptr);
  Bind<&LibeditLineEditor::Interrupt>(L"slm-interrupt", {L"^C"});
  Bind<&LibeditLineEditor::EndInterrupted>(L"slm-end-interrupted", {kInterrupt});
  Bind<&LibeditLineEditor::Suspend>(L"slm-suspend", {L"^Z"});
  for (const auto& [key, name] : {std::pair{L"^C", L"slm-interrupt"}, std::pair{L"^Z", L"slm-suspend"}}) {
    el_wset(edit_, EL_BIND, L"-a", key, name, nullptr);  // in vi's other mode
  }
  Bind<&LibeditLineEditor::Paste>(L"slm-paste", {kPasteBegin});
  Bind<&LibeditLineEditor::InsertText>(L"slm-insert-text", {kInsertText});
  Bind<&LibeditLineEditor::BreakLine>(L"slm-break-line", {L"\\e\\r", L"\\e\\n"});
  Bind<&LibeditLineEditor::Complete>(L"slm-complete", {L"\\t"});
  Bind<&LibeditLineEditor::Up>(L"slm-up", {L"\\e[A", L"\\eOA"});
  Bind<&LibeditLineEditor::Down>(L"slm-down", {L"\\e[B", L"\\eOB"});
  for (const auto& [key, name] : {std::pair{L"^P", L"ed-prev-history"}, std::pair{L"^N", L"ed-next-history"},
                                  std::pair{L"^R", L"em-inc-search-prev"}, std::pair{L"^W", L"ed-delete-prev-word"},
                                  std::pair{L"\\e[1~", L"ed-move-to-beg"}, std::pair{L"\\e[H", L"ed-move-to-beg"},
                                  std::pair{L"\\e[4~", L"ed-move-to-end"}, std::pair{L"\\e[F", L"ed-move-to-end"},
                                  std::pair{L"\\e[3~", L"ed-delete-next-char"}, std::pair{L"\\e[1;5D", L"ed-prev-word"},
                                  std::pair{L"\\e[1;5C", L"em-next-word"}}) {
    el_wset(edit_, EL_BIND, key, name, nullptr);
  }
}

void LibeditLineEditor::Write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), output_.get());
  std::fflush(output_.get());
}

LineEditor::Line LibeditLineEditor::Read(std::string_view prompt, std::string_view text) {
  prompt_ = options_.bold_prompt ? "\1\x1b[1m\1" + std::string(prompt) + "\1\x1b[0m\1" : std::string(prompt);
  prompt_width_ = static_cast<int>(prompt.size());
  interrupted_ = false;
  text_ = text;
  if (!text.empty()) el_push(edit_, kInsertTextKeys);
  el_resize(edit_);  // the window may have changed while an answer was written
  columns_ = WindowColumns();
  const ResizeSignal resize_signal;
  el_set(edit_, EL_PREP_TERM, 1);  // before the prompt can be seen, so that no key is taken by the cooked mode
  Write(kPasteMarksOn);
  int size = 0;
  const char* const line = el_gets(edit_, &size);
  Write(kPasteMarksOff);
  if (interrupted_) {
    Write("^C\n");
    return {Event::kInterrupt, text_};
  }
  if (line == nullptr || size <= 0) {
    Write("\n");
    return {Event::kEnd, {}};
  }
  std::string entered = line;
  if (entered.ends_with('\n')) entered.pop_back();
  return {Event::kLine, std::move(entered)};
}

// 1: a character, 0: the end, -1: an error. Bytes of a character may come one at a time; those of none become U+FFFD.
int LibeditLineEditor::ReadCharacter(wchar_t* character) {
  constexpr wchar_t kReplacement = 0xFFFD;
  std::mbstate_t state = {};
  *character = 0;
  while (true) {
    char byte = 0;
    const ssize_t size = ::read(STDIN_FILENO, &byte, 1);
    if (size < 0 && errno == EINTR) {
      RedrawIfResized();
      continue;
    }
    if (size <= 0) return static_cast<int>(size);
    const std::size_t used = std::mbrtowc(character, &byte, 1, &state);
    if (used == static_cast<std::size_t>(-2)) continue;  // a part
    if (used == static_cast<std::size_t>(-1)) *character = kReplacement;
    return 1;
  }
}

// Most terminals wrap lines anew when their width changes, and libedit would not know where the cursor is.
void LibeditLineEditor::RedrawIfResized() {
  const int columns = WindowColumns();
  if (columns == columns_) return;
  columns_ = columns;
  el_resize(edit_);
  const int rows = RowsAboveCursor(columns);
  Write((rows > 0 ? "\x1b[" + std::to_string(rows) + "A" : std::string()) + "\r\x1b[J");
  el_set(edit_, EL_REFRESH);
}

int LibeditLineEditor::RowsAboveCursor(int columns) const {
  constexpr int kTab = 8;
  const LineInfoW* const line = el_wline(edit_);
  int row = 0;
  int column = prompt_width_;
  for (const wchar_t* character = line->buffer; character != line->cursor; ++character) {
    if (*character == L'\n') {
      ++row;
      column = 0;
      continue;
    }
    const int width = *character == L'\t' ? kTab - column % kTab : std::max(::wcwidth(*character), 0);
    if (column + width > columns) {
      ++row;
      column = 0;
    }
    column += width;
  }
  return column >= columns ? row + 1 : row;
}

// Moves to the end first, because what is written next must not cover the text.
unsigned char LibeditLineEditor::Interrupt() {
  const LineInfoW* const wide = el_wline(edit_);
  el_cursor(edit_, static_cast<int>(wide->lastchar - wide->cursor));
  el_push(edit_, kInterruptKeys);
  return CC_REFRESH;
}

unsigned char LibeditLineEditor::EndInterrupted() {
  const LineInfo* const line = el_line(edit_);
  text_.assign(line->buffer, line->lastchar);
  interrupted_ = true;
  return CC_EOF;
}

unsigned char LibeditLineEditor::Suspend() {
  Write(kPasteMarksOff);
  el_set(edit_, EL_PREP_TERM, 0);
  ::raise(SIGTSTP);
  el_set(edit_, EL_PREP_TERM, 1);
  el_resize(edit_);
  Write(kPasteMarksOn);
  el_set(edit_, EL_REFRESH);  // below what the shell has written
  return CC_NORM;
}

unsigned char LibeditLineEditor::Paste() {
  std::wstring pasted;
  while (!pasted.ends_with(kPasteEnd)) {
    wchar_t character = 0;
    if (el_wgetc(edit_, &character) != 1) return CC_EOF;
    pasted += character;
  }
  pasted.resize(pasted.size() - kPasteEnd.size());
  std::wstring text;
  for (std::size_t i = 0; i < pasted.size(); ++i) {
    const wchar_t character = pasted[i];
    if (character == L'\r') {
      if (i + 1 == pasted.size() || pasted[i + 1] != L'\n') text += L'\n';
    } else if ((character >= 0x20 && character != 0x7F) || character == L'\n' || character == L'\t') {
      text += character;
    }
  }
  return el_winsertstr(edit_, text.c_str()) == 0 || text.empty() ? CC_REFRESH : CC_ERROR;
}

unsigned char LibeditLineEditor::InsertText() {
  return el_insertstr(edit_, text_.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
}

unsigned char LibeditLineEditor::BreakLine() { return el_winsertstr(edit_, L"\n") == 0 ? CC_REFRESH : CC_ERROR; }

// In a text of several lines the arrow keys move through it, and beyond its ends through the history.
unsigned char LibeditLineEditor::Up() {
  const LineInfoW* const line = el_wline(edit_);
  const std::wstring_view before(line->buffer, static_cast<std::size_t>(line->cursor - line->buffer));
  const std::size_t line_break = before.rfind(L'\n');
  if (line_break == std::wstring_view::npos) {
    el_wpush(edit_, L"\x10");  // Ctrl-P
    return CC_NORM;
  }
  const std::size_t column = before.size() - line_break - 1;
  const std::size_t start = before.substr(0, line_break).rfind(L'\n') + 1;
  const std::size_t target = std::min(start + column, line_break);
  el_cursor(edit_, -static_cast<int>(before.size() - target));
  return CC_REFRESH;
}

unsigned char LibeditLineEditor::Down() {
  const LineInfoW* const line = el_wline(edit_);
  const std::wstring_view before(line->buffer, static_cast<std::size_t>(line->cursor - line->buffer));
  const std::wstring_view after(line->cursor, static_cast<std::size_t>(line->lastchar - line->cursor));
  const std::size_t line_break = after.find(L'\n');
  if (line_break == std::wstring_view::npos) {
    el_wpush(edit_, L"\x0E");  // Ctrl-N
    return CC_NORM;
  }
  const std::size_t column = before.size() - (before.rfind(L'\n') + 1);
  const std::size_t end = std::min(after.find(L'\n', line_break + 1), after.size());
  el_cursor(edit_, static_cast<int>(std::min(line_break + 1 + column, end)));
  return CC_REFRESH;
}

unsigned char LibeditLineEditor::Complete() {
  const LineInfo* const line = el_line(edit_);
  const std::string before(line->buffer, line->cursor);
  const Completion found = options_.complete ? options_.complete(before) : Completion{};
  if (found.words.empty()) return CC_ERROR;
  std::string common = found.words.front();
  for (const std::string& word : found.words) {
    common.erase(std::ranges::mismatch(common, word).in1, common.end());
  }
  if (found.words.size() == 1 && !common.ends_with('/')) common += ' ';
  const std::size_t typed = before.size() - found.start;
  if (common.size() > typed) {
    return el_insertstr(edit_, common.substr(typed).c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }
  if (found.words.size() == 1) return CC_ERROR;
  ListCandidates(found.words);
  return CC_REDISPLAY;
}

void LibeditLineEditor::ListCandidates(const std::vector<std::string>& words) {
  constexpr std::size_t kMost = 100;
  std::string list = "\n";
  for (std::size_t i = 0; i < std::min(words.size(), kMost); ++i) list += Escaped(words[i]) + "  ";
  if (words.size() > kMost) list += "and " + std::to_string(words.size() - kMost) + " more";
  Write(list + "\n");
}

void LibeditLineEditor::LoadHistory() {
  if (options_.history_file.empty()) return;
  std::error_code error;
  const fs::file_status status = fs::status(options_.history_file, error);
  if (fs::exists(status)) {
    HistEvent event;
    // A file that is no history is left alone.
    keep_history_ =
        fs::is_regular_file(status) && (fs::is_empty(options_.history_file, error) ||
                                        history(history_, &event, H_LOAD, options_.history_file.c_str()) >= 0);
    return;
  }
  fs::create_directories(options_.history_file.parent_path(), error);
  keep_history_ = !error;
}

void LibeditLineEditor::Remember(const std::string& text) {
  HistEvent event;
  history(history_, &event, H_ENTER, text.c_str());
  if (keep_history_) SaveHistory();
}

// Through a second file, so that there is a whole history whenever the program ends.
void LibeditLineEditor::SaveHistory() {
  fs::path path = options_.history_file;
  path += '.';
  path += std::to_string(::getpid());
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return;
  std::FILE* const file = ::fdopen(descriptor, "w");
  if (file == nullptr) {
    ::close(descriptor);
    return;
  }
  HistEvent event;
  const bool written = history(history_, &event, H_SAVE_FP, file) >= 0;
  const bool closed = std::fclose(file) == 0;
  std::error_code error;
  if (written && closed) fs::rename(path, options_.history_file, error);
  if (!written || !closed || error) fs::remove(path, error);
}

}  // namespace

std::unique_ptr<LineEditor> LineEditor::Create(const LineEditorOptions& options) {
  auto editor = std::make_unique<LibeditLineEditor>(options);
  if (!editor->Start()) return nullptr;
  return editor;
}

}  // namespace slm::tools
