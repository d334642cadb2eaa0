#include "base/utf8.h"

#include "slm/tokenizer.h"

namespace slm {

Utf8Char DecodeUtf8(std::string_view text, std::size_t position) {
  const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte_at(position);
  if (lead < 0x80) return {lead, 1, Utf8Status::kValid};
  if (lead < 0xC2 || lead > 0xF4) return {kReplacementCharacter, 1, Utf8Status::kInvalid};

  const std::uint32_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code_point = lead & (0xFFu >> (size + 1));
  // The second byte is where overlong forms, surrogates and code points past U+10FFFF are recognised.
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::uint32_t i = 1; i < size; ++i) {
    if (position + i == text.size()) return {kReplacementCharacter, i, Utf8Status::kTruncated};
    const unsigned byte = byte_at(position + i);
    if (byte < low || byte > high) return {kReplacementCharacter, i, Utf8Status::kInvalid};
    code_point = code_point << 6 | (byte & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {code_point, size, Utf8Status::kValid};
}

void AppendUtf8(char32_t code_point, std::string& out) {
  const auto append = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  const auto append_tail = [&](int shift) { append(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    append(code_point);
  } else if (code_point < 0x800) {
    append(0xC0 | code_point >> 6);
    append_tail(0);
  } else if (code_point < 0x10000) {
    append(0xE0 | code_point >> 12);
    append_tail(6);
    append_tail(0);
  } else {
    append(0xF0 | code_point >> 18);
    append_tail(12);
    append_tail(6);
    append_tail(0);
  }
}

std::string Utf8Stream::Push(std::string_view piece) {
  pending_ += piece;
  std::string out;
  std::size_t position = 0;
  while (position < pending_.size()) {
    const Utf8Char c = DecodeUtf8(pending_, position);
    if (c.status == Utf8Status::kTruncated) break;
    AppendUtf8(c.code_point, out);
    position += c.size;
  }
  pending_.erase(0, position);
  return out;
}

std::string Utf8Stream::Flush() {
  std::string out;
  if (!pending_.empty()) AppendUtf8(kReplacementCharacter, out);
  pending_.clear();
  return out;
}

}  // namespace slm
