// slm-make-model as a program.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>
#include <vector>

#include "model_shapes.h"
#include "slm/model.h"
#include "slm/session.h"
#include "support/run_program.h"

namespace slm::bench {
namespace {

namespace fs = std::filesystem;

test::ProgramResult MakeModel(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), SLM_MAKE_MODEL);
  return test::RunProgram(std::move(arguments));
}

// The largest memory of any program this one ran, in bytes.
std::uint64_t PeakMemoryOfPrograms() {
  rusage usage = {};
  getrusage(RUSAGE_CHILDREN, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

TEST(MakeModel, WritesALayerOfGemma3InLittleMemory) {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "gemma.gguf").string();
  const test::ProgramResult result = MakeModel({"gemma3-1b", path, "--layers", "1"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, path + ": 15 tensors, 0.35 GB\n");
  EXPECT_LT(PeakMemoryOfPrograms(), fs::file_size(path) / 3 * 2);  // a sixth, but with sanitizers nearly half

  const Result<Model> model = Model::Open(path);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->vocab_size(), 262144);
  EXPECT_EQ(model->layer_count(), 1);
  Result<Session> session = Session::Create(*model, {.context_length = 8});
  ASSERT_TRUE(session.ok()) << session.status().message();
  const std::vector<Token> tokens = {2, 500, 600};
  const Result<std::span<const float>> logits = session->Append(tokens);
  EXPECT_TRUE(logits.ok()) << logits.status().message();
}

TEST(MakeModel, ListsEveryShapeWithTheSizesOfItsFiles) {
  const test::ProgramResult result = MakeModel({"--list"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const ModelShape& shape : AllShapes()) {
    EXPECT_NE(result.out.find(shape.name), std::string::npos) << result.out;
  }
  EXPECT_NE(result.out.find("7242 M   4.37 GB   4.11 GB"), std::string::npos) << result.out;  // Mistral 7B
}

TEST(MakeModel, HelpShowsExamples) {
  const test::ProgramResult result = MakeModel({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("Examples:\n  slm-make-model --list\n"), std::string::npos) << result.out;
}

TEST(MakeModel, SaysWhatIsWrongWithItsArguments) {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "x.gguf").string();
  struct Case {
    std::vector<std::string> arguments;
    std::string message;
  };
  const Case cases[] = {
      {{}, "SHAPE is required"},
      {{"gemma3-1b"}, "OUT.gguf is required"},
      {{"gemma-1b", path}, "unknown shape \"gemma-1b\"; known: gemma3-1b, gemma3-4b, "},
      {{"gemma3-1b", path, "--mix", "q5_k_m"}, "q5_k_m not in {q4_k_m,q4_0}"},
      {{"gemma3-1b", path, "--layers", "0"}, "--layers: Value 0 not in range"},
      {{"gemma3-1b", path, "--seed", "x"}, "--seed"},
  };
  for (const Case& wrong : cases) {
    const test::ProgramResult result = MakeModel(wrong.arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(wrong.message), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(path));
  }
}

TEST(MakeModel, WritesOverNoDevice) {
  const test::ProgramResult result = MakeModel({"llama2-70b", "/dev/full", "--layers", "1"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "slm-make-model: cannot write /dev/full: it is a folder or device; a file's name is needed\n");
}

}  // namespace
}  // namespace slm::bench
