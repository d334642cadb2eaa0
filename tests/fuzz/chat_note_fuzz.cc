// Conversations in session files: an input is the note, in a file that is sound otherwise.

#include <filesystem>

#include "fuzz/fuzz_target.h"
#include "fuzz/saved_session.h"
#include "fuzz/scratch_file.h"
#include "slm/chat.h"

namespace slm::test {

namespace {

constexpr const char* kTemplate =
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ m.tool_calls | default('') }}\n{% endfor %}{{ tools }}";
const SessionOptions kOptions = {.context_length = 4 * kSavedContext, .threads = 1, .batch_size = 8};

std::string NoteOf(const Chat& chat) {
  char path[] = "/tmp/chat_note_XXXXXX";
  Require(mkdtemp(path) != nullptr, "a folder");
  const std::filesystem::path folder = path;
  Require(chat.Save(folder / "chat").ok(), "a saved conversation");
  auto restored = Session::Restore(SavedModel(false), folder / "chat");
  std::filesystem::remove_all(folder);
  return std::move(restored.value().note);
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const char* tools : {"", R"([{"type": "function", "function": {"name": "f", "parameters": {}}}])"}) {
    auto chat = Chat::Create(SavedModel(false), {.system = "S",
                                                 .chat_template = kTemplate,
                                                 .tools = tools,
                                                 .variables = R"({"x": [1, 2.5, null]})",
                                                 .session = kOptions});
    seeds.push_back(NoteOf(*chat));
    static_cast<void>(chat->Send("3 4", nullptr, {.max_tokens = 3}));
    seeds.push_back(NoteOf(*chat));
    chat->SetMessages({{.content = "a"},
                       {.role = Role::kAssistant, .tool_calls = {{.id = "1", .name = "f", .arguments = "{}"}}},
                       {.role = Role::kTool, .content = "b", .tool_call_id = "1", .name = "f"}});
    seeds.push_back(NoteOf(*chat));
  }
  return seeds;
}

void Fuzz(std::string_view input) {
  static const std::string session = SavedSession(false, KvType::kF16, "");
  const ScratchFile file(WithNote(session, input));
  auto chat = Chat::Restore(SavedModel(false), file.path(), {.session = {.threads = 1, .batch_size = 8}});
  if (!chat.ok()) return;
  static_cast<void>(MessagesToJson(chat->messages()));
  static_cast<void>(chat->Answer(nullptr, {.max_tokens = 2}));
  static_cast<void>(chat->Retry(nullptr, {.max_tokens = 2}));
  static_cast<void>(chat->Send("5", nullptr, {.max_tokens = 1}));
  static_cast<void>(chat->Undo());
}

}  // namespace slm::test
