#include "session/session_file.h"

#include <algorithm>
#include <cstring>
#include <ios>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/checksum.h"
#include "base/format.h"
#include "base/status_macros.h"
#include "file/atomic_file.h"
#include "file/escape.h"
#include "file/gguf_fingerprint.h"
#include "forward/cache_cell.h"

namespace slm {

namespace {

constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);

std::string Hex(std::uint64_t number) { return Cat("0x", std::hex, number); }

template <typename T>
std::span<const std::byte> BytesOf(const T& value) {
  static_assert(std::has_unique_object_representations_v<T>, "padding would be written");
  return std::as_bytes(std::span(&value, 1));
}

template <typename T>
std::optional<T> ReadStruct(ByteReader& in) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto bytes = in.Take(sizeof(T));
  if (!bytes) return std::nullopt;
  T value;
  std::memcpy(&value, bytes->data(), sizeof value);
  return value;
}

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

SessionFileLayer Describe(const KvCache::Layer& layer) {
  return {static_cast<std::uint32_t>(layer.heads), static_cast<std::uint32_t>(layer.key_bytes),
          static_cast<std::uint32_t>(layer.value_bytes)};
}

class Writer {
 public:
  explicit Writer(AtomicFile file) : file_(std::move(file)) {}

  Status Write(std::span<const std::byte> bytes) {
    hash_.Update(bytes);
    return file_.Write(bytes);
  }
  Status WriteChecksumAndCommit() {
    SLM_RETURN_IF_ERROR(file_.Write(BytesOf(hash_.Digest())));
    return file_.Commit();
  }

  // Positions first..end - 1 of one head, keys or values.
  Status WriteCells(const KvCache::Layer& layer, const std::byte* cells, std::int64_t cell_bytes, std::int64_t first,
                    std::int64_t end) {
    Status status;
    layer.ForEachRun(first, end, [&](std::int64_t cell, std::int64_t count) {
      if (status.ok()) status = Write({cells + cell * cell_bytes, static_cast<std::size_t>(count * cell_bytes)});
    });
    return status;
  }

  Status WriteLayer(const KvCache::Layer& layer, std::int64_t first, std::int64_t end) {
    SLM_RETURN_IF_ERROR(Write(BytesOf(Describe(layer))));
    for (std::int64_t head = 0; head < layer.heads; ++head)
      SLM_RETURN_IF_ERROR(WriteCells(layer, layer.Key(head, 0), layer.key_bytes, first, end));
    for (std::int64_t head = 0; head < layer.heads; ++head)
      SLM_RETURN_IF_ERROR(WriteCells(layer, layer.Value(head, 0), layer.value_bytes, first, end));
    return {};
  }

 private:
  AtomicFile file_;
  Checksum hash_;
};

// All that is known before anything is written.
SessionFileHeader MakeHeader(const ModelImpl& model, std::uint64_t adapters, const KvCache& cache,
                             std::span<const Token> tokens, std::string_view note) {
  const auto end = static_cast<std::int64_t>(tokens.size());
  SessionFileHeader header{};
  std::copy(std::begin(kSessionFileMagic), std::end(kSessionFileMagic), header.magic);
  header.version = kSessionFileVersion;
  header.cache_format = static_cast<std::uint32_t>(FormatOf(cache.format()).format);
  header.fingerprint = Fingerprint(model.file);
  header.adapters = adapters;
  header.name_bytes = model.source.name().size();
  header.note_bytes = note.size();
  header.context_length = static_cast<std::uint32_t>(cache.context_length());
  header.tokens = static_cast<std::uint32_t>(tokens.size());
  header.first_kept = static_cast<std::uint32_t>(cache.first_kept());
  header.file_bytes = sizeof header + header.name_bytes + tokens.size_bytes() + header.note_bytes + kChecksumBytes;
  for (std::size_t i = 0; i < model.config.layers.size(); ++i) {
    if (!model.config.owns_kv(i)) continue;
    const KvCache::Layer& layer = cache.layer(i);
    const std::int64_t cells = layer.heads * (end - cache.FirstHeld(i));
    header.file_bytes +=
        sizeof(SessionFileLayer) + static_cast<std::uint64_t>(cells * (layer.key_bytes + layer.value_bytes));
    ++header.layers;
  }
  return header;
}

// Copies cells of consecutive positions, oldest first, to where a ring has them.
void FillCells(const KvCache::Layer& layer, std::span<const std::byte> from, std::int64_t cell_bytes,
               std::int64_t first, std::int64_t end, std::byte* cells) {
  layer.ForEachRun(first, end, [&](std::int64_t cell, std::int64_t count) {
    const auto bytes = static_cast<std::size_t>(count * cell_bytes);
    std::copy_n(from.data(), bytes, cells + cell * cell_bytes);
    from = from.subspan(bytes);
  });
}

}  // namespace

Status WriteSessionFile(const std::filesystem::path& path, const ModelImpl& model, std::uint64_t adapters,
                        const KvCache& cache, std::span<const Token> tokens, std::string_view note) {
  SLM_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  Writer out(std::move(file));
  SLM_RETURN_IF_ERROR(out.Write(BytesOf(MakeHeader(model, adapters, cache, tokens, note))));
  SLM_RETURN_IF_ERROR(out.Write(std::as_bytes(std::span(model.source.name()))));
  SLM_RETURN_IF_ERROR(out.Write(std::as_bytes(tokens)));
  for (std::size_t i = 0; i < model.config.layers.size(); ++i) {
    if (!model.config.owns_kv(i)) continue;
    SLM_RETURN_IF_ERROR(out.WriteLayer(cache.layer(i), cache.FirstHeld(i), static_cast<std::int64_t>(tokens.size())));
  }
  SLM_RETURN_IF_ERROR(out.Write(std::as_bytes(std::span(note))));
  return out.WriteChecksumAndCommit();
}

template <typename... Parts>
Status SessionFile::Fail(StatusCode code, const Parts&... parts) const {
  return Status(code, Cat(path_, ": ", parts...));
}

template <typename... Parts>
Status SessionFile::Corrupt(const Parts&... parts) const {
  return Fail(StatusCode::kCorruptFile, "the session file is damaged: ", parts...,
              ". It can't be used; read the text again, or restore another copy.");
}

Result<SessionFile> SessionFile::Open(const std::filesystem::path& path, const ModelImpl& model) {
  SLM_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  SessionFile file(path, std::move(mapped));
  SLM_RETURN_IF_ERROR(file.CheckHeader());
  SLM_RETURN_IF_ERROR(file.CheckModel(model));
  return file;
}

// That this is a whole and undamaged session file.
Status SessionFile::CheckHeader() {
  const std::span<const std::byte> bytes = file_.bytes();
  const std::size_t magic_bytes = std::min(bytes.size(), sizeof kSessionFileMagic);
  if (std::memcmp(bytes.data(), kSessionFileMagic, magic_bytes) != 0) {
    return Fail(StatusCode::kUnsupported, "this is no session file: it begins with ",
                Quoted(AsText(bytes.first(magic_bytes))), ", expected ",
                Quoted({kSessionFileMagic, sizeof kSessionFileMagic}));
  }
  ByteReader in(bytes);
  const std::optional<SessionFileHeader> header = ReadStruct<SessionFileHeader>(in);
  if (!header || in.remaining() < kChecksumBytes) {
    return Corrupt("it ends after ", bytes.size(), " bytes, and the least is ",
                   sizeof(SessionFileHeader) + kChecksumBytes);
  }
  header_ = *header;
  if (header_.version != kSessionFileVersion) {
    return Fail(StatusCode::kUnsupported, "the session file is of version ", header_.version, ", and this library has ",
                kSessionFileVersion, "; use the program that saved it, or read the text again");
  }
  if (header_.file_bytes != bytes.size())
    return Corrupt("it has ", bytes.size(), " bytes, and was written with ", header_.file_bytes);
  std::uint64_t stored;
  std::memcpy(&stored, bytes.last(kChecksumBytes).data(), sizeof stored);
  const std::uint64_t computed = ChecksumOf(bytes.first(bytes.size() - kChecksumBytes));
  if (stored != computed)
    return Corrupt("its bytes have the checksum ", Hex(computed), ", and were written with ", Hex(stored));
  return {};
}

// A right checksum does not say who computed it: everything is checked as if there were none.
Status SessionFile::CheckModel(const ModelImpl& model) {
  ByteReader in(file_.bytes().first(file_.bytes().size() - kChecksumBytes));
  in.Take(sizeof(SessionFileHeader));
  const auto name = in.Take(header_.name_bytes);
  if (!name) return Corrupt("the model's name has ", header_.name_bytes, " bytes, and ", in.remaining(), " are left");
  const std::uint64_t fingerprint = Fingerprint(model.file);
  if (header_.fingerprint != fingerprint) {
    return Fail(StatusCode::kInvalidArgument, "the session was saved with another model: ", Quoted(AsText(*name)),
                ", fingerprint ", Hex(header_.fingerprint), "; this one is ", Quoted(model.source.name()), ", ",
                Hex(fingerprint), ". Open the session with the very file it was saved with.");
  }
  SLM_RETURN_IF_ERROR(ReadTokens(in, model.config.vocab_size));
  const auto rest = *in.Take(in.remaining());
  if (header_.note_bytes > rest.size())
    return Corrupt("the note has ", header_.note_bytes, " bytes, and ", rest.size(), " are left");
  layers_ = rest.first(rest.size() - static_cast<std::size_t>(header_.note_bytes));
  note_ = AsText(rest.last(static_cast<std::size_t>(header_.note_bytes)));
  return {};
}

Status SessionFile::ReadTokens(ByteReader& in, std::int32_t vocab_size) {
  if (header_.context_length == 0 || !std::in_range<std::int32_t>(header_.context_length))
    return Corrupt("it has a context of ", header_.context_length, " tokens");
  if (header_.tokens > header_.context_length)
    return Corrupt("it has ", header_.tokens, " tokens in a context of ", header_.context_length);
  const auto bytes = in.Take(std::uint64_t{header_.tokens} * sizeof(Token));
  if (!bytes) return Corrupt("it has ", header_.tokens, " tokens, and ", in.remaining(), " bytes are left for them");
  tokens_.resize(header_.tokens);
  if (!bytes->empty()) std::memcpy(tokens_.data(), bytes->data(), bytes->size());
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i] >= 0 && tokens_[i] < vocab_size) continue;
    return Corrupt("token ", tokens_[i], " at index ", i, " is outside the vocabulary of ", vocab_size, " tokens");
  }
  return {};
}

Status SessionFile::CheckSession(std::int32_t wanted_context, CacheFormat format, std::uint64_t adapters) const {
  if (header_.adapters != adapters) {
    return Fail(StatusCode::kInvalidArgument, "the session was saved with ", header_.adapters == 0 ? "no" : "other",
                " adapters; use those it was saved with, and their weights");
  }
  if (wanted_context != context_length()) {
    return Fail(StatusCode::kInvalidArgument, "the session was saved with a context of ", context_length(),
                " tokens, and SessionOptions::context_length is ", wanted_context, "; leave it 0, or use ",
                context_length());
  }
  const FormatInfo& wanted = FormatOf(format);
  if (header_.cache_format == static_cast<std::uint32_t>(wanted.format)) return {};
  const FormatInfo* saved = FindFormat(header_.cache_format);
  return Fail(StatusCode::kInvalidArgument, "the session was saved with a key/value cache of ",
              saved != nullptr ? saved->name : "an unknown format", ", and SessionOptions::kv_type asks for ",
              wanted.name, "; use the one it was saved with");
}

Status SessionFile::ReadCells(const ModelConfig& config, KvCache& cache) const {
  const auto end = static_cast<std::int64_t>(tokens_.size());
  if (!cache.CanRestore(header_.first_kept, end)) {
    return Corrupt("sliding-window layers hold positions from ", header_.first_kept, " on of ", end,
                   ", which is not enough to go on");
  }
  ByteReader in(layers_);
  std::uint32_t layers = 0;
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    if (!config.owns_kv(i)) continue;
    SLM_RETURN_IF_ERROR(ReadLayer(in, cache, i, cache.layer(i).sliding ? header_.first_kept : 0));
    ++layers;
  }
  if (header_.layers != layers) return Corrupt("it has ", header_.layers, " layers, and the model ", layers);
  if (in.remaining() != 0) return Corrupt(in.remaining(), " bytes follow the last layer");
  cache.Restored(header_.first_kept, end);
  return {};
}

// The file has positions from `first` on; a ring with fewer cells takes the last of them.
Status SessionFile::ReadLayer(ByteReader& in, const KvCache& cache, std::size_t index, std::int64_t first) const {
  const KvCache::Layer& layer = cache.layer(index);
  const auto end = static_cast<std::int64_t>(tokens_.size());
  const std::optional<SessionFileLayer> described = ReadStruct<SessionFileLayer>(in);
  const SessionFileLayer expected = Describe(layer);
  if (!described || *described != expected) {
    return Corrupt("layer ", index, " does not have ", expected.heads, " heads with keys of ", expected.key_bytes,
                   " and values of ", expected.value_bytes, " bytes");
  }
  const std::int64_t taken = std::max(first, end - layer.cells);
  const auto read = [&](std::int64_t cell_bytes, std::byte* cells) {
    const auto bytes = in.Take(static_cast<std::uint64_t>((end - first) * cell_bytes));
    if (!bytes) return false;
    FillCells(layer, bytes->subspan(static_cast<std::size_t>((taken - first) * cell_bytes)), cell_bytes, taken, end,
              cells);
    return true;
  };
  bool complete = true;
  for (std::int64_t head = 0; head < layer.heads; ++head)
    complete = complete && read(layer.key_bytes, layer.Key(head, 0));
  for (std::int64_t head = 0; head < layer.heads; ++head)
    complete = complete && read(layer.value_bytes, layer.Value(head, 0));
  return complete ? Status() : Corrupt("keys and values of layer ", index, " are missing");
}

}  // namespace slm
