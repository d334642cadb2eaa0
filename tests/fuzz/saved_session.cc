#include "fuzz/saved_session.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "base/checksum.h"
#include "fuzz/fuzz_models.h"
#include "fuzz/fuzz_target.h"
#include "session/session_file.h"
#include "support/test_data.h"

namespace slm::test {

namespace {

SessionFileHeader HeaderOf(const std::string& session) {
  SessionFileHeader header{};
  std::memcpy(&header, session.data(), std::min(sizeof header, session.size()));
  return header;
}

}  // namespace

const Model& SavedModel(bool sliding) {
  static const std::string bytes[] = {SmallModel("llama"), SmallModel("gemma3")};
  static const Model models[] = {
      *Model::Open(*ModelFile::FromMemory(std::as_bytes(std::span(bytes[0])), "small")),
      *Model::Open(*ModelFile::FromMemory(std::as_bytes(std::span(bytes[1])), "small, sliding"))};
  return models[sliding ? 1 : 0];
}

std::string SavedSession(bool sliding, KvType kv_type, std::string_view note) {
  auto session =
      Session::Create(SavedModel(sliding), {.context_length = kSavedContext, .kv_type = kv_type, .threads = 1});
  Require(session.ok() && session->Append(std::array<Token, 7>{1, 4, 5, 6, 7, 8, 9}).ok(), "a session");
  const auto path = std::filesystem::path(testing::TempDir()) / ("saved_session_" + std::to_string(getpid()));
  Require(session->Save(path, note).ok(), "a saved session");
  std::string bytes = ReadFile(path);
  std::filesystem::remove(path);
  return bytes;
}

std::string WithNote(std::string session, std::string_view note) {
  SessionFileHeader header = HeaderOf(session);
  session.resize(session.size() - sizeof(std::uint64_t) - header.note_bytes);
  session += note;
  header.note_bytes = note.size();
  std::memcpy(session.data(), &header, sizeof header);
  return Sealed(session + std::string(sizeof(std::uint64_t), '\0'));
}

std::string Sealed(std::string session) {
  if (session.size() < sizeof(SessionFileHeader) + sizeof(std::uint64_t)) return session;
  SessionFileHeader header = HeaderOf(session);
  header.file_bytes = session.size();
  std::memcpy(session.data(), &header, sizeof header);
  const std::size_t end = session.size() - sizeof(std::uint64_t);
  const std::uint64_t checksum = ChecksumOf(std::as_bytes(std::span(session).first(end)));
  std::memcpy(session.data() + end, &checksum, sizeof checksum);
  return session;
}

}  // namespace slm::test
