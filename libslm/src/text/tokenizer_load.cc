#include "text/tokenizer_load.h"

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "file/escape.h"
#include "text/merge_table.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_backend.h"
#include "text/tokenizer_bpe.h"
#include "text/tokenizer_spm.h"
#include "text/turn_markers.h"
#include "text/vocabulary.h"

namespace slm {

namespace {

template <typename Rows, typename NameOf>
std::string ListNames(const Rows& rows, const NameOf& name_of) {
  std::string list;
  for (const auto& row : rows) list += Cat(list.empty() ? "" : ", ", name_of(row));
  return list;
}

// Reads single tokenizer.ggml.* keys; a failure is kept and makes the later calls return nothing.
class KeyReader {
 public:
  KeyReader(const GgufFile& file, const Vocabulary& vocabulary, const LogCallback& log)
      : file_(file), vocabulary_(vocabulary), log_(log) {}

  const Status& status() const { return status_; }
  bool Has(std::string_view name) const { return file_.Find(Key(name)) != nullptr; }

  std::string_view String(std::string_view name) {
    return Read(name, "a string", [](const GgufValue& value) { return value.AsString(); }).value_or("");
  }
  bool Bool(std::string_view name, bool otherwise) {
    return Read(name, "a bool", [](const GgufValue& value) { return value.AsBool(); }).value_or(otherwise);
  }
  // Nothing if the key is absent or its value is outside the vocabulary.
  std::optional<Token> Id(std::string_view name) {
    const auto id = Read(name, "an integer", [](const GgufValue& value) { return value.AsInt(); });
    if (!id) return std::nullopt;
    if (*id >= 0 && *id < vocabulary_.size()) return static_cast<Token>(*id);
    Warn(Cat(Key(name), " is ", *id, ", outside the vocabulary of ", vocabulary_.size(), " tokens; it is ignored."));
    return std::nullopt;
  }
  // The default holds for files without the key, unless they say that the token is an ordinary one.
  std::optional<Token> Id(std::string_view name, std::optional<Token> otherwise) {
    if (Has(name)) return Id(name);
    if (!otherwise || !vocabulary_.Contains(*otherwise)) return std::nullopt;
    const TokenKind kind = vocabulary_.Kind(*otherwise);
    const bool suits = !vocabulary_.has_kinds() || kind == TokenKind::kControl || kind == TokenKind::kUnknown;
    return suits ? otherwise : std::nullopt;
  }

  void Warn(const std::string& message) const {
    if (log_) log_(LogLevel::kWarning, message);
  }

 private:
  static std::string Key(std::string_view name) { return Cat("tokenizer.ggml.", name); }

  template <typename Convert>
  auto Read(std::string_view name, std::string_view wanted, const Convert& convert)
      -> decltype(convert(std::declval<const GgufValue&>())) {
    const GgufValue* value = file_.Find(Key(name));
    if (value == nullptr || !status_.ok()) return std::nullopt;
    auto result = convert(*value);
    if (!result) {
      status_ = {StatusCode::kCorruptFile,
                 Cat("The metadata key ", Key(name), " must be ", wanted, ", but is of type ", value->TypeName(), ".")};
    }
    return result;
  }

  const GgufFile& file_;
  const Vocabulary& vocabulary_;
  const LogCallback& log_;
  Status status_;
};

// The known ends, those of the file, and what never is part of an answer.
std::vector<Token> FindEndOfGeneration(const Vocabulary& vocabulary, std::span<const Token> end_ids, KeyReader& keys) {
  std::vector<Token> tokens = FindEnds(vocabulary);
  tokens.insert(tokens.end(), end_ids.begin(), end_ids.end());
  for (const std::string_view key : {"fim_pad_token_id", "fim_rep_token_id", "fim_sep_token_id"}) {
    if (const std::optional<Token> token = keys.Id(key)) tokens.push_back(*token);
  }
  std::ranges::sort(tokens);
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

// What ends a text, a turn or a message, by the keys that say so.
std::vector<Token> EndIds(const TokenizerConfig& config, KeyReader& keys) {
  std::vector<Token> ids;
  for (const std::optional<Token> id : {config.eos, keys.Id("eot_token_id"), keys.Id("eom_token_id")}) {
    if (id) ids.push_back(*id);
  }
  return ids;
}

std::string_view ChatTemplateOf(const GgufFile& file) {
  const GgufValue* const value = file.Find("tokenizer.chat_template");
  return value != nullptr ? value->AsString().value_or("") : "";
}

// They are looked for in every text, by an automaton that takes some forty bytes for each of theirs.
Status CheckSpecials(const Vocabulary& vocabulary) {
  constexpr std::size_t kMostBytes = 8 << 20;  // a quarter of a million of reserved tokens have half of it
  std::size_t bytes = 0;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    if (IsSpecial(vocabulary.Kind(token))) bytes += vocabulary.Text(token).size();
  }
  if (bytes <= kMostBytes) return {};
  return {StatusCode::kCorruptFile, Cat("The special tokens of tokenizer.ggml.tokens are ", bytes,
                                        " bytes long together; expected at most ", kMostBytes, ".")};
}

void LogEndOfGeneration(const TokenizerConfig& config, const Vocabulary& vocabulary, const LogCallback& log) {
  if (!log) return;
  if (config.end_of_generation.empty()) {
    log(LogLevel::kInfo, "The model file has no token that is known to end generation.");
    return;
  }
  const auto name = [&](Token token) { return Cat(token, " ", Quoted(vocabulary.Text(token))); };
  log(LogLevel::kInfo, Cat("Generation ends at the tokens: ", ListNames(config.end_of_generation, name), "."));
}

Status CannotEncode(std::string_view reason) {
  return {StatusCode::kUnsupported, Cat("Text can't be encoded: the model file ", reason, ".")};
}

void WarnOfOddSpm(const TokenizerQuirks& quirks, const Vocabulary& vocabulary, const KeyReader& keys) {
  bool equal = vocabulary.has_scores() && vocabulary.size() > 1;
  for (Token token = 1; token < vocabulary.size() && equal; ++token) {
    equal = vocabulary.Score(token) == vocabulary.Score(0);
  }
  if (equal) {
    keys.Warn(
        "All entries of tokenizer.ggml.scores are equal, so that text will not be encoded as the model was trained; "
        "the file was converted without its SentencePiece model.");
  }
  if (quirks.expects_no_space_prefix && !keys.Has("add_space_prefix")) {
    keys.Warn(
        "The file lacks tokenizer.ggml.add_space_prefix, which files of its architecture have as false; without it "
        "every text is encoded with a space before it.");
  }
}

using Backend = std::unique_ptr<const TokenizerBackend>;

struct Source {
  const GgufFile& file;
  const TokenizerQuirks& quirks;
  const LogCallback& log;
};

Result<Backend> LoadSpm(const Source& source, Vocabulary vocabulary, TokenizerConfig config) {
  KeyReader keys(source.file, vocabulary, source.log);
  config.add_space_prefix = keys.Bool("add_space_prefix", true);
  SLM_RETURN_IF_ERROR(keys.status());
  if (config.encoding.ok() && !vocabulary.has_scores()) {
    config.encoding = CannotEncode("has no scores (tokenizer.ggml.scores)");
  }
  config.strips_after_special = source.quirks.strips_after_special;
  WarnOfOddSpm(source.quirks, vocabulary, keys);
  return Backend(std::make_unique<SpmTokenizer>(std::move(vocabulary), std::move(config), std::nullopt));
}

// Reads tokenizer.ggml.merges. A file without them can't encode; says so in config.encoding.
Result<MergeTable> LoadMerges(const Source& source, const Vocabulary& vocabulary, TokenizerConfig& config) {
  if (const GgufValue* merges = source.file.Find("tokenizer.ggml.merges"))
    return MergeTable::Load(*merges, vocabulary, source.log);
  if (config.encoding.ok()) config.encoding = CannotEncode("has no merges (tokenizer.ggml.merges)");
  return MergeTable();
}

Result<Backend> LoadGemma4(const Source& source, Vocabulary vocabulary, TokenizerConfig config) {
  KeyReader keys(source.file, vocabulary, source.log);
  config.add_space_prefix = keys.Bool("add_space_prefix", false);
  SLM_RETURN_IF_ERROR(keys.status());
  if (!config.add_bos) {
    keys.Warn(
        "tokenizer.ggml.add_bos_token is false, but Gemma 4 answers well only to texts that begin with BOS; it is "
        "added all the same.");
  }
  config.add_bos = true;
  SLM_ASSIGN_OR_RETURN(MergeTable merges, LoadMerges(source, vocabulary, config));
  return Backend(std::make_unique<SpmTokenizer>(std::move(vocabulary), std::move(config), std::move(merges)));
}

Result<Backend> LoadBpe(const Source& source, Vocabulary vocabulary, TokenizerConfig config) {
  KeyReader keys(source.file, vocabulary, source.log);
  if (!keys.Has("pre")) {
    keys.Warn(
        "The file does not name its pre-tokenizer (tokenizer.ggml.pre); \"default\" is taken, which may not be the one "
        "the model was trained with.");
  }
  config.pre_tokenizer = keys.Has("pre") ? keys.String("pre") : "default";
  SLM_RETURN_IF_ERROR(keys.status());
  const PreTokenizer* pre_tokenizer = FindPreTokenizer(config.pre_tokenizer);
  if (pre_tokenizer != nullptr && !keys.Has("add_bos_token")) config.add_bos = pre_tokenizer->add_bos;

  if (config.encoding.ok() && pre_tokenizer == nullptr) {
    config.encoding = CannotEncode(
        Cat("wants the pre-tokenizer ", Quoted(config.pre_tokenizer), ", which this library does not know; it knows ",
            ListNames(AllPreTokenizers(), [](const PreTokenizer& row) { return row.name; })));
  }
  SLM_ASSIGN_OR_RETURN(MergeTable merges, LoadMerges(source, vocabulary, config));
  return Backend(
      std::make_unique<BpeTokenizer>(std::move(vocabulary), std::move(config), std::move(merges), pre_tokenizer));
}

// A kind of tokenizer, by its name in tokenizer.ggml.model, and the values of keys a file may leave out.
struct Kind {
  std::string_view name;
  Result<Backend> (*load)(const Source& source, Vocabulary vocabulary, TokenizerConfig config);
  bool add_bos;
  SpecialIds special = {};
  bool guards_marks = false;  // TokenizerConfig's: its files have marks of turns as user-defined tokens
};
constexpr Kind kKinds[] = {
    {.name = "llama", .load = LoadSpm, .add_bos = true, .special = {.bos = 1, .eos = 2, .unknown = 0}},
    {.name = "gpt2", .load = LoadBpe, .add_bos = false, .special = {.bos = 11, .eos = 11}},
    {.name = "gemma4", .load = LoadGemma4, .add_bos = true, .guards_marks = true},
};

// The backend of files whose kind is not in the table: token texts as they are.
class UnknownTokenizer : public TokenizerBackend {
 public:
  using TokenizerBackend::TokenizerBackend;
  std::size_t EncodeText(std::string_view, bool, std::vector<Token>&) const override { return 0; }
  void AppendBytes(std::string_view stored, std::string& out) const override { out += stored; }
};

Result<Backend> LoadUnknown(const Source&, Vocabulary vocabulary, TokenizerConfig config) {
  config.encoding =
      CannotEncode(config.kind.empty() ? "does not name its tokenizer (tokenizer.ggml.model)"
                                       : Cat("has a tokenizer of the kind ", Quoted(config.kind),
                                             ", which this library does not know; it knows ",
                                             ListNames(kKinds, [](const Kind& row) { return row.name; })));
  return Backend(std::make_unique<UnknownTokenizer>(std::move(vocabulary), std::move(config)));
}
constexpr Kind kUnknownKind = {.name = "", .load = LoadUnknown, .add_bos = false};

}  // namespace

Result<Tokenizer> LoadTokenizer(const GgufFile& file, const TokenizerQuirks& quirks, std::int64_t vocab_rows,
                                const LogCallback& log) {
  SLM_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::Load(file, vocab_rows, log));
  KeyReader keys(file, vocabulary, log);
  TokenizerConfig config;
  config.kind = keys.String("model");
  const auto* row = std::ranges::find(kKinds, config.kind, &Kind::name);
  const Kind& kind = row != std::end(kKinds) ? *row : kUnknownKind;
  const SpecialIds special = quirks.special.value_or(kind.special);
  config.bos = keys.Id("bos_token_id", special.bos);
  config.eos = keys.Id("eos_token_id", special.eos);
  config.unknown = keys.Id("unknown_token_id", special.unknown);
  config.add_bos = keys.Bool("add_bos_token", kind.add_bos);
  config.add_eos = keys.Bool("add_eos_token", false);
  SLM_RETURN_IF_ERROR(CheckSpecials(vocabulary));
  const std::vector<Token> end_ids = EndIds(config, keys);
  std::vector<Token> marker_ids = end_ids;
  if (config.bos) marker_ids.push_back(*config.bos);
  config.guards_marks = kind.guards_marks;
  CorrectMarkers(ChatTemplateOf(file), marker_ids, vocabulary, kind.guards_marks ? LogCallback() : log);
  config.end_of_generation = FindEndOfGeneration(vocabulary, end_ids, keys);
  SLM_RETURN_IF_ERROR(keys.status());
  LogEndOfGeneration(config, vocabulary, log);
  if (!vocabulary.has_texts()) config.encoding = CannotEncode("has no vocabulary (tokenizer.ggml.tokens)");

  SLM_ASSIGN_OR_RETURN(Backend backend, kind.load({file, quirks, log}, std::move(vocabulary), std::move(config)));
  return Internal::Make<Tokenizer>(std::move(backend));
}

}  // namespace slm
