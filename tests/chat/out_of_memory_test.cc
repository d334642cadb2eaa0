// Every allocation fails in turn, once and from then on: a Status that says so, and nothing has changed. And how many
// there are.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "slm/slm.h"
#include "support/fixture.h"
#include "support/test_data.h"

namespace {

// Allocations of this thread until one fails, and how many do then.
thread_local long allocations_left = std::numeric_limits<long>::max();
thread_local long failures_left = 0;
thread_local bool failed = false;
thread_local long allocations = 0;

void* Allocate(std::size_t size, std::size_t alignment) {
  ++allocations;
  if (--allocations_left < 0 && failures_left > 0) {
    --failures_left;
    failed = true;
    throw std::bad_alloc();
  }
  const std::size_t rounded = (std::max<std::size_t>(size, 1) + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, rounded)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// Not inlined, for then GCC takes free and new for a pair that does not match.
[[gnu::noinline]] void* operator new(std::size_t size) { return Allocate(size, alignof(std::max_align_t)); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return Allocate(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace slm {
namespace {

const StatusCode kOutOfMemory = StatusCode::kOutOfMemory;

Status StatusOf(const Status& status) { return status; }
template <typename T>
Status StatusOf(const Result<T>& result) {
  return result.status();
}

// Calls attempt() with all allocations failing from the first on, then from the second on and so on, and with that one
// failing alone, until there is enough memory. After each failure, unchanged() is to hold. Once the allocations are
// counted in hundreds, most are skipped.
template <typename Attempt, typename Unchanged>
void ExpectSurvival(const char* what, const Attempt& attempt, const Unchanged& unchanged) {
  for (long first = 0;; first += 1 + first / 100) {
    for (const long failures : {std::numeric_limits<long>::max(), 1L}) {
      allocations_left = first;
      failures_left = failures;
      failed = false;
      const auto result = attempt();
      failures_left = 0;
      const Status status = StatusOf(result);
      if (status.ok()) {
        EXPECT_GT(first, 0) << what;
        return;  // where one allocation failed, too: some are for speed only
      }
      ASSERT_TRUE(failed && status.code() == kOutOfMemory)
          << what << ", allocation " << first << ": " << status.message();
      ASSERT_TRUE(unchanged()) << what << ", allocation " << first;
    }
  }
}

bool Always() { return true; }

class OutOfMemoryTest : public testing::Test {
 protected:
  const SessionOptions session_options_ = {.context_length = 200, .threads = 1};
  const ChatOptions options_ = {.system = "Be brief.",
                                .session = session_options_,
                                .sampler = {.temperature = 0.8f, .repeat_penalty = 1.1f, .dry_multiplier = 0.5f},
                                .forget_oldest = true};

  Chat MakeChat() const { return Chat::Create(model_, options_).value(); }

  const std::filesystem::path path_ = test::DataPath("models/llama_f16/model.gguf");
  const Model model_ = Model::Open(path_).value();
  const std::filesystem::path saved_ =
      std::filesystem::path(testing::TempDir()) / ("out_of_memory_" + std::to_string(::getpid()));
};

TEST_F(OutOfMemoryTest, OpenAModel) {
  ExpectSurvival(
      "ModelFile::Open", [&] { return ModelFile::Open(path_); }, Always);
  ExpectSurvival(
      "Model::Open", [&] { return Model::Open(path_); }, Always);
  ExpectSurvival(
      "Tokenizer::Open", [&] { return Tokenizer::Open(model_.file()); }, Always);
}

TEST_F(OutOfMemoryTest, Session) {
  ExpectSurvival(
      "Session::Create", [&] { return Session::Create(model_, session_options_); }, Always);
  ExpectSurvival(
      "EstimateMemory", [&] { return EstimateMemory(model_, session_options_); }, Always);
  Session session = Session::Create(model_, session_options_).value();
  const std::vector<Token> text = model_.tokenizer().Encode("Some words to begin with.").value();
  allocations_left = 0;  // none is needed
  failures_left = std::numeric_limits<long>::max();
  failed = false;
  const bool appended = session.Append(text).ok();
  failures_left = 0;
  EXPECT_TRUE(appended && !failed);
  EXPECT_TRUE(std::ranges::equal(session.tokens(), text));
  ExpectSurvival(
      "session.Fork", [&] { return session.Fork(); }, Always);
  ExpectSurvival(
      "Batch::Create", [&] { return Batch::Create(model_, {.threads = 1}); }, Always);
  ExpectSurvival(
      "session.Save", [&] { return session.Save(saved_); }, [&] { return !std::filesystem::exists(saved_); });
  ExpectSurvival(
      "Session::Restore", [&] { return Session::Restore(model_, saved_, session_options_); }, Always);
  std::filesystem::remove(saved_);
}

TEST_F(OutOfMemoryTest, Conversation) {
  ExpectSurvival(
      "Chat::Create", [&] { return Chat::Create(model_, options_); }, Always);
  Chat chat = MakeChat();
  const auto before = chat.messages().size();
  const auto unchanged = [&] { return chat.messages().size() == before; };
  ExpectSurvival(
      "chat.Send", [&] { return chat.Send("Hello", {}, {.max_tokens = 5}); }, unchanged);
  // What failed has left no trace.
  Chat fresh = MakeChat();
  ASSERT_TRUE(fresh.Send("Hello", {}, {.max_tokens = 5}).ok());
  ASSERT_EQ(chat.messages(), fresh.messages());
  const std::vector<Message> messages = chat.messages();
  const auto same = [&] { return chat.messages() == messages; };
  ExpectSurvival(
      "chat.Retry", [&] { return chat.Retry({}, {.max_tokens = 5}); }, same);
  ExpectSurvival(
      "chat.CountTokens", [&] { return chat.CountTokens("More"); }, Always);
  ExpectSurvival(
      "chat.SetSystem", [&] { return chat.SetSystem("A system text that is longer than the first one."); },
      [&] { return chat.messages()[0].content == "Be brief."; });
  ExpectSurvival(
      "chat.SetVariables", [&] { return chat.SetVariables(R"({"a_variable": "of more than a few characters"})"); },
      [&] { return chat.variables().empty(); });
  ExpectSurvival(
      "chat.Resize", [&] { return chat.Resize(150); }, [&] { return chat.session().context_length() == 200; });
  ChatOptions any_context = options_;
  any_context.session.context_length = 0;
  ExpectSurvival(
      "chat.Save", [&] { return chat.Save(saved_); }, [&] { return !std::filesystem::exists(saved_); });
  ExpectSurvival(
      "Chat::Restore", [&] { return Chat::Restore(model_, saved_, any_context); }, Always);
  std::filesystem::remove(saved_);
}

TEST_F(OutOfMemoryTest, Sampling) {
  std::vector<float> logits(static_cast<std::size_t>(model_.vocab_size()));
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 7);
  const SamplerOptions sampling = {.temperature = 1.0f, .xtc_probability = 0.5f};
  Sampler sampler(sampling), fresh(sampling);
  ExpectSurvival(
      "sampler.Sample", [&] { return sampler.Sample(logits); }, Always);
  static_cast<void>(fresh.Sample(logits));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(sampler.Sample(logits).value(), fresh.Sample(logits).value());
}

TEST_F(OutOfMemoryTest, Templates) {
  const std::string source =
      "{% set names = {'user': 'U'} %}{% for m in messages %}{{ names.get(m.role, 'A') ~ m.content | upper }}"
      "{% endfor %}{{ messages | tojson }}";
  const std::string context = R"({"messages": [{"role": "user", "content": "some words of a user"}]})";
  ExpectSurvival(
      "ChatTemplate::Parse", [&] { return ChatTemplate::Parse(source, "it"); }, Always);
  const ChatTemplate chat_template = ChatTemplate::Parse(source).value();
  ExpectSurvival(
      "chat_template.Render", [&] { return chat_template.Render(context, {}); }, Always);
  ExpectSurvival(
      "ParseMessages", [&] { return ParseMessages(R"([{"role": "user", "content": "some words of a user"}])"); },
      Always);
  ExpectSurvival(
      "model_.tokenizer", [&] { return model_.tokenizer().Encode("Some words, and some more of them."); }, Always);
}

// Allocations that an answer takes for which most of a conversation has to be forgotten.
long AllocationsToForget(const Model& model, std::size_t turns) {
  Chat chat = Chat::Create(model, {.session = {.context_length = 100, .threads = 1}, .forget_oldest = true}).value();
  std::vector<Message> messages;
  for (std::size_t i = 0; i < turns; ++i) {
    messages.push_back({.role = Role::kUser, .content = "one two"});
    messages.push_back({.role = Role::kAssistant, .content = "three"});
  }
  EXPECT_TRUE(chat.SetMessages(std::move(messages)).ok());
  const long before = allocations;
  const Result<GenerateResult> result = chat.Send("four", {}, {.max_tokens = 1});
  EXPECT_TRUE(result.ok()) << result.status().message();
  EXPECT_GT(result->forgotten_messages, static_cast<std::int32_t>(turns));
  return allocations - before;
}

// Each try to forget enough writes and encodes all that is left, so there must not be a try for each message.
TEST(AllocationsTest, ForgettingTriesFewTimes) {
  const Model model = Model::Open(test::DataPath("models/llama_f16/model.gguf")).value();
  const long some = AllocationsToForget(model, 100);
  EXPECT_LT(AllocationsToForget(model, 400), 6 * some) << "4 times as many, not 16";
}

}  // namespace
}  // namespace slm
