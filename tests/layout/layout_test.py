"""The source tree keeps the layout's rules, and the rules notice when one is broken.

usage: layout_test.py [--nm NM] [OBJECT...]     objects of kernels/isa
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import layout_rules as rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
NM, OBJECTS = "nm", []

PICTURE = """\
```
tests           all of it                          need bench, tools, libslm/include
bench           speed                              needs tools, libslm/include, chat
tools           programs                           need libslm/include
libslm/include  the interface                      needs nothing
libslm
  src/chat      conversations                      needs text, jinja
  src/model     weights                            needs text
  src/jinja     templates                          needs base
  src/text      tokens                             needs base
  src/base      errors                             needs kernels, libslm/include
kernels         products                           needs nothing
```
"""

# A small tree that keeps the rules, to plant violations in.
TREE = {
    "README.md": "# x\n\n" + PICTURE,
    "docs/design.md": "# How\n\n" + PICTURE + "\nmore\n",
    "libslm/include/slm/slm.h": '#include <string>\n#include "slm/model.h"\nstruct Internal;\n',
    "libslm/include/slm/model.h": "#include <vector>\nclass Model {\n  friend struct Internal;\n};\n",
    "libslm/src/base/format.h": '#include <sched.h>\n#include "slm/model.h"\n#include "kernels.h"\n',
    "libslm/src/text/tokenizer.h": '#include "base/format.h"\n',
    "libslm/src/jinja/lexer.h": '#include "base/format.h"\n',
    "libslm/src/chat/chat.cc": '#include <nlohmann/json.hpp>\n#include "jinja/lexer.h"\n#include "text/tokenizer.h"\n',
    "libslm/src/model/arch_table.cc": '    .name = "gemma3",\n    .name = "phi3",\n',
    "kernels/kernels.h": '#include <cstdint>\n#include "unpack.h"\n',
    "kernels/unpack.h": "",
    "kernels/isa/avx2.cc": '#include <xsimd/xsimd.hpp>\n#include "kernels.h"\n',
    "kernels/CMakeLists.txt": 'set_source_files_properties(isa/avx2.cc\n  PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")\n',
    "tools/chat.h": "",
    "tools/chat.cc": '#include <CLI/CLI.hpp>\n#include "chat.h"\n#include "slm/slm.h"\n',
    "bench/writer.h": "#include <benchmark/benchmark.h>\n",
    "tests/data.h": '#include <gtest/gtest.h>\n#include "text/tokenizer.h"\n#include "unpack.h"\n#include "writer.h"\n',
    "CMakeLists.txt": "# never -march=native\nproject(x)\n",
    "CMakePresets.json": "{}\n",
}
CHECKS = [rules.check_includes, rules.check_circles, rules.check_architecture_names, rules.check_public_headers,
          rules.check_sizes, rules.check_compiler_flags, rules.check_picture]


class Project(unittest.TestCase):
    maxDiff = None

    def test_keeps_the_rules(self):
        self.assertGreater(len(list(rules.sources(ROOT))), 300)
        for check in CHECKS:
            with self.subTest(check.__name__):
                self.assertEqual("\n".join(check(ROOT)), "")

    def test_isa_objects_define_nothing_weak(self):
        if not OBJECTS:
            self.skipTest("no objects were named: a build without SIMD, or with sanitizers, which make such symbols")
        self.assertEqual(rules.check_isa_objects(OBJECTS, NM), [])


class Rules(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for file, text in TREE.items():
            self.write(file, text)

    def write(self, file, text):
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def expect_one(self, check, file, text, says):
        """Exactly one violation when `file` has this text, in it and saying so."""
        with self.subTest(file=file, text=text):
            self.write(file, text)
            violations = check(self.root)
            if file in TREE:
                self.write(file, TREE[file])
            else:
                (self.root / file).unlink()
            self.assertEqual(len(violations), 1, violations)
            self.assertIn(says, violations[0])

    def test_accept_a_tree_that_keeps_them(self):
        for check in CHECKS:
            with self.subTest(check.__name__):
                self.assertEqual(check(self.root), [])

    def test_notice_an_include_in_the_wrong_direction(self):
        for file, line, says in [
                ("tools/bad.cc", '#include "text/tokenizer.h"', "libslm/src/text/tokenizer.h must not be"),
                ("tools/bad.cc", '#include "../libslm/src/base/format.h"', "libslm/src/base/format.h must not be"),
                ("tools/bad.cc", '#include "kernels.h"', "kernels/kernels.h must not be"),
                ("tools/bad.cc", "#include <xsimd/xsimd.hpp>", "<xsimd/xsimd.hpp> does not belong"),
                ("tools/bad.cc", "#include <slm/slm.h>", "<slm/slm.h> does not belong"),
                ("bench/bad.cc", '#include "data.h"', "tests/data.h must not be"),
                ("libslm/include/slm/bad.h", '#include "base/format.h"', "libslm/src/base/format.h must not be"),
                ("libslm/include/slm/bad.h", "#include <omp.h>", "<omp.h> does not belong"),
                ("libslm/src/text/bad.cc", '#include "writer.h"', "bench/writer.h must not be"),
                ("libslm/src/text/bad.cc", "#include <nlohmann/json.hpp>", "<nlohmann/json.hpp> does not belong"),
                ("libslm/src/text/bad.cc", '#include "unpack.h"', "kernels/unpack.h is the kernels' own"),
                ("libslm/src/text/bad.cc", '  #  include "jinja/lexer.h"', "libslm/src/jinja/lexer.h must not be"),
                ("libslm/src/jinja/bad.cc", '#include "text/tokenizer.h"', "libslm/src/text/tokenizer.h must not be"),
                ("libslm/src/base/bad.cc", '#include "text/tokenizer.h"', "libslm/src/text/tokenizer.h must not be"),
                ("libslm/src/new/bad.cc", '#include "base/format.h"', "must not be included from new"),
                ("kernels/bad.cc", '#include "slm/slm.h"', "libslm/include/slm/slm.h must not be"),
                ("kernels/bad.cc", "#include <omp.h>", "<omp.h> does not belong"),
                ("kernels/bad.cc", '#include "nowhere.h"', '"nowhere.h" is no file of this project'),
                ("kernels/bad.cc", "#include KERNEL_HEADER", "must name a file"),
        ]:
            self.expect_one(rules.check_includes, file, f"// first line\n{line}\n", f"{file}:2: ")
            self.expect_one(rules.check_includes, file, f"// first line\n{line}\n", says)

    def test_notice_a_circle_between_folders(self):
        self.expect_one(rules.check_circles, "bench/bad.h", '#include "data.h"\n', "include each other")
        self.expect_one(rules.check_circles, "kernels/bad.h", '#include "jinja/lexer.h"\n', "include each other")

    def test_notice_a_room_outside_the_picture(self):
        self.expect_one(rules.check_picture, "libslm/src/new/a.cc", "", "no room new")
        self.expect_one(rules.check_picture, "README.md", "# no picture\n", "README.md: the picture")

    def test_notice_an_architecture_by_name(self):
        for line in ['if (name == "phi3") x();', 'if ("gemma3" != name) x();', 'if (name.starts_with("gemma")) x();']:
            self.expect_one(rules.check_architecture_names, "libslm/src/text/bad.cc", line + "\n",
                            "libslm/src/text/bad.cc:1: compares with the architecture")
        self.expect_one(rules.check_architecture_names, "libslm/src/text/bad.cc", 'Find("general.architecture");\n',
                        "asks for general.architecture")

    def test_notice_internals_in_a_public_header(self):
        for line, says in [("class TokenizerBackend;", "TokenizerBackend is not defined in a public header"),
                           ("  Internal& internal() const;", "for friendship only"),
                           ("  // The library's own: private to the library.", "does not belong here")]:
            self.expect_one(rules.check_public_headers, "libslm/include/slm/bad.h", f"\n{line}\n",
                            "libslm/include/slm/bad.h:2: ")
            self.expect_one(rules.check_public_headers, "libslm/include/slm/bad.h", line + "\n", says)

    def test_notice_files_that_grew_too_long(self):
        self.expect_one(rules.check_sizes, "tools/long.cc", "\n" * 501, "has 501 lines, more than 500")
        self.expect_one(rules.check_sizes, "libslm/include/slm/long.h", "\n" * 201, "has 201 lines, more than 200")

    def test_notice_forbidden_flags(self):
        for file, text, says in [
                ("libslm/CMakeLists.txt", "add_compile_options(-mavx2)", "-mavx2 is an instruction-set flag"),
                ("kernels/scalar/CMakeLists.txt", "add_compile_options(-msse4.1)", "-msse4.1 is an instruction-set"),
                ("kernels/flags.cmake", "f(isa/avx2.cc)\nadd_compile_options(-mfma)", "-mfma is an instruction-set"),
                ("bench/CMakeLists.txt", 'set(CMAKE_CXX_FLAGS "-O3 -march=native")', "-march=native makes results"),
                ("cmake/flags.cmake", "add_compile_options(-O3 -ffast-math)", "-ffast-math makes results depend"),
                ("third_party/dependencies.cmake", "set(x -march=armv8.2-a+dotprod)", "-march=armv8.2-a+dotprod is"),
                ("CMakePresets.json", '{"CMAKE_CXX_FLAGS": "-mcpu=native"}', "-mcpu=native makes results depend"),
                ("kernels/CMakeLists.txt", 'f(isa/avx2.cc PROPERTIES COMPILE_OPTIONS "-Ofast")', "-Ofast makes"),
        ]:
            self.expect_one(rules.check_compiler_flags, file, text + "\n", says)

    def test_notice_a_weak_symbol_in_an_isa_object(self):
        for text, expected in [("inline int F(int x) { return x + 1; }\nint (*p)(int) = F;\n", 1),
                               ("static int F(int x) { return x + 1; }\nint (*p)(int) = F;\n", 0)]:
            self.write("weak.cc", text)
            subprocess.run(["c++", "-c", self.root / "weak.cc", "-o", self.root / "weak.o"], check=True)
            violations = rules.check_isa_objects([self.root / "weak.o"])
            self.assertEqual(len(violations), expected, violations)


if __name__ == "__main__":
    if "--nm" in sys.argv:
        at = sys.argv.index("--nm")
        NM = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    OBJECTS = [argument for argument in sys.argv[1:] if argument.endswith(".o")]
    unittest.main(argv=[sys.argv[0]], verbosity=1)
