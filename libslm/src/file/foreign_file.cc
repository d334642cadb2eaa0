#include "file/foreign_file.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/format.h"
#include "file/byte_reader.h"
#include "file/escape.h"

namespace slm {
namespace {

using std::string_view_literals::operator""sv;

struct Signature {
  std::string_view beginning;  // lower case for text
  bool text;                   // compared without regard to case, after white space and a byte order mark
  std::string_view what;       // "the file is ..."
};

constexpr Signature kSignatures[] = {
    {"version https://git-lfs"sv, true,
     "a Git-LFS pointer, a stand-in for the model, not the model itself. Run `git lfs pull` in its repository, or "
     "download "
     "the file directly"sv},
    {"<!doctype"sv, true, "an HTML page, not a model. Download the file itself, not the page that describes it"sv},
    {"<html"sv, true, "an HTML page, not a model. Download the file itself, not the page that describes it"sv},
    {"<?xml"sv, true,
     "an XML document, which is how some servers answer when they refuse a download. Look inside, and "
     "download the model again"sv},
    {"{"sv, true,
     "JSON text: a configuration file, or a server's answer when it refused a download. Name the .gguf file, or "
     "download it again"sv},
    {"PK\x03\x04"sv, false,
     "a zip archive, which is also how PyTorch stores checkpoints. Unpack or convert it to GGUF first"sv},
    {"\x1f\x8b"sv, false, "gzip-compressed. Decompress it first"sv},
    {"\x28\xb5\x2f\xfd"sv, false, "zstd-compressed. Decompress it first"sv},
    {"\xfd"
     "7zXZ\0"sv,
     false, "xz-compressed. Decompress it first"sv},
    {"7z\xbc\xaf\x27\x1c"sv, false, "a 7z archive. Unpack it first"sv},
    {"FUGG"sv, false,
     "GGUF in the other byte order (big endian), which this library does not read. Fetch a little-endian file"sv},
    {"lmgg"sv, false, "in an old GGML format, from before GGUF. Fetch a GGUF file of the model"sv},
    {"fmgg"sv, false, "in an old GGML format (GGMF), from before GGUF. Fetch a GGUF file of the model"sv},
    {"tjgg"sv, false, "in an old GGML format (GGJT), from before GGUF. Fetch a GGUF file of the model"sv},
};

std::string_view SkipBlank(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text;
}

char AsciiLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool Matches(const Signature& signature, std::string_view bytes) {
  if (!signature.text) return bytes.starts_with(signature.beginning);
  const std::string_view text = SkipBlank(bytes).substr(0, signature.beginning.size());
  return std::ranges::equal(text, signature.beginning, {}, AsciiLower);
}

// A u64 length, then that many bytes of a JSON object.
bool IsSafetensors(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  const auto length = in.Read<std::uint64_t>();
  const auto brace = in.Read<char>();
  return length && brace && *length >= 2 && *length <= bytes.size() - sizeof(*length) && *brace == '{';
}

}  // namespace

Status DescribeForeignFile(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto refuse = [](std::string_view what) {
    return Status(StatusCode::kUnsupported, Cat("not a GGUF file: it is ", what, "."));
  };
  if (IsSafetensors(bytes))
    return refuse("a safetensors checkpoint. Convert it to GGUF first, or fetch a GGUF file of the model");
  for (const Signature& signature : kSignatures) {
    if (Matches(signature, text)) return refuse(signature.what);
  }
  return Status(StatusCode::kUnsupported, Cat("not a GGUF file: it begins with ", Quoted(text.substr(0, 16)),
                                              " where \"GGUF\" is expected. Check that this is the model file."));
}

}  // namespace slm
