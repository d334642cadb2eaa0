#!/usr/bin/env python3
"""Tests of bench/compare with programs that only pretend to measure."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).resolve().parents[2] / "bench" / "compare"

# Each call logs its name and takes its next figure from a list, so that medians and ratios are known.
FAKE = """#!{python}
import json, pathlib, sys
log = pathlib.Path({log!r})
calls = log.read_text().split() if log.exists() else []
figure = {figures!r}[calls.count({name!r})]
log.write_text(" ".join(calls + [{name!r}]))
generates = "-n 0" not in " ".join(sys.argv)
if {name!r} == "slm":
    print(json.dumps({{"prompt_tps": figure * 10, "generate_tps": figure if generates else None}}))
else:
    results = [{{"n_prompt": 512, "n_gen": 0, "avg_ts": figure * 10}}]
    print(json.dumps(results + [{{"n_prompt": 0, "n_gen": 64, "avg_ts": figure}}] * generates))
"""


class CompareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.log = self.folder / "log"

    def fake(self, name, figures):
        path = self.folder / name
        path.write_text(FAKE.format(python=sys.executable, log=str(self.log), figures=figures, name=name))
        path.chmod(0o755)
        return str(path)

    def compare(self, *arguments):
        command = [sys.executable, str(COMPARE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def compare_fakes(self, *arguments, slm=(20,), llama=(10,)):
        programs = ["--slm", self.fake("slm", slm), "--llama", self.fake("llama", llama)]
        done = self.compare(*programs, "model.gguf", "-r", str(len(slm)), *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_programs_take_turns_and_medians_are_compared(self):
        result = json.loads(self.compare_fakes("--json", slm=(30, 10, 20), llama=(10, 20, 5)))
        self.assertEqual(self.log.read_text().split(), ["slm", "llama"] * 3)
        self.assertEqual([row["test"] for row in result["rows"]], ["prompt", "generate"])
        pairs = result["pairs"]["model.gguf"]
        self.assertEqual([pair["slm"]["generate"] for pair in pairs], [30, 10, 20])
        self.assertEqual([pair["llama"]["generate"] for pair in pairs], [10, 20, 5])
        generate = result["rows"][1]
        self.assertEqual(generate["pairs"], 3)
        self.assertEqual(generate["noisy"], sum(pair["noisy"] for pair in pairs))
        if generate["noisy"] in (0, 3):  # of a quiet or a busy machine; between them some pairs are left out
            self.assertEqual((generate["slm"], generate["llama"], generate["ratio"]), (20, 10, 2))
            self.assertEqual((generate["ratio_min"], generate["ratio_max"]), (0.5, 4))

    def test_table(self):
        out = self.compare_fakes()
        figures = "| 200.0 (200.0 to 200.0) | 100.0 (100.0 to 100.0) | 2.00 (2.00 to 2.00) | 1"
        self.assertIn("| model.gguf | prompt | tokens/s " + figures, out)

    def test_a_part_can_be_skipped(self):
        rows = json.loads(self.compare_fakes("--json", "-n", "0"))["rows"]
        self.assertEqual([row["test"] for row in rows], ["prompt"])

    def test_first_token_is_wall_time(self):
        rows = json.loads(self.compare_fakes("--json", "--first-token"))["rows"]
        self.assertEqual([(row["test"], row["unit"]) for row in rows], [("first token", "s")])
        self.assertGreater(rows[0]["slm"], 0)
        self.assertAlmostEqual(rows[0]["ratio"], rows[0]["llama"] / rows[0]["slm"])

    def test_failures_are_sentences(self):
        good = self.fake("llama", [1])
        silent = self.folder / "silent"
        silent.write_text("#!/bin/sh\nexit 0\n")
        failing = self.folder / "failing"
        failing.write_text("#!/bin/sh\necho 'failing: no such model' >&2\nexit 3\n")
        for script in (silent, failing):
            script.chmod(0o755)
        for program, words in ((self.folder / "missing", "Cannot run"), (silent, "JSON"), (failing, "no such model")):
            done = self.compare("--slm", str(program), "--llama", good, "model.gguf", "-r", "1")
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout, "")
            self.assertIn(words, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_usage(self):
        self.assertEqual(self.compare("model.gguf").returncode, 2)
        self.assertEqual(self.compare("--slm", "a", "--llama", "b", "m.gguf", "-p", "0", "-n", "0").returncode, 2)


if __name__ == "__main__":
    unittest.main()
