#include "slm/tokenizer.h"

#include <algorithm>
#include <limits>

#include "base/format.h"
#include "text/tokenizer_backend.h"

namespace slm {

namespace {

// Positions in a text are 32 bits wide, and a text may grow threefold while it is encoded.
constexpr std::size_t kMaxTextBytes = std::numeric_limits<std::int32_t>::max() / 3 - 1;

// The special tokens of Phi-3 that leave what follows as it is.
bool StripsNothing(std::string_view special) {
  return special == "<unk>" || special == "<s>" || special == "<|endoftext|>";
}

std::size_t SpaceEnd(std::string_view text, std::size_t position) {
  return std::min(text.find_first_not_of(" \t\n\v\f\r", position), text.size());
}

void AppendPiece(const TokenizerBackend& backend, Token token, bool render_special, std::string& out) {
  const std::string_view text = backend.vocabulary().Text(token);
  switch (backend.vocabulary().Kind(token)) {
    case TokenKind::kControl:
    case TokenKind::kUnknown:
      if (render_special) out += text;
      return;
    case TokenKind::kUserDefined:
      out += text;
      return;
    case TokenKind::kByte:
      if (const std::optional<unsigned char> byte = ParseByteToken(text)) {
        out.push_back(static_cast<char>(*byte));
        return;
      }
      break;  // not a byte after all: as a normal token
    case TokenKind::kNormal:
    case TokenKind::kUnused:
      break;
  }
  backend.AppendBytes(text, out);
}

}  // namespace

std::optional<unsigned char> ParseByteToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  unsigned value = 0;
  for (const char digit : text.substr(3, 2)) {
    const std::size_t position = std::string_view("0123456789ABCDEF").find(digit);
    if (position == std::string_view::npos) return std::nullopt;
    value = value << 4 | static_cast<unsigned>(position);
  }
  return static_cast<unsigned char>(value);
}

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerBackend> backend) : backend_(std::move(backend)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Result<std::vector<Token>> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  const TokenizerConfig& config = backend_->config();
  if (!config.encoding.ok()) return config.encoding;
  if (text.size() > kMaxTextBytes) {
    return Status(StatusCode::kInvalidArgument, Cat("A text to encode may have at most ", kMaxTextBytes,
                                                    " bytes, but this one has ", text.size(), "."));
  }
  std::vector<Token> out;
  out.reserve(text.size() / 4 + 2);
  if (options.add_special && config.add_bos && config.bos) out.push_back(*config.bos);
  bool begins = options.at_start;
  for (std::size_t position = 0; position < text.size();) {
    const auto special = backend_->specials().Next(text, position, options.parse_special);
    const std::size_t end = special ? special->begin : text.size();
    if (end > position) backend_->EncodeText(text.substr(position, end - position), begins, out);
    if (!special) break;
    out.push_back(special->token);
    begins = true;
    position = end + special->size;
    if (config.strips_after_special && !StripsNothing(Text(special->token))) position = SpaceEnd(text, position);
  }
  if (options.add_special && config.add_eos && config.eos) out.push_back(*config.eos);
  return out;
}

std::string Tokenizer::Decode(std::span<const Token> tokens, bool render_special) const {
  const bool adds_space = backend_->config().add_space_prefix;
  std::string out;
  bool begins = true;
  for (const Token token : tokens) {
    if (!backend_->vocabulary().Contains(token)) continue;
    const std::size_t begin = out.size();
    AppendPiece(*backend_, token, render_special, out);
    const bool special = IsSpecial(Kind(token));
    if (begins && adds_space && !special && begin < out.size() && out[begin] == ' ') out.erase(begin, 1);
    begins = special;
  }
  return out;
}

std::string Tokenizer::Piece(Token token, bool render_special) const {
  std::string out;
  AppendPiece(*backend_, token, render_special, out);
  return out;
}

std::int32_t Tokenizer::vocab_size() const { return backend_->vocabulary().size(); }
std::string_view Tokenizer::Text(Token token) const { return backend_->vocabulary().Text(token); }
TokenKind Tokenizer::Kind(Token token) const { return backend_->vocabulary().Kind(token); }
std::optional<Token> Tokenizer::Find(std::string_view text) const { return backend_->vocabulary().Find(text); }

std::optional<Token> Tokenizer::bos() const { return backend_->config().bos; }
std::optional<Token> Tokenizer::eos() const { return backend_->config().eos; }
bool Tokenizer::adds_bos() const { return backend_->config().add_bos && backend_->config().bos.has_value(); }

bool Tokenizer::IsEndOfGeneration(Token token) const {
  return std::ranges::binary_search(backend_->config().end_of_generation, token);
}
std::span<const Token> Tokenizer::end_of_generation() const { return backend_->config().end_of_generation; }

std::string_view Tokenizer::kind() const { return backend_->config().kind; }
std::string_view Tokenizer::pre_tokenizer() const { return backend_->config().pre_tokenizer; }

}  // namespace slm
