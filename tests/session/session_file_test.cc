// Sessions saved and restored: the same numbers afterwards, and an ordinary error for every file that is not what it
// should be.

#include "session/session_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/checksum.h"
#include "base/format.h"
#include "support/fixture.h"
#include "support/random_model.h"
#include "support/test_data.h"
#include "support/tiny_architecture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

std::vector<Token> Text(std::size_t length) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < length; ++i) tokens.push_back(static_cast<Token>(3 + i * 7 % 37));
  return tokens;
}

Model OpenBytes(const std::string& gguf, const std::string& name = "tiny") {
  return Model::Open(ModelFile::FromMemory(std::as_bytes(std::span(gguf)), name).value()).value();
}

class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("slm_session_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path path() const { return folder_ / "chat.session"; }
  void Save(const Session& session, std::string_view note = {}) const {
    const Status status = session.Save(path(), note);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  RestoredSession Restore(const Model& model, const SessionOptions& options = {.threads = 1}) const {
    Result<RestoredSession> restored = Session::Restore(model, path(), options);
    if (!restored.ok()) throw std::runtime_error(restored.status().message());
    return *std::move(restored);
  }
  Status Error(const Model& model, const SessionOptions& options = {.threads = 1}) const {
    return Session::Restore(model, path(), options).status();
  }
  void Write(std::string_view bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }

  fs::path folder_;
};

void ExpectFails(const Status& status, StatusCode code, const testing::Matcher<std::string>& message) {
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_THAT(status.message(), message);
}

// --- What is restored.

class SessionFileArchitectureTest : public FolderTest, public testing::WithParamInterface<std::string> {};
std::vector<std::string> ArchitectureNames() {
  std::vector<std::string> names;
  for (const Architecture& architecture : AllArchitectures()) names.emplace_back(architecture.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(, SessionFileArchitectureTest, testing::ValuesIn(ArchitectureNames()),
                         [](const auto& instance) { return instance.param; });

// The rest of a text gives the bits it gives without a break, whatever batch and threads it is restored with.
TEST_P(SessionFileArchitectureTest, GoesOnWithTheSameBits) {
  for (std::uint32_t seed = 1; seed <= 7; ++seed) {
    const bool whole_blocks = seed == 7;  // that a Q8_0 cache can hold
    RandomModel random = MakeRandomModel(GetParam(), seed).value();
    if (whole_blocks) {
      random.gguf = TinyArchitecture(FindRow(GetParam()), {.layers = kTinyLayers, .head_dim = 32}).Build();
      random.tokens = Text(32);
    }
    const Model model = OpenBytes(random.gguf);
    for (const KvType type : {KvType::kF16, KvType::kF32, KvType::kQ8_0}) {
      if (type == KvType::kQ8_0 && !HeadsFitQ8(model)) continue;
      SCOPED_TRACE(Cat("seed ", seed, ", cache ", int(type)));
      const auto context = random.context_length;
      const std::span<const Token> tokens = random.tokens;
      Session session =
          SessionOrThrow(model, {.context_length = context, .kv_type = type, .threads = 1, .batch_size = 5});
      ASSERT_TRUE(session.Append(tokens.first(20)).ok());
      Save(session);
      const std::vector<float> expected = AllLogits(session, tokens.subspan(20));
      for (const std::int32_t batch : {1, 5, 64}) {
        Session restored =
            Restore(model, {.kv_type = type, .threads = batch == 64 ? 2 : 1, .batch_size = batch}).session;
        EXPECT_EQ(restored.context_length(), context);
        EXPECT_TRUE(std::ranges::equal(restored.tokens(), tokens.first(20)));
        EXPECT_TRUE(SameBits(AllLogits(restored, tokens.subspan(20)), expected));
      }
    }
  }
}

// Two layers, the first with a window of 4.
class SessionFileTest : public FolderTest {
 protected:
  static TinyModel Tiny() {
    return TinyModel({.architecture = "gemma3", .context = 48})
        .Set("gemma3.attention.sliding_window", 4u)
        .Set("gemma3.attention.sliding_window_pattern", 2u);
  }
  Session Make(std::size_t length, std::int32_t batch_size = 3) const {
    Session session = SessionOrThrow(model_, {.threads = 1, .batch_size = batch_size});
    if (length != 0 && !session.Append(std::span(text_).first(length)).ok()) throw std::logic_error("text");
    return session;
  }
  void ExpectGoesOn(Session& session, std::span<const Token> from) const {
    const auto rest = from.subspan(session.tokens().size());
    Session fresh = SessionOrThrow(model_, {.threads = 1});
    const std::vector<float> expected = AllLogits(fresh, from);
    EXPECT_TRUE(SameBits(AllLogits(session, rest), std::span(expected).last(rest.size() * 40)));
  }

  const Model model_ = Tiny().Open().value();
  const std::vector<Token> text_ = Text(40);
};

TEST_F(SessionFileTest, AnEmptyAndAFullSession) {
  Save(Make(0));
  EXPECT_EQ(Restore(model_).session.position(), 0);
  Session session = SessionOrThrow(model_, {.context_length = 40, .threads = 1});
  ASSERT_TRUE(session.Append(text_).ok());
  Save(session);
  Session restored = Restore(model_).session;
  EXPECT_EQ(restored.position(), 40);
  EXPECT_EQ(restored.Append(std::span(text_).first(1)).status().code(), StatusCode::kContextFull);
}

TEST_F(SessionFileTest, KeepsTheNoteAsItIs) {
  for (const std::string& note :
       {std::string(), std::string("{\"a\": [1, 2]}"), std::string("\0\xff\n\0", 4), std::string(3'000'000, '\x01')}) {
    Save(Make(9), note);
    EXPECT_TRUE(Restore(model_).note == note) << note.size();
  }
}

// What Rewind allows does not depend on the break unless the new ring is smaller, and leads on as it should.
TEST_F(SessionFileTest, RewindsAsTheSavedOneWould) {
  for (const std::int32_t batch : {1, 3, 64}) {
    for (const std::int32_t new_batch : {1, 3, 64}) {
      for (const std::size_t length : {2, 7, 20}) {
        for (std::int32_t position = 0; position <= static_cast<std::int32_t>(length); ++position) {
          SCOPED_TRACE(Cat("batch ", batch, " then ", new_batch, ", ", length, " back to ", position));
          Session session = Make(length, batch);
          Save(session);
          Session restored = Restore(model_, {.threads = 1, .batch_size = new_batch}).session;
          const bool may = session.Rewind(position).ok() && Make(length, new_batch).Rewind(position).ok();
          EXPECT_EQ(restored.Rewind(position).ok(), may);
          if (may) ExpectGoesOn(restored, text_);
        }
      }
    }
  }
}

// A session that has been rewound or shifted holds less than its ring has room for.
TEST_F(SessionFileTest, AfterRewindAndShift) {
  Session rewound = Make(30, 8);
  ASSERT_TRUE(rewound.Rewind(25).ok());
  Save(rewound);
  Session restored = Restore(model_, {.threads = 1, .batch_size = 8}).session;
  ExpectGoesOn(restored, text_);

  Session shifted = Make(30, 8);
  ASSERT_TRUE(shifted.Shift(2, 9).ok());
  Save(shifted);
  for (const std::int32_t batch : {1, 8}) {
    Session from_file = Restore(model_, {.threads = 1, .batch_size = batch}).session;
    EXPECT_TRUE(std::ranges::equal(from_file.tokens(), shifted.tokens()));
    ASSERT_TRUE(from_file.Shift(1, 5).ok());
    const std::vector<float> logits = AllLogits(from_file, std::span(text_).last(6));
    Session twice = Make(30, 8);
    ASSERT_TRUE(twice.Shift(2, 9).ok());
    ASSERT_TRUE(twice.Shift(1, 5).ok());
    EXPECT_TRUE(SameBits(logits, AllLogits(twice, std::span(text_).last(6))));
  }
}

TEST_F(SessionFileTest, BelongsToItsOwner) {
  Save(Make(5));
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms(0600));
}

// --- What is refused.

class SessionFileDamageTest : public SessionFileTest {
 protected:
  void SetUp() override {
    SessionFileTest::SetUp();
    Save(Make(8), "note");
    bytes_ = ReadFile(path());
  }
  // As somebody would who knows the format.
  void WriteWithChecksum(std::string bytes) const {
    const std::uint64_t checksum = ChecksumOf(std::as_bytes(std::span(bytes).first(bytes.size() - 8)));
    std::memcpy(bytes.data() + bytes.size() - 8, &checksum, sizeof checksum);
    Write(bytes);
  }
  template <typename T>
  std::string With(std::size_t offset, T value) const {
    std::string bytes = bytes_;
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    return bytes;
  }
  std::size_t TokensAt() const { return sizeof(SessionFileHeader) + model_.name().size(); }

  std::string bytes_;
};

TEST_F(SessionFileDamageTest, EveryChangedByteIsNoticed) {
  std::fstream file(path(), std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&](std::size_t at, int byte) {
    file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(byte)).flush();
  };
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    put(i, bytes_[i] ^ 1 << i % 8);
    const Status status = Error(model_);
    ASSERT_TRUE(status.code() == StatusCode::kCorruptFile || (i < 12 && status.code() == StatusCode::kUnsupported))
        << "byte " << i << ": " << status.message();
    ASSERT_THAT(status.message(), HasSubstr(path().string()));
    put(i, bytes_[i]);
  }
  EXPECT_TRUE(Error(model_).ok());
}

TEST_F(SessionFileDamageTest, EveryTruncationIsNoticed) {
  for (std::size_t size = bytes_.size(); size-- > 0;) {
    fs::resize_file(path(), size);
    ASSERT_EQ(Error(model_).code(), size == 0 ? StatusCode::kIoError : StatusCode::kCorruptFile) << size;
  }
  Write(bytes_ + "x");
  ExpectFails(Error(model_), StatusCode::kCorruptFile,
              HasSubstr(Cat("has ", bytes_.size() + 1, " bytes, and was written with ", bytes_.size())));
}

// With a checksum that is right, so that nothing but the checks of each field is in the way.
TEST_F(SessionFileDamageTest, EveryFieldIsChecked) {
  const auto fails = [&](const std::string& bytes, const std::string& message) {
    WriteWithChecksum(bytes);
    ExpectFails(Error(model_), StatusCode::kCorruptFile, HasSubstr(message));
  };
  constexpr auto kMost = std::numeric_limits<std::uint32_t>::max();
  fails(With(offsetof(SessionFileHeader, name_bytes), ~std::uint64_t{0}), "the model's name has 18446744073709551615");
  fails(With(offsetof(SessionFileHeader, note_bytes), ~std::uint64_t{0}), "the note has 18446744073709551615");
  fails(With(offsetof(SessionFileHeader, context_length), 0u), "context of 0");
  fails(With(offsetof(SessionFileHeader, context_length), kMost), "context of 4294967295");
  fails(With(offsetof(SessionFileHeader, context_length), 7u), "8 tokens in a context of 7");
  fails(With(offsetof(SessionFileHeader, tokens), kMost), "4294967295 tokens");
  fails(With(offsetof(SessionFileHeader, first_kept), 7u), "positions from 7 on of 8");
  fails(With(offsetof(SessionFileHeader, first_kept), kMost), "positions from 4294967295 on");
  fails(With(offsetof(SessionFileHeader, layers), 3u), "3 layers, and the model 2");
  fails(With(TokensAt(), -1), "token -1 at index 0");
  fails(With(TokensAt() + 4, 40), "token 40 at index 1 is outside the vocabulary of 40");
  const std::size_t layer = TokensAt() + 8 * sizeof(Token);
  for (std::size_t field = 0; field < 3; ++field)
    fails(With(layer + 4 * field, kMost), "layer 0 does not have 2 heads");
  fails(With(offsetof(SessionFileHeader, note_bytes), std::uint64_t{3}), "1 bytes follow the last layer");
  fails(With(offsetof(SessionFileHeader, note_bytes), std::uint64_t{5}), "values of layer 1 are missing");
  WriteWithChecksum(With(offsetof(SessionFileHeader, adapters), std::uint64_t{1}));
  ExpectFails(Error(model_), StatusCode::kInvalidArgument, HasSubstr("saved with other adapters"));
  WriteWithChecksum(With(offsetof(SessionFileHeader, cache_format), 99u));
  ExpectFails(Error(model_), StatusCode::kInvalidArgument, HasSubstr("an unknown format"));
  WriteWithChecksum(With(offsetof(SessionFileHeader, version), 1u));
  ExpectFails(Error(model_), StatusCode::kUnsupported, AllOf(HasSubstr("version 1"), HasSubstr("has 2")));
}

// Any number anywhere in front of keys and values: an error or, where it does not matter, a session.
TEST_F(SessionFileDamageTest, NoNumberDoesHarm) {
  const std::size_t end = TokensAt() + 8 * sizeof(Token) + sizeof(SessionFileLayer);
  for (std::size_t offset = 0; offset + 4 <= end; offset += 4) {
    for (const std::uint32_t value : {0u, 1u, 2u, 9u, 47u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
      WriteWithChecksum(With(offset, value));
      Result<RestoredSession> restored = Session::Restore(model_, path(), {.threads = 1});
      EXPECT_TRUE(!restored.ok() || restored->session.Append(std::span(text_).first(1)).ok()) << offset;
    }
  }
}

// What a file asks for is not taken unless the application asks for it, too.
TEST_F(SessionFileDamageTest, AContextBeyondTheModels) {
  const std::int32_t large = 5000;  // the model's is smaller still
  WriteWithChecksum(With(offsetof(SessionFileHeader, context_length), large));
  ExpectFails(Error(model_), StatusCode::kInvalidArgument, AllOf(HasSubstr("5000"), HasSubstr("4096")));
  EXPECT_TRUE(Error(model_, {.context_length = large, .threads = 1}).ok());
}

TEST_F(SessionFileDamageTest, OtherFiles) {
  Write(Tiny().Build());
  ExpectFails(Error(model_), StatusCode::kUnsupported, AllOf(HasSubstr("no session file"), HasSubstr("GGUF")));
  fs::remove(path());
  ExpectFails(Error(model_), StatusCode::kNotFound, HasSubstr(path().string()));
  EXPECT_EQ(Session::Restore(model_, folder_).status().code(), StatusCode::kIoError);
  EXPECT_EQ(Make(5).Save(folder_ / "nowhere" / "file").code(), StatusCode::kNotFound);
}

TEST_F(SessionFileDamageTest, AnotherContextOrCache) {
  ExpectFails(Error(model_, {.context_length = 47, .threads = 1}), StatusCode::kInvalidArgument,
              AllOf(HasSubstr("context of 48"), HasSubstr("context_length is 47")));
  EXPECT_TRUE(Error(model_, {.context_length = 48, .threads = 1}).ok());
  ExpectFails(Error(model_, {.kv_type = KvType::kF32, .threads = 1}), StatusCode::kInvalidArgument,
              AllOf(HasSubstr("cache of F16"), HasSubstr("asks for F32")));
  ExpectFails(Error(model_, {.threads = -1}), StatusCode::kInvalidArgument, HasSubstr("threads is -1"));
}

TEST_F(SessionFileDamageTest, AnotherModel) {
  TinyModel weight = Tiny(), name = Tiny(), key = Tiny();
  weight.SetValue("blk.1.ffn_down.weight", 5, 0.25f);
  name.Set("general.name", "somebody else");
  key.Set("gemma3.rope.freq_base", 5000.0f);
  for (const TinyModel& other : {weight, name, key}) {
    ExpectFails(Error(other.Open().value()), StatusCode::kInvalidArgument,
                AllOf(HasSubstr("another model"), HasSubstr("fingerprint 0x"), HasSubstr(path().string())));
  }
  EXPECT_THAT(Error(name.Open().value()).message(), HasSubstr("\"somebody else\""));
  // The same bytes in memory are the same model.
  const std::string gguf = Tiny().Build();
  EXPECT_TRUE(Error(OpenBytes(gguf)).ok());
}

// --- What is there when a save does not end well.

// Kills a process in the middle of a save; false if it was done before.
bool KillWhileSaving(const Session& session, const fs::path& path, std::string_view note) {
  const auto has_part = [&] {
    return std::ranges::any_of(fs::directory_iterator(path.parent_path()), [&](const fs::directory_entry& entry) {
      std::error_code error;
      return entry.path() != path && entry.file_size(error) > 0 && !error;
    });
  };
  const pid_t child = ::fork();
  if (child == 0) ::_exit(session.Save(path, note).ok() ? 0 : 1);
  int state = 0;
  while (!has_part()) {
    if (::waitpid(child, &state, WNOHANG) == child) return false;
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, &state, 0);
  return WIFSIGNALED(state) && has_part();
}

TEST_F(SessionFileTest, AKilledSaveLeavesTheOldFile) {
  Save(Make(20), "first");
  const std::string note(std::size_t{64} << 20, 'n');
  const Session later = Make(30);
  bool killed = false;
  for (int i = 0; i < 20 && !killed; ++i) {
    Save(Make(20), "first");
    killed = KillWhileSaving(later, path(), note);
  }
  ASSERT_TRUE(killed);
  RestoredSession restored = Restore(model_);
  EXPECT_EQ(restored.note, "first");
  EXPECT_EQ(restored.session.position(), 20);
  ExpectGoesOn(restored.session, text_);  // evaluates what follows the 20 tokens, and nothing else
}

// A conversation with a real model whose process is gone goes on in another one: nothing is read twice.
class RealSessionTest : public FolderTest, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(, RealSessionTest, testing::Values("smollm2-135m", "gemma-3-270m"), [](const auto& instance) {
  std::string name = instance.param;
  std::erase(name, '-');
  return name;
});

TEST_P(RealSessionTest, GoesOnInAnotherProcess) {
  const auto file = RealModel(GetParam());
  if (!file) GTEST_SKIP() << GetParam() << " is not in the model cache";
  const Model model = OpenOrThrow(*file);
  const SessionOptions options = {.context_length = 1024, .threads = 1};
  const std::vector<Token> first =
      model.tokenizer().Encode("The quick brown fox jumps over the lazy dog. And then?").value();
  const std::vector<Token> second = model.tokenizer().Encode(" It runs into the wood, where").value();
  const pid_t child = ::fork();
  if (child == 0) {
    Session session = SessionOrThrow(model, options);
    if (session.Append(first).ok() && session.Save(path(), "turn 1").ok()) ::raise(SIGKILL);
    ::_exit(1);
  }
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  ASSERT_TRUE(WIFSIGNALED(state));

  RestoredSession restored = Restore(model);
  EXPECT_EQ(restored.note, "turn 1");
  EXPECT_TRUE(std::ranges::equal(restored.session.tokens(), first));
  std::int64_t evaluated = 0;
  const auto logits =
      restored.session.Append(second, {.progress = [&](std::int64_t done, std::int64_t) { evaluated = done; }});
  ASSERT_TRUE(logits.ok());
  EXPECT_EQ(evaluated, static_cast<std::int64_t>(second.size()));
  Session unbroken = SessionOrThrow(model, options);
  ASSERT_TRUE(unbroken.Append(first).ok());
  EXPECT_TRUE(SameBits(*logits, *unbroken.Append(second)));
}

}  // namespace
}  // namespace slm::test
