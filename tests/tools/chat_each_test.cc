// One prompt, many files: names, what is skipped, what is done anew, and what a crash may leave behind.

#include "chat_each.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <latch>
#include <new>
#include <string>
#include <vector>

#include "chat_long.h"
#include "replace_file.h"
#include "support/run_program.h"
#include "support/test_data.h"
#include "tools/fake_responder.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> Outputs(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  const Result<std::vector<EachFile>> files = NameAnswers(paths, "/out");
  EXPECT_TRUE(files.ok()) << files.status().message();
  if (files.ok()) {
    for (const EachFile& file : *files) names.push_back(file.output.generic_string());
  }
  return names;
}

TEST(NameAnswersTest, NamesAreTheFilesOwn) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(Outputs({"/a/x.md", "/b/y.txt", "z"}), (Names{"x.md", "y.txt.md", "z.md"}));
  EXPECT_EQ(Outputs({"/a/x.md", "/a/./x.md", "/a/b/../x.md"}), Names{"x.md"}) << "the same file";
  EXPECT_EQ(Outputs({"/a/x.md", "/a/y.md", "/b/x.md"}), (Names{"a/x.md", "y.md", "b/x.md"}));
  EXPECT_EQ(Outputs({"/r/a/1/x.md", "/r/b/1/x.md", "/r/x.md"}), (Names{"a/1/x.md", "b/1/x.md", "x.md"}));
}

TEST(NameAnswersTest, NothingIsReplaced) {
  EXPECT_NE(NameAnswers({"/out/x.md"}, "/out").status().message().find("replace"), std::string::npos);
  EXPECT_NE(NameAnswers({"/a/y", "/out/x.md"}, "/out").status().message().find("--out-dir"), std::string::npos);
  const Status both = NameAnswers({"/a/x.txt", "/a/x.txt.md"}, "/out").status();
  EXPECT_NE(both.message().find("x.txt.md"), std::string::npos) << both.message();
}

TEST(ReadDocumentTest, WhatIsNoTextSaysWhy) {
  const test::TemporaryFolder folder;
  const auto problem = [&](const std::string& path) { return ReadDocument(path, false).status().message(); };
  EXPECT_EQ(*ReadDocument(folder.Write("good", "text"), false), "text");
  EXPECT_NE(problem(folder.Write("zero", std::string("ab\0c", 4))).find("byte 2"), std::string::npos);
  EXPECT_NE(problem(folder.Write("empty", " \n\t\n")).find("empty"), std::string::npos);
  EXPECT_NE(problem(folder.path().string()).find("regular"), std::string::npos);
  EXPECT_NE(problem("/dev/zero").find("regular"), std::string::npos);
  EXPECT_NE(problem("nowhere").find("nowhere"), std::string::npos);
}

// A folder of files and their answers.
class EachTest : public testing::Test {
 protected:
  EachTest() {
    for (const char* name : {"a", "b", "c"}) paths_.push_back(files_.Write(name, std::string("text ") + name));
    options_.folder = answers_.path() / "out";
    options_.settings = "model 1";
  }

  struct Outcome {
    EachSummary summary;
    std::vector<Record> records;
    std::vector<std::string> failures;
    std::vector<std::string> said;
  };
  Outcome Run(FakeResponder& responder) {
    Outcome outcome;
    const auto count = [&](const std::vector<Message>& messages) { return responder.Count(messages); };
    const Result<EachPlan> plan = PlanEach(paths_, prompt_, options_, count,
                                           [&](const std::string& sentence) { outcome.said.push_back(sentence); });
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    if (!plan.ok()) return outcome;
    const EachCalls calls = {.answer = {[&](const std::string&, const std::string& text) {
                               return AnswerText(responder, prompt_, text, {}, {});
                             }},
                             .done = [&](const Record& record, const std::string&) {
                               if (record.error.empty()) outcome.records.push_back(record);
                               if (!record.error.empty()) outcome.failures.push_back(record.file + ": " + record.error);
                             }};
    const Result<EachSummary> summary = RunEach(*plan, prompt_, options_, calls);
    EXPECT_TRUE(summary.ok()) << summary.status().message();
    if (summary.ok()) outcome.summary = *summary;
    return outcome;
  }
  // Runs with a model that repeats the text, and tells which files it was asked about.
  std::string Asked() {
    FakeResponder responder(1000, [](const std::string& user) { return GenerateResult{.text = user}; });
    Run(responder);
    std::string asked;
    for (const std::vector<Message>& request : responder.requests) asked += request.back().content.back();
    return asked;
  }
  std::string Answer(const std::string& name) { return test::ReadFile(options_.folder / name); }

  test::TemporaryFolder files_;
  test::TemporaryFolder answers_;
  std::vector<std::string> paths_;
  EachOptions options_;
  ChatPrompt prompt_ = {.system = "s", .before = "Repeat: "};
};

TEST_F(EachTest, EachFileIsAnsweredOnce) {
  EXPECT_EQ(Asked(), "abc");
  EXPECT_EQ(Answer("b.md"), "Repeat: text b\n");
  EXPECT_EQ(Asked(), "");
  EXPECT_EQ(Answer("b.md"), "Repeat: text b\n");
  fs::remove(options_.folder / "b.md");
  EXPECT_EQ(Asked(), "b");
  options_.overwrite = true;
  EXPECT_EQ(Asked(), "abc");
}

// Files are told of in their order, whoever is done first; one that fails is its own trouble.
TEST_F(EachTest, SeveralAtATime) {
  for (const char* name : {"d", "e"}) paths_.push_back(files_.Write(name, std::string("text ") + name));
  const auto count = [](const std::vector<Message>&) { return Result<std::int32_t>(10); };
  const Result<EachPlan> plan = PlanEach(paths_, prompt_, options_, count, [](const std::string&) {});
  ASSERT_TRUE(plan.ok());
  std::latch later(2);  // the first file is done when two others are
  const EachCalls::Answer answer = [&](const std::string&, const std::string& text) -> Result<Record> {
    const char name = text.back();
    if (name == 'a') later.wait();
    if (name == 'b' || name == 'c') later.count_down();
    if (name == 'b') return Status(StatusCode::kContextFull, "too long");
    return Record{.result = {.text = "about " + text}};
  };
  std::string told;
  const auto done = [&](const Record& record, const std::string&) {
    told += record.error.empty() ? record.result.text.back() : '-';
  };
  const Result<EachSummary> summary =
      RunEach(*plan, prompt_, options_, {.answer = {answer, answer, answer}, .done = done});
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(told, "a-cde");
  EXPECT_EQ(summary->answered, 4);
  EXPECT_EQ(summary->failed, 1);
  for (const char* name : {"a", "c", "d", "e"})
    EXPECT_EQ(Answer(std::string(name) + ".md"), std::string("about text ") + name + "\n");
  EXPECT_FALSE(fs::exists(options_.folder / "b.md"));
  EXPECT_EQ(Asked(), "b");  // the next run
}

// What was answered while another answer was stopped, is kept.
TEST_F(EachTest, StoppedWhileSeveralAreAnswered) {
  const auto count = [](const std::vector<Message>&) { return Result<std::int32_t>(10); };
  const Result<EachPlan> plan = PlanEach(paths_, prompt_, options_, count, [](const std::string&) {});
  ASSERT_TRUE(plan.ok());
  std::latch begun(2);
  const EachCalls::Answer answer = [&](const std::string&, const std::string& text) -> Result<Record> {
    if (text.back() != 'c') begun.arrive_and_wait();
    if (text.back() == 'a') return Record{.result = {.finish_reason = FinishReason::kCancelled}};
    return Record{.result = {.text = "done"}};
  };
  const Result<EachSummary> summary =
      RunEach(*plan, prompt_, options_, {.answer = {answer, answer}, .done = [](const auto&, const auto&) {}});
  ASSERT_TRUE(summary.ok());
  EXPECT_TRUE(summary->interrupted);
  EXPECT_FALSE(fs::exists(options_.folder / "a.md"));
  EXPECT_EQ(Answer("b.md"), "done\n");
  EXPECT_EQ(summary->answered + summary->left, 3);
}

// Between the plan and its turn a file may vanish, grow or be emptied, and memory may be gone.
TEST_F(EachTest, WhatHappensToAFileMeanwhileIsItsOwnTrouble) {
  for (const char* name : {"d", "e"}) paths_.push_back(files_.Write(name, std::string("text ") + name));
  const auto count = [](const std::vector<Message>&) { return Result<std::int32_t>(10); };
  const Result<EachPlan> plan = PlanEach(paths_, prompt_, options_, count, [](const std::string&) {});
  ASSERT_TRUE(plan.ok());
  fs::remove(paths_[1]);
  files_.Write("c", " \n");
  const EachCalls::Answer answer = [](const std::string&, const std::string& text) -> Result<Record> {
    if (text.ends_with('d')) throw std::bad_alloc();
    return Record{.result = {.text = text}};
  };
  std::vector<std::string> told;
  const auto done = [&](const Record& record, const std::string&) { told.push_back(record.error); };
  const Result<EachSummary> summary = RunEach(*plan, prompt_, options_, {.answer = {answer, answer}, .done = done});
  ASSERT_TRUE(summary.ok());
  ASSERT_EQ(told.size(), 5u);
  EXPECT_EQ(told[0], "");
  EXPECT_NE(told[1].find("No such file"), std::string::npos) << told[1];
  EXPECT_NE(told[2].find("is empty"), std::string::npos) << told[2];
  EXPECT_EQ(told[3], "out of memory");
  EXPECT_EQ(told[4], "");
  EXPECT_EQ(summary->failed, 3);
}

TEST_F(EachTest, WhatChangedIsAnsweredAnew) {
  EXPECT_EQ(Asked(), "abc");
  files_.Write("c", "longer text c");
  EXPECT_EQ(Asked(), "c");
  EXPECT_EQ(Answer("c.md"), "Repeat: longer text c\n");
  prompt_.before = "Say: ";
  EXPECT_EQ(Asked(), "abc");
  options_.settings = "model 2";
  EXPECT_EQ(Asked(), "abc");
  EXPECT_EQ(Asked(), "");
}

TEST_F(EachTest, AnAnswerThatIsNotKnownStays) {
  fs::create_directories(options_.folder);
  answers_.Write("out/b.md", "somebody's own");
  FakeResponder responder(1000, [](const std::string& user) { return GenerateResult{.text = user}; });
  const Outcome outcome = Run(responder);
  EXPECT_EQ(outcome.summary.skipped, 1);
  ASSERT_EQ(outcome.said.size(), 1u);
  EXPECT_NE(outcome.said[0].find("b.md"), std::string::npos);
  EXPECT_EQ(Answer("b.md"), "somebody's own");
}

TEST_F(EachTest, OneFailureDoesNotStopTheRest) {
  paths_.insert(paths_.begin() + 1, {"nowhere", files_.Write("long", std::string(2000, 'x'))});
  FakeResponder responder(1000, [](const std::string& user) -> Result<GenerateResult> {
    if (user.ends_with('b')) return Status(StatusCode::kInvalidNumber, "NaN");
    return GenerateResult{.text = user};
  });
  const Outcome outcome = Run(responder);
  EXPECT_EQ(outcome.summary.answered, 2);
  EXPECT_EQ(outcome.summary.failed, 3);
  ASSERT_EQ(outcome.failures.size(), 3u);
  EXPECT_NE(outcome.failures[0].find("nowhere"), std::string::npos);
  EXPECT_NE(outcome.failures[1].find("1000"), std::string::npos) << outcome.failures[1];
  EXPECT_NE(outcome.failures[2].find("NaN"), std::string::npos);
  EXPECT_FALSE(fs::exists(options_.folder / "b.md"));
  ASSERT_EQ(outcome.records.size(), 2u);
  EXPECT_EQ(outcome.records[1].file, paths_.back());
  EXPECT_EQ(outcome.records[1].output, (options_.folder / "c.md").string());
}

TEST_F(EachTest, StoppedInTheMiddleItGoesOn) {
  FakeResponder responder(1000, [](const std::string& user) {
    return GenerateResult{.finish_reason = user.ends_with('b') ? FinishReason::kCancelled : FinishReason::kEndOfTurn,
                          .text = "half"};
  });
  const Outcome outcome = Run(responder);
  EXPECT_TRUE(outcome.summary.interrupted);
  EXPECT_EQ(outcome.summary.answered, 1);
  EXPECT_EQ(outcome.summary.left, 2);
  EXPECT_EQ(responder.requests.size(), 2u);
  EXPECT_FALSE(fs::exists(options_.folder / "b.md")) << "half an answer is none";
  EXPECT_EQ(Asked(), "bc");
}

TEST_F(EachTest, WhatACrashLeavesDoesNoHarm) {
  EXPECT_EQ(Asked(), "abc");
  const std::string log = Answer(".slm-chat.jsonl");
  // An answer that was being written, and a line of the log that was.
  answers_.Write("out/" + PartOf("b.md").string(), "hal");
  answers_.Write("out/.slm-chat.jsonl", log.substr(0, log.size() - 5));
  files_.Write("a", "new text a");
  // The line of "c" is lost, so it is not known what c.md answers: it stays, whole as it is.
  EXPECT_EQ(Asked(), "a");
  EXPECT_EQ(Answer("c.md"), "Repeat: text c\n");
  EXPECT_EQ(Asked(), "");
  answers_.Write("out/.slm-chat.jsonl", "\n[]\n{}\nnonsense\n{\"output\":1,\"fingerprint\":2}\n" + log);
  EXPECT_EQ(Asked(), "a") << "of the old log";
}

// A disk that is full has room for half a line of the log; the next one is whole all the same.
TEST_F(EachTest, HalfALineOfAFullDiskTakesNoOtherWithIt) {
  EXPECT_EQ(Asked(), "abc");
  Result<AnswerLog> log = AnswerLog::Open(options_.folder);
  ASSERT_TRUE(log.ok());
  ::rlimit whole = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &whole), 0);
  const ::rlimit full = {.rlim_cur = fs::file_size(options_.folder / kLogName) + 10, .rlim_max = whole.rlim_max};
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  const Status status = log->Add("a.md", 1);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &whole), 0);
  std::signal(SIGXFSZ, before);
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_TRUE(log->Add("b.md", 2).ok());
  const Result<AnswerLog> later = AnswerLog::Open(options_.folder);
  ASSERT_TRUE(later.ok());
  EXPECT_EQ(later->Find("b.md", 2), AnswerLog::State::kSame);
}

// A folder may come from a stranger.
TEST_F(EachTest, LinksInTheFolderOfAnswersLeadNowhere) {
  const fs::path precious = files_.Write("precious", "precious");
  fs::create_directories(options_.folder);
  fs::create_symlink(precious, options_.folder / PartOf("a.md"));
  EXPECT_EQ(Asked(), "abc");
  EXPECT_EQ(Answer("a.md"), "Repeat: text a\n");
  fs::remove(options_.folder / kLogName);
  fs::create_symlink(precious, options_.folder / kLogName);
  const auto count = [](const std::vector<Message>&) -> Result<std::int32_t> { return 1; };
  EXPECT_EQ(PlanEach(paths_, prompt_, options_, count, {}).status().code(), StatusCode::kIoError);
  EXPECT_EQ(AppendToFile(options_.folder / kLogName, "x").code(), StatusCode::kIoError);
  EXPECT_EQ(test::ReadFile(precious), "precious");
}

TEST_F(EachTest, FilesThatAreReadAreNotWrittenBeside) {
  fs::create_directories(options_.folder);
  for (const fs::path& name : {PartOf("a.md"), fs::path(kLogName)}) {
    const std::string path = (options_.folder / name).string();
    answers_.Write("out/" + name.string(), "it");
    const Result<std::vector<EachFile>> files = NameAnswers({paths_[0], path}, options_.folder);
    EXPECT_EQ(files.status().code(), StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(test::ReadFile(path), "it");
    fs::remove(path);
  }
}

TEST_F(EachTest, NamesThatDifferInBytesThatAreNoText) {
  paths_ = {files_.Write("x\xff.md", "text x"), files_.Write("x\xfe.md", "text y")};
  EXPECT_EQ(Asked(), "xy");
  EXPECT_EQ(Asked(), "");
  files_.Write("x\xfe.md", "text z");
  EXPECT_EQ(Asked(), "z");
}

TEST_F(EachTest, AFolderThatCantBeWrittenIsAnError) {
  options_.folder = fs::path(paths_[0]) / "out";
  const auto count = [](const std::vector<Message>&) -> Result<std::int32_t> { return 1; };
  EXPECT_EQ(PlanEach(paths_, prompt_, options_, count, {}).status().code(), StatusCode::kIoError);
}

TEST(ReplaceFileTest, ReplacesOrFails) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "new" / "file.md";
  ASSERT_TRUE(ReplaceFile(path, "one").ok());
  ASSERT_TRUE(ReplaceFile(path, "two").ok());
  EXPECT_EQ(test::ReadFile(path), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()), 1);
  EXPECT_EQ(ReplaceFile(path / "below", "x").code(), StatusCode::kIoError);
}

TEST(ReplaceFileTest, WhatIsNoFileStays) {
  const test::TemporaryFolder folder;
  const fs::path pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink("pipe", folder.path() / "link");
  for (const char* name : {"pipe", "link"}) {
    EXPECT_EQ(ReplaceFile(folder.path() / name, "x").code(), StatusCode::kIoError) << name;
    EXPECT_EQ(AppendToFile(folder.path() / name, "x").code(), StatusCode::kIoError) << name;
  }
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
  EXPECT_TRUE(ReplaceFile(folder.path() / std::string(255, 'n'), "x").ok()) << "any name that a file may have";
}

// Numbers of Python's xxhash: they are kept in files, so that they must not change.
TEST(FingerprintTest, IsXxh3) {
  EXPECT_EQ(Fingerprint(""), 0x2D06800538D394C2u);
  EXPECT_EQ(Fingerprint("a"), 0xE6C632B61E964E1Fu);
  EXPECT_EQ(Fingerprint("foobar"), 0xD78FDA63144C5C84u);
}

}  // namespace

}  // namespace slm::tools
