#include "file/foreign_file.h"

#include <algorithm>
#include <cstddef>
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
     "download the file directly"sv},
    {"# xet version"sv, true,
     "a Xet pointer, a stand-in for the model, not the model itself. Download the file directly"sv},
    {"/annex/objects/"sv, true,
     "a git-annex pointer, a stand-in for the model, not the model itself. Run `git annex get` in its repository"sv},
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
    {"\x80\x02"sv, false,
     "a Python pickle, which is how PyTorch stored checkpoints. Convert it to GGUF first, or fetch a GGUF file of the "
     "model"sv},
    {"\x89HDF\r\n\x1a\n"sv, false,
     "an HDF5 checkpoint, as Keras writes them. Convert it to GGUF first, or fetch a GGUF file of the model"sv},
    {"MZqFpD"sv, false, "a llamafile, a program that contains the model. Unzip it to get the GGUF file inside"sv},
    {"BZh"sv, false, "bzip2-compressed. Decompress it first"sv},
    {"\x1f\x8b"sv, false, "gzip-compressed. Decompress it first"sv},
    {"\x28\xb5\x2f\xfd"sv, false, "zstd-compressed. Decompress it first"sv},
    {"\xfd"
     "7zXZ\0"sv,
     false, "xz-compressed. Decompress it first"sv},
    {"7z\xbc\xaf\x27\x1c"sv, false, "a 7z archive. Unpack it first"sv},
    {"FUGG"sv, false,
     "GGUF in the other byte order (big endian), which this library does not read. Fetch a little-endian file"sv},
    {"algg"sv, false,
     "in an old GGML format of LoRA adapters (GGLA), from before GGUF. Fetch a GGUF file of the model"sv},
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

// Something that begins at `offset`, where a magic number of its own is.
bool HasAt(std::string_view bytes, std::size_t offset, std::string_view magic) {
  return bytes.size() > offset && bytes.substr(offset).starts_with(magic);
}

// What a download leaves that reserved its space and has not got its first bytes.
bool BeginsWithZeros(std::string_view bytes) {
  constexpr std::size_t kZeros = 512;
  const std::string_view beginning = bytes.substr(0, kZeros);
  return beginning.size() == kZeros && beginning.find_first_not_of('\0') == std::string_view::npos;
}

// A u64 length, then that many bytes of a JSON object (of a damaged file perhaps fewer).
bool IsSafetensors(std::span<const std::byte> bytes) {
  constexpr std::uint64_t kMostHeaderBytes = 100 << 20;  // as the format has it
  ByteReader in(bytes);
  const auto length = in.Read<std::uint64_t>();
  const auto brace = in.Read<char>();
  return length && brace && *length >= 2 && *length <= kMostHeaderBytes && *brace == '{';
}

}  // namespace

Status DescribeForeignFile(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto refuse = [](std::string_view what) {
    return Status(StatusCode::kUnsupported, Cat("not a GGUF file: it is ", what, "."));
  };
  if (IsSafetensors(bytes))
    return refuse("a safetensors checkpoint. Convert it to GGUF first, or fetch a GGUF file of the model");
  if (HasAt(text, 257, "ustar")) return refuse("a tar archive. Unpack it first");
  if (HasAt(text, 4, "TFL3")) return refuse("a TensorFlow Lite model. Fetch a GGUF file of the model");
  if (BeginsWithZeros(text))
    return refuse("empty space, zeros where a download has not got yet. Let it finish, or fetch the file again");
  for (const Signature& signature : kSignatures) {
    if (Matches(signature, text)) return refuse(signature.what);
  }
  return Status(StatusCode::kUnsupported, Cat("not a GGUF file: it begins with ", Quoted(text.substr(0, 16)),
                                              " where \"GGUF\" is expected. Check that this is the model file."));
}

}  // namespace slm
