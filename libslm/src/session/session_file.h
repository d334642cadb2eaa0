// Session files: the tokens a session has read, with their keys and values, and the application's own note.
//
// Little endian, in this order and without padding:
//   SessionFileHeader
//   the model's name, for messages
//   i32 tokens
//   of each layer with keys and values of its own:
//     SessionFileLayer
//     of each head the keys of the positions it holds, oldest first, as the cache stores them; then likewise the values
//   the note
//   u64 XXH3 of all bytes before it
// Global layers hold all positions, sliding ones those from the header's first_kept on. Cells are in the order of their
// positions, so the ring they go to may have another size.

#ifndef SLM_SESSION_SESSION_FILE_H_
#define SLM_SESSION_SESSION_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "file/byte_reader.h"
#include "file/mapped_file.h"
#include "forward/kv_cache.h"
#include "model/model_impl.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

inline constexpr char kSessionFileMagic[8] = {'S', 'L', 'M', '-', 'S', 'E', 'S', 'S'};
inline constexpr std::uint32_t kSessionFileVersion = 2;

struct SessionFileHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t cache_format;  // as GGUF numbers them
  std::uint64_t file_bytes;    // of the whole file
  std::uint64_t fingerprint;   // of the model
  std::uint64_t adapters;      // AdapterSet::Fingerprint
  std::uint64_t name_bytes;
  std::uint64_t note_bytes;
  std::uint32_t context_length;
  std::uint32_t tokens;
  std::uint32_t first_kept;  // oldest position of sliding layers
  std::uint32_t layers;      // that follow
};
static_assert(sizeof(SessionFileHeader) == 72);

struct SessionFileLayer {
  std::uint32_t heads;
  std::uint32_t key_bytes;  // of a cell of one head
  std::uint32_t value_bytes;

  bool operator==(const SessionFileLayer&) const = default;
};
static_assert(sizeof(SessionFileLayer) == 12);

// `adapters`: AdapterSet::Fingerprint of those that the cache was computed with.
Status WriteSessionFile(const std::filesystem::path& path, const ModelImpl& model, std::uint64_t adapters,
                        const KvCache& cache, std::span<const Token> tokens, std::string_view note);

// A file that has been checked as a whole, for a model.
class SessionFile {
 public:
  // Fails with kNotFound or kIoError, kUnsupported (no session file, or of another version), kCorruptFile, or
  // kInvalidArgument (saved with another model).
  static Result<SessionFile> Open(const std::filesystem::path& path, const ModelImpl& model);

  // kInvalidArgument if a session of this kind can't hold what was saved.
  Status CheckSession(std::int32_t context_length, CacheFormat format, std::uint64_t adapters) const;
  // Fills an empty cache that fits.
  Status ReadCells(const ModelConfig& config, KvCache& cache) const;

  std::int32_t context_length() const { return static_cast<std::int32_t>(header_.context_length); }
  const std::vector<Token>& tokens() const { return tokens_; }
  std::string_view note() const { return note_; }

 private:
  SessionFile(const std::filesystem::path& path, MappedFile file) : path_(path.string()), file_(std::move(file)) {}

  Status CheckHeader();
  Status CheckModel(const ModelImpl& model);
  Status ReadTokens(ByteReader& in, std::int32_t vocab_size);
  Status ReadLayer(ByteReader& in, const KvCache& cache, std::size_t index, std::int64_t first) const;
  template <typename... Parts>
  Status Fail(StatusCode code, const Parts&... parts) const;
  template <typename... Parts>
  Status Corrupt(const Parts&... parts) const;

  std::string path_;
  MappedFile file_;
  SessionFileHeader header_{};
  std::vector<Token> tokens_;
  std::span<const std::byte> layers_;  // their part of the file
  std::string_view note_;              // a view into the file
};

}  // namespace slm

#endif  // SLM_SESSION_SESSION_FILE_H_
