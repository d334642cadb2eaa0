// Session files. Of the first byte, bit 0 tells whether the checksum is made to fit, bit 1 which model the file is for,
// two more which type of cache it is restored with, and bit 4 whether its context is taken as it is.

#include <array>

#include "fuzz/fuzz_target.h"
#include "fuzz/saved_session.h"
#include "fuzz/scratch_file.h"

namespace slm::test {

namespace {
constexpr std::array kTypes = {KvType::kF16, KvType::kF32, KvType::kQ8_0};
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const unsigned flags : {0u, 1u, 3u, 5u, 7u, 9u, 27u})
    seeds.push_back(static_cast<char>(flags) + SavedSession((flags & 2) != 0, kTypes[flags / 4 % 4], "a note"));
  return seeds;
}

void Fuzz(std::string_view input) {
  if (input.empty()) return;
  const auto flags = static_cast<unsigned char>(input[0]);
  const std::string bytes(input.substr(1));
  const ScratchFile file((flags & 1) != 0 ? Sealed(bytes) : bytes);
  const Model& model = SavedModel((flags & 2) != 0);
  const std::int32_t context = (flags & 16) != 0 ? 0 : kSavedContext;
  auto restored = Session::Restore(
      model, file.path(), {.context_length = context, .kv_type = kTypes[flags / 4 % 4 % kTypes.size()], .threads = 1});
  if (!restored.ok()) {
    Require(!restored.status().message().empty(), "errors say something");
    return;
  }
  Session& session = restored->session;
  Require(static_cast<std::size_t>(session.position()) == session.tokens().size(), "a position for each token");
  Require(session.position() <= session.context_length(), "tokens fit the context");
  for (const Token token : session.tokens()) Require(0 <= token && token < model.vocab_size(), "ids are of the model");
  static_cast<void>(session.Append(std::array<Token, 2>{1, 2}));
  static_cast<void>(session.Shift(1, 2));
  static_cast<void>(session.Rewind(session.position() / 2));
  static_cast<void>(session.Append(std::array<Token, 1>{3}));
}

}  // namespace slm::test
