#include "chat_prompts.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <system_error>

#include "chat_input.h"
#include "chat_variables.h"
#include "json_text.h"
#include "text_options.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPlace = "{{text}}";

Status Invalid(const fs::path& path, const std::string& what) {
  return Status(StatusCode::kInvalidArgument, "The prompt " + path.string() + " is not valid: " + what);
}

// Without line breaks at both ends.
std::string_view Trim(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

// A file's YAML and what follows it.
struct Contents {
  std::string front;
  std::string body;
};

Result<Contents> CutFrontMatter(std::string_view text, const fs::path& path) {
  std::string lines(text);
  std::erase(lines, '\r');
  constexpr std::string_view kFence = "---\n";
  if (!lines.starts_with(kFence)) {
    return Invalid(path,
                   "it must begin with a line \"---\", then \"name: ...\" and \"description: ...\" and another "
                   "line \"---\".");
  }
  lines += '\n';
  const std::size_t end = lines.find("\n---\n", kFence.size() - 1);
  if (end == std::string::npos) return Invalid(path, "the line \"---\" that ends the settings is missing.");
  return Contents{.front = lines.substr(kFence.size(), end + 1 - kFence.size()), .body = lines.substr(end + 5)};
}

// Of YAML the front matter has this, and the rest is refused rather than misread: lines "key: value", in settings
// indented, and comments. A value is a text or a list of texts, in brackets or on lines of their own. A plain text has
// nothing in it that means something else in YAML.
struct HeadPatterns {
  std::string quoted = R"("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|)";
  std::string first = R"((?![-?:](?:[ ,\]]|$))[^\s,[\]{}#&*!|>%@`"'])";
  std::string text = quoted + first + R"((?:(?!: |:$| +#| +$)[^\t])*)";
  std::string in_list = quoted + first + R"((?:(?!: |:[,\]]| +#| +[,\]])[^\t,[\]{}])*)";
  std::string list = R"(\[ *(?:(?:)" + in_list + ") *, *)*(?:" + in_list + R"() *\])";
  std::regex line = std::regex(R"(( *)([\w-]+):(?: +()" + text + "|" + list + "))?(?: +#.*)? *| +- +(" + text +
                               ")(?: +#.*)? *| *(?:#.*)?");
  std::regex item = std::regex(in_list);
};

// A line of the front matter.
struct HeadLine {
  bool indented = false;
  std::string key = {};  // empty: an item of a list, a comment, or nothing
  std::vector<std::string> texts = {};
  bool is_list = false;
};

std::optional<HeadLine> ReadHeadLine(const std::string& line) {
  static const HeadPatterns kPatterns;
  constexpr std::size_t kLongest = 1000;  // matching takes stack for every character
  std::smatch match;
  if (line.size() > kLongest || !std::regex_match(line, match, kPatterns.line)) return std::nullopt;
  HeadLine head = {.indented = match.length(1) > 0, .key = match[2], .is_list = match.str(3).starts_with('[')};
  std::vector<std::string> written;
  if (head.is_list) {
    const std::sregex_token_iterator items(match[3].first, match[3].second, kPatterns.item);
    written.assign(items, {});
  } else if (match[3].matched || match[4].matched) {
    written.push_back(match[3].matched ? match[3] : match[4]);
  }
  for (const std::string& text : written) {
    if (text.starts_with('"')) {
      const Result<JsonValue> json = ParseJson(text, "the value");
      if (!json.ok() || json->type != JsonType::string) return std::nullopt;  // YAML has more escapes
      head.texts.push_back(json->text);
    } else if (text.starts_with('\'')) {
      head.texts.push_back(std::regex_replace(text.substr(1, text.size() - 2), std::regex("''"), "'"));
    } else {
      head.texts.push_back(text);
    }
  }
  return head;
}

class FrontMatter {
 public:
  FrontMatter(const fs::path& path, ChatPrompt* prompt) : path_(path), prompt_(*prompt) {}

  Status Read(const std::string& text) {
    std::istringstream lines(text);
    std::set<std::string> seen;
    bool in_settings = false, in_list = false;
    std::vector<std::string>* list = nullptr;
    int number = 2;
    for (std::string line; std::getline(lines, line); ++number) {
      const std::optional<HeadLine> head = ReadHeadLine(line);
      if (!head || (head->indented && !in_settings)) return NotUnderstood(number);
      if (head->key.empty()) {
        if (head->texts.empty()) continue;
        if (!in_list) return NotUnderstood(number);
        list->insert(list->end(), head->texts.begin(), head->texts.end());
        continue;
      }
      list = head->indented ? ListOf(head->key) : nullptr;
      in_list = list != nullptr && head->texts.empty() && !head->is_list;
      in_settings = head->indented || head->key == "settings";
      const std::string name(head->indented ? SamplerOptionName(head->key) : head->key);
      if (!seen.insert((head->indented ? " " : "") + name).second) {
        return Invalid(path_, "\"" + head->key + "\" is there twice.");
      }
      if (Status status = head->indented ? ReadSetting(*head) : ReadKey(*head); !status.ok()) return status;
    }
    if (seen.empty()) return NotUnderstood(number);
    if (Status status = CheckLists(seen); !status.ok()) return status;
    if (prompt_.name != path_.stem().string()) {
      return Invalid(path_, "\"name\" must be the file's name without .md, which is \"" + path_.stem().string() +
                                "\", but is \"" + prompt_.name + "\".");
    }
    return prompt_.description.empty() ? Invalid(path_, "\"description\" is missing.") : Status();
  }

 private:
  Status NotUnderstood(int line) const {
    return Invalid(path_, "line " + std::to_string(line) +
                              ": the front matter must have lines \"key: value\", indented only below \"settings:\", "
                              "where a value is a text or a list [of, texts]; texts with signs that mean something in "
                              "YAML go in quotes.");
  }

  // Settings of which there may be several.
  std::vector<std::string>* ListOf(std::string_view key) {
    if (key == "stop") return &prompt_.settings.stop;
    return key == "var" ? &prompt_.settings.variables : nullptr;
  }

  Status CheckLists(const std::set<std::string>& seen) {
    for (const char* const key : {"stop", "var"}) {
      const std::vector<std::string>& texts = *ListOf(key);
      if (seen.contains(std::string(" ") + key) && (texts.empty() || std::ranges::count(texts, "") > 0)) {
        return Invalid(path_, std::string("\"") + key + "\" must be a text or a list of texts.");
      }
    }
    for (std::string& stop : prompt_.settings.stop) stop = Unescaped(stop);
    const Result<std::string> variables = SetVariables("", prompt_.settings.variables);
    return variables.ok() ? Status() : Invalid(path_, "setting \"var\": " + variables.status().message());
  }

  Status ReadKey(const HeadLine& head) {
    if (head.key == "name") return ReadText(head, &prompt_.name);
    if (head.key == "description") return ReadText(head, &prompt_.description);
    if (head.key != "settings") {
      return Invalid(path_, "the key \"" + head.key + "\" is not known; there are name, description and settings.");
    }
    return head.texts.empty() ? Status() : Invalid(path_, "\"settings\" must be \"key: value\" lines.");
  }

  Status ReadText(const HeadLine& head, std::string* text) const {
    if (head.is_list || head.texts.empty() || head.texts[0].empty()) {
      return Invalid(path_, "\"" + head.key + "\" must be a text.");
    }
    *text = head.texts[0];
    return {};
  }

  Status ReadSetting(const HeadLine& head) {
    PromptSettings& settings = prompt_.settings;
    if (std::vector<std::string>* const list = ListOf(head.key)) {
      *list = head.texts;
      return {};
    }
    std::string text;
    if (Status status = ReadText(head, &text); !status.ok()) return status;
    if (head.key == "interactive") {
      if (text != "true" && text != "false") return Invalid(path_, "\"interactive\" must be true or false.");
      settings.interactive = text == "true";
      return {};
    }
    if (head.key == "max-tokens") {
      std::int32_t count = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
      if (error != std::errc() || end != text.data() + text.size() || count < 1) {
        return Invalid(path_, "\"max-tokens\" must be a number above 0, but is \"" + text + "\".");
      }
      settings.max_tokens = count;
      return {};
    }
    SamplerOptions scratch;
    const Status status = SetSamplerOption(head.key, text, &scratch);
    if (!status.ok()) {
      return Invalid(path_,
                     "setting \"" + head.key + "\": " + status.message() +
                         " There are the sampling options by their names on the command line without \"--\", and "
                         "max-tokens, stop, var and interactive.");
    }
    settings.sampling.push_back({.name = std::string(SamplerOptionName(head.key)), .value = text});
    return {};
  }

  const fs::path& path_;
  ChatPrompt& prompt_;
};

// What is below a heading.
struct Section {
  Role role = Role::kUser;
  std::string text;
};

std::optional<Role> HeadingRole(std::string_view line) {
  while (line.ends_with(' ')) line.remove_suffix(1);
  if (line == "# System") return Role::kSystem;
  if (line == "# User") return Role::kUser;
  if (line == "# Assistant") return Role::kAssistant;
  return std::nullopt;
}

Result<std::vector<Section>> CutSections(std::string_view body, const fs::path& path) {
  std::vector<Section> sections;
  std::string before;
  while (!body.empty()) {
    const std::size_t size = std::min(body.find('\n'), body.size() - 1) + 1;
    const std::string_view line = body.substr(0, size);
    body.remove_prefix(size);
    if (const std::optional<Role> role = HeadingRole(Trim(line))) {
      sections.push_back({.role = *role, .text = ""});
    } else {
      (sections.empty() ? before : sections.back().text) += line;
    }
  }
  for (Section& section : sections) section.text = Trim(section.text);
  before = Trim(before);
  if (sections.empty()) return std::vector<Section>{{.role = Role::kUser, .text = before}};
  if (!before.empty())
    return Invalid(path, "there is text before the first heading: \"" + before.substr(0, 60) + "\".");
  return sections;
}

// A system text, pairs of user and assistant, and a last user.
Status CheckSections(const std::vector<Section>& sections, const fs::path& path) {
  const std::size_t first = sections[0].role == Role::kSystem ? 1 : 0;
  for (std::size_t i = first; i < sections.size(); ++i) {
    const Role expected = (i - first) % 2 == 0 ? Role::kUser : Role::kAssistant;
    if (sections[i].role != expected) {
      return Invalid(path, "section " + std::to_string(i + 1) + " must be \"# " +
                               (expected == Role::kUser ? "User" : "Assistant") +
                               "\": one \"# System\" may come first, then users and assistants in turn.");
    }
  }
  if ((sections.size() - first) % 2 == 0) return Invalid(path, "the last section must be \"# User\".");
  for (const Section& section : sections) {
    if (section.text.empty()) return Invalid(path, "a section is empty.");
    const bool last = &section == &sections.back();
    const std::size_t place = section.text.find(kPlace);
    if (place != std::string::npos && (!last || section.text.find(kPlace, place + 1) != std::string::npos)) {
      return Invalid(path, "{{text}} may be there once, in the last section.");
    }
  }
  return {};
}

Status ReadBody(std::string_view body, const fs::path& path, ChatPrompt* prompt) {
  const Result<std::vector<Section>> sections = CutSections(body, path);
  if (!sections.ok()) return sections.status();
  if (Status status = CheckSections(*sections, path); !status.ok()) return status;
  for (const Section& section : *sections) {
    if (&section == &sections->back()) break;
    if (section.role == Role::kSystem) {
      prompt->system = section.text;
    } else {
      prompt->examples.push_back({.role = section.role, .content = section.text});
    }
  }
  const std::string& user = sections->back().text;
  const std::size_t place = user.find(kPlace);
  prompt->has_place = place != std::string::npos;
  prompt->before = place == std::string::npos ? user + "\n\n" : user.substr(0, place);
  prompt->after = place == std::string::npos ? "" : user.substr(place + kPlace.size());
  return {};
}

std::string Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string NamesOf(const std::vector<ChatPrompt>& prompts) {
  std::string names;
  for (const ChatPrompt& prompt : prompts) names += (names.empty() ? "" : ", ") + prompt.name;
  return names.empty() ? "none" : names;
}

Result<ChatPrompt> ReadPromptFile(const fs::path& path) {
  const Result<std::string> contents = ReadTextFile(path.string());
  if (!contents.ok()) return contents.status();
  return ParsePrompt(*contents, path);
}

}  // namespace

Result<ChatPrompt> ParsePrompt(std::string_view contents, const fs::path& path) {
  const Result<Contents> cut = CutFrontMatter(contents, path);
  if (!cut.ok()) return cut.status();
  ChatPrompt prompt;
  prompt.path = path;
  if (Status status = FrontMatter(path, &prompt).Read(cut->front); !status.ok()) return status;
  if (Status status = ReadBody(cut->body, path, &prompt); !status.ok()) return status;
  return prompt;
}

std::vector<Message> PromptMessages(const ChatPrompt& prompt, std::string_view text) {
  std::vector<Message> messages;
  if (!prompt.system.empty()) messages.push_back({.role = Role::kSystem, .content = prompt.system});
  messages.insert(messages.end(), prompt.examples.begin(), prompt.examples.end());
  text = Trim(text);
  const std::string user = text.empty() ? JoinBlocks({prompt.before, std::string(Trim(prompt.after))})
                                        : prompt.before + std::string(text) + prompt.after;
  messages.push_back({.role = Role::kUser, .content = std::string(Trim(user))});
  return messages;
}

std::vector<fs::path> PromptFolders() {
  std::vector<fs::path> folders;
  const fs::path config = Environment("XDG_CONFIG_HOME");
  const std::string home = Environment("HOME");
  if (config.is_absolute()) {  // others don't count, by the standard of these folders
    folders.push_back(config / "slm-chat" / "prompts");
  } else if (!home.empty()) {
    folders.push_back(fs::path(home) / ".config" / "slm-chat" / "prompts");
  }
  if (const std::string shipped = Environment("SLM_PROMPTS"); !shipped.empty()) {
    folders.emplace_back(shipped);
    return folders;
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(program.parent_path().parent_path() / "share" / "slm-chat" / "prompts");
  return folders;
}

Result<ChatPrompt> FindPrompt(const std::string& name, const std::vector<fs::path>& folders) {
  if (name.ends_with(".md")) return ReadPromptFile(name);
  const bool plain = !name.empty() && name.find('/') == std::string::npos;
  for (const fs::path& folder : folders) {
    const fs::path path = folder / (name + ".md");
    std::error_code ignored;  // a folder that can't be read has no prompts
    if (plain && fs::exists(path, ignored)) return ReadPromptFile(path);
  }
  std::string message = "There is no prompt \"" + name + "\". There are: ";
  std::vector<Status> problems;
  message += NamesOf(ListPrompts(folders, &problems)) + ". Prompts are files NAME.md in";
  for (const fs::path& folder : folders) message += (&folder == &folders[0] ? " " : " or ") + folder.string();
  return Status(StatusCode::kNotFound, message + "; a path that ends in .md may be given instead of a name.");
}

std::vector<ChatPrompt> ListPrompts(const std::vector<fs::path>& folders, std::vector<Status>* problems) {
  std::map<std::string, ChatPrompt> prompts;
  std::set<std::string> seen;
  for (const fs::path& folder : folders) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const fs::path& path = it->path();
      if (path.extension() != ".md" || !fs::is_regular_file(path, error) || !seen.insert(path.stem().string()).second) {
        continue;
      }
      Result<ChatPrompt> prompt = ReadPromptFile(path);
      if (prompt.ok()) {
        const std::string name = prompt->name;
        prompts.emplace(name, *std::move(prompt));
      } else {
        problems->push_back(prompt.status());
      }
    }
  }
  std::vector<ChatPrompt> sorted;
  for (auto& [name, prompt] : prompts) sorted.push_back(std::move(prompt));
  return sorted;
}

}  // namespace slm::tools
