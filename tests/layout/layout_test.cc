// The source tree keeps the layout's rules, and the checker that says so notices when one is broken.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "layout/layout_rules.h"

namespace slm::test {
namespace {

namespace fs = std::filesystem;

std::string Lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

TEST(Layout, IncludesPointOneWay) {
  const LayoutReport report = CheckIncludes(SLM_SOURCE_DIR);
  EXPECT_GT(report.files, 20);
  EXPECT_TRUE(report.violations.empty()) << Lines(report.violations);
}

TEST(Layout, InstructionSetFlagsOnlyForIsaFiles) {
  const LayoutReport report = CheckCompilerFlags(SLM_SOURCE_DIR);
  EXPECT_GT(report.files, 5);
  EXPECT_TRUE(report.violations.empty()) << Lines(report.violations);
}

// A small tree that keeps the rules, to plant violations in.
class LayoutRules : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo& info = *testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / ("slm_layout_" + std::string(info.name()));
    fs::remove_all(root_);
    Write("libslm/include/slm/slm.h", "#include <string>\n#include \"slm/model.h\"\n");
    Write("libslm/include/slm/model.h", "#include <vector>\n");
    Write("libslm/src/base/format.h", "#include \"slm/model.h\"\n");
    Write("libslm/src/file/gguf.h", "#include <sys/mman.h>\n#include \"formats.h\"\n#include \"base/format.h\"\n");
    Write("libslm/src/text/tokenizer.h", "#include \"file/gguf.h\"\n");
    Write("libslm/src/model/weights.h", "#include \"text/tokenizer.h\"\n");
    Write("libslm/src/infer/forward.h", "#include <omp.h>\n#include \"kernels.h\"\n#include \"model/weights.h\"\n");
    Write("kernels/kernels.h", "#include <cstdint>\n#include \"formats.h\"\n");
    Write("kernels/formats.h", "");
    Write("kernels/unpack.h", "");
    Write("kernels/isa/avx2.cc", "#include <xsimd/xsimd.hpp>\n#include \"kernels.h\"\n");
    Write("kernels/CMakeLists.txt",
          "set_source_files_properties(isa/avx2.cc\n  PROPERTIES COMPILE_OPTIONS \"-mavx2;-mfma\")\n");
    Write("tools/chat.h", "");
    Write("tools/chat.cc", "#include <CLI/CLI.hpp>\n#include \"chat.h\"\n#include \"slm/slm.h\"\n");
    Write("tests/support/data.h", "#include <gtest/gtest.h>\n#include \"infer/forward.h\"\n#include \"unpack.h\"\n");
    Write("CMakeLists.txt", "# never -march=native\nproject(x)\n");
    Write("CMakePresets.json", "{}\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const fs::path& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }

  // Exactly one violation, in `file` and saying `text`.
  static void ExpectOne(const LayoutReport& report, const std::string& file, const std::string& text) {
    ASSERT_EQ(report.violations.size(), 1u) << "for " << file << ": " << text << Lines(report.violations);
    EXPECT_EQ(report.violations[0].rfind(file, 0), 0u) << report.violations[0];
    EXPECT_NE(report.violations[0].find(text), std::string::npos) << report.violations[0];
  }

  fs::path root_;
};

TEST_F(LayoutRules, AcceptsATreeThatKeepsThem) {
  EXPECT_TRUE(CheckIncludes(root_).violations.empty()) << Lines(CheckIncludes(root_).violations);
  EXPECT_EQ(CheckIncludes(root_).files, 14);
  EXPECT_TRUE(CheckCompilerFlags(root_).violations.empty()) << Lines(CheckCompilerFlags(root_).violations);
  EXPECT_EQ(CheckCompilerFlags(root_).files, 3);
}

TEST_F(LayoutRules, NoticesAnIncludeInTheWrongDirection) {
  const struct {
    const char* file;
    const char* line;
    const char* says;
  } kPlanted[] = {
      {"tools/bad.cc", "#include \"model/weights.h\"", "libslm/src/model/weights.h must not"},
      {"tools/bad.cc", "#include \"../libslm/src/file/gguf.h\"", "libslm/src/file/gguf.h must not"},
      {"tools/bad.cc", "#include \"kernels.h\"", "kernels/kernels.h must not"},
      {"tools/bad.cc", "#include <xsimd/xsimd.hpp>", "<xsimd/xsimd.hpp> does not belong"},
      {"tools/bad.cc", "#include <slm/slm.h>", "<slm/slm.h> does not belong"},
      {"libslm/include/slm/bad.h", "#include \"file/gguf.h\"", "libslm/src/file/gguf.h must not"},
      {"libslm/include/slm/bad.h", "#include <omp.h>", "<omp.h> does not belong"},
      {"libslm/src/infer/bad.cc", "#include \"chat.h\"", "tools/chat.h must not"},
      {"libslm/src/infer/bad.cc", "#include \"support/data.h\"", "tests/support/data.h must not"},
      {"libslm/src/infer/bad.cc", "#include <nlohmann/json.hpp>", "<nlohmann/json.hpp> does not belong"},
      {"libslm/src/infer/bad.cc", "#include \"unpack.h\"", "kernels/unpack.h must not"},
      {"libslm/src/model/bad.cc", "  #  include \"infer/forward.h\"", "libslm/src/infer/forward.h must not"},
      {"libslm/src/text/bad.cc", "#include \"model/weights.h\"", "libslm/src/model/weights.h must not"},
      {"libslm/src/file/bad.cc", "#include \"text/tokenizer.h\"", "libslm/src/text/tokenizer.h must not"},
      {"libslm/src/base/bad.cc", "#include \"file/gguf.h\"", "libslm/src/file/gguf.h must not"},
      {"kernels/bad.cc", "#include \"slm/slm.h\"", "libslm/include/slm/slm.h must not"},
      {"kernels/bad.cc", "#include \"base/format.h\"", "libslm/src/base/format.h must not"},
      {"kernels/bad.cc", "#include <omp.h>", "<omp.h> does not belong"},
      {"kernels/bad.cc", "#include \"nowhere.h\"", "\"nowhere.h\" is no file of this project"},
      {"kernels/bad.cc", "#include KERNEL_HEADER", "must name a file"},
  };
  for (const auto& planted : kPlanted) {
    Write(planted.file, std::string("// first line\n") + planted.line + "\n");
    ExpectOne(CheckIncludes(root_), std::string(planted.file) + ":2:", planted.says);
    fs::remove(root_ / planted.file);
  }
}

TEST_F(LayoutRules, NoticesForbiddenFlags) {
  const struct {
    const char* file;
    const char* text;
    const char* says;
  } kPlanted[] = {
      {"libslm/CMakeLists.txt", "add_compile_options(-mavx2)", "-mavx2 is an instruction-set flag"},
      {"kernels/scalar/CMakeLists.txt", "add_compile_options(-msse4.1)", "-msse4.1 is an instruction-set flag"},
      {"kernels/flags.cmake", "f(isa/avx2.cc)\nadd_compile_options(-mfma)", "-mfma is an instruction-set flag"},
      {"bench/CMakeLists.txt", "set(CMAKE_CXX_FLAGS \"-O3 -march=native\")", "-march=native makes results depend"},
      {"cmake/flags.cmake", "add_compile_options(-O3 -ffast-math)", "-ffast-math makes results depend"},
      {"third_party/dependencies.cmake", "set(x -march=armv8.2-a+dotprod)", "-march=armv8.2-a+dotprod is an"},
  };
  for (const auto& planted : kPlanted) {
    Write(planted.file, std::string(planted.text) + "\n");
    ExpectOne(CheckCompilerFlags(root_), planted.file, planted.says);
    fs::remove(root_ / planted.file);
  }
  Write("CMakePresets.json", R"({"CMAKE_CXX_FLAGS": "-mcpu=native"})");
  ExpectOne(CheckCompilerFlags(root_), "CMakePresets.json", "-mcpu=native makes results depend");
}

TEST_F(LayoutRules, NoticesAForbiddenFlagEvenForAnIsaFile) {
  Write("kernels/CMakeLists.txt", "set_source_files_properties(isa/avx2.cc PROPERTIES COMPILE_OPTIONS \"-Ofast\")\n");
  ExpectOne(CheckCompilerFlags(root_), "kernels/CMakeLists.txt", "-Ofast makes results depend");
}

}  // namespace
}  // namespace slm::test
