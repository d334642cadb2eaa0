#include "slm/tokenizer.h"

#include <algorithm>
#include <limits>

#include "base/format.h"
#include "base/status_macros.h"
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

// Whether white space after this special token is no part of the text.
bool StripsAfter(const TokenizerBackend& backend, Token special) {
  return backend.config().strips_after_special && !StripsNothing(backend.vocabulary().Text(special));
}

Status CheckEncodable(const TokenizerConfig& config, std::size_t bytes) {
  if (!config.encoding.ok()) return config.encoding;
  if (bytes <= kMaxTextBytes) return {};
  return {StatusCode::kInvalidArgument,
          Cat("A text to encode may have at most ", kMaxTextBytes, " bytes, but this one has ", bytes, ".")};
}

// Fails where the vocabulary can't spell the text, rather than lose a part of it.
Status AppendText(const TokenizerBackend& backend, std::string_view text, bool begins, bool parse_special,
                  std::vector<Token>& out) {
  std::size_t lost = 0;
  SpecialMatcher::Matches specials = backend.specials().Find(text, parse_special);
  for (std::size_t position = 0; position < text.size();) {
    const std::optional<SpecialMatcher::Match> special = specials.Next(position);
    const std::size_t end = special ? special->begin : text.size();
    if (end > position) lost += backend.EncodeText(text.substr(position, end - position), begins, out);
    if (!special) break;
    out.push_back(special->token);
    begins = true;
    position = end + special->size;
    if (StripsAfter(backend, special->token)) position = SpaceEnd(text, position);
  }
  if (lost == 0) return {};
  return {StatusCode::kInvalidArgument,
          Cat("The model's vocabulary can't spell the text: ", lost,
              " of its bytes have no token, and there is no unknown token to stand for them.")};
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

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Result<std::vector<Token>> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const try {
  const TokenizerConfig& config = impl_->config();
  SLM_RETURN_IF_ERROR(CheckEncodable(config, text.size()));
  std::vector<Token> out;
  out.reserve(text.size() / 4 + 2);
  if (options.add_special && config.add_bos && config.bos) out.push_back(*config.bos);
  SLM_RETURN_IF_ERROR(AppendText(*impl_, text, options.at_start, options.parse_special, out));
  if (options.add_special && options.at_end && config.add_eos && config.eos) out.push_back(*config.eos);
  return out;
}
SLM_CATCH_OUT_OF_MEMORY

Result<std::vector<Token>> Tokenizer::EncodeParts(std::span<const TextPart> parts) const try {
  std::size_t size = 0;
  for (const TextPart& part : parts) size += part.text.size();
  SLM_RETURN_IF_ERROR(CheckEncodable(impl_->config(), size));
  std::vector<Token> out;
  out.reserve(size / 4 + 2);
  std::string stretch;  // text since the last control token
  bool begins = true;
  const auto end_stretch = [&] {
    const bool has_space = impl_->config().add_space_prefix && stretch.starts_with(' ');
    Status status = AppendText(*impl_, stretch, begins && !has_space, false, out);
    stretch.clear();
    return status;
  };
  bool strips = false;
  const auto append = [&](std::string_view text) {
    if (strips) text.remove_prefix(SpaceEnd(text, 0));
    strips = strips && text.empty();
    stretch += text;
  };
  for (const TextPart& part : parts) {
    if (!part.tokens.empty()) {
      SLM_RETURN_IF_ERROR(end_stretch());
      out.insert(out.end(), part.tokens.begin(), part.tokens.end());
      begins = strips = false;
      continue;
    }
    std::size_t position = 0;
    SpecialMatcher::Matches specials = impl_->specials().Find(part.markup ? std::string_view(part.text) : "", true);
    for (std::size_t from = 0; const std::optional<SpecialMatcher::Match> special = specials.Next(from);) {
      from = special->begin + special->size;
      if (special->always) continue;  // found again where the stretch is encoded
      append(std::string_view(part.text).substr(position, special->begin - position));
      SLM_RETURN_IF_ERROR(end_stretch());
      out.push_back(special->token);
      begins = true;
      strips = StripsAfter(*impl_, special->token);
      position = from;
    }
    append(std::string_view(part.text).substr(position));
  }
  SLM_RETURN_IF_ERROR(end_stretch());
  return out;
}
SLM_CATCH_OUT_OF_MEMORY

std::string Tokenizer::Decode(std::span<const Token> tokens, bool render_special) const {
  const bool adds_space = impl_->config().add_space_prefix;
  std::string out;
  bool begins = true;
  for (const Token token : tokens) {
    if (!impl_->vocabulary().Contains(token)) continue;
    const std::size_t begin = out.size();
    AppendPiece(*impl_, token, render_special, out);
    const bool special = IsSpecial(Kind(token));
    if (begins && adds_space && !special && begin < out.size() && out[begin] == ' ') out.erase(begin, 1);
    begins = special;
  }
  return out;
}

std::string Tokenizer::Piece(Token token, bool render_special) const {
  std::string out;
  AppendPiece(*impl_, token, render_special, out);
  return out;
}

std::int32_t Tokenizer::vocab_size() const { return impl_->vocabulary().size(); }
std::string_view Tokenizer::Text(Token token) const { return impl_->vocabulary().Text(token); }
TokenKind Tokenizer::Kind(Token token) const { return impl_->vocabulary().Kind(token); }
std::optional<Token> Tokenizer::Find(std::string_view text) const { return impl_->vocabulary().Find(text); }

std::optional<Token> Tokenizer::bos() const { return impl_->config().bos; }
std::optional<Token> Tokenizer::eos() const { return impl_->config().eos; }
bool Tokenizer::adds_bos() const { return impl_->config().add_bos && impl_->config().bos.has_value(); }

bool Tokenizer::adds_space() const { return impl_->config().add_space_prefix; }

bool Tokenizer::IsEndOfGeneration(Token token) const {
  return std::ranges::binary_search(impl_->config().end_of_generation, token);
}
std::span<const Token> Tokenizer::end_of_generation() const { return impl_->config().end_of_generation; }

std::string_view Tokenizer::kind() const { return impl_->config().kind; }
std::string_view Tokenizer::pre_tokenizer() const { return impl_->config().pre_tokenizer; }

}  // namespace slm
