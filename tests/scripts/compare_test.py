#!/usr/bin/env python3
"""Tests of bench/compare with programs that only pretend to measure."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).resolve().parents[2] / "bench" / "compare"

# Each call logs its name and takes its next figure from a list, so that medians and ratios are known. It also logs its
# arguments.
FAKE = """#!{python}
import json, pathlib, sys
log = pathlib.Path({log!r})
calls = log.read_text().split() if log.exists() else []
figure = {figures!r}[calls.count({name!r})]
log.write_text(" ".join(calls + [{name!r}]))
with open(log.with_name("commands"), "a") as commands:
    commands.write(" ".join([{name!r}] + sys.argv[1:]) + "\\n")
arguments = " ".join(sys.argv)
tests = ["prompt"] * ("-p 0" not in arguments) + ["generate"] * ("-n 0" not in arguments)
rates = dict(prompt=figure * 10, generate=figure)
if {name!r} == "slm":
    shares = (None, None) if "--no-peaks" in sys.argv else (0.5, 0.75)
    results = [dict(test=test, tps=rates[test], int8_share=shares[0], read_share=shares[1]) for test in tests]
    print(json.dumps(dict(peak_rss_bytes=123000000, results=results)))
else:
    print(json.dumps([dict(n_prompt=512 * (test == "prompt"), n_gen=0, avg_ts=rates[test]) for test in tests]))
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
        command = [sys.executable, "-B", str(COMPARE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def compare_fakes(self, *arguments, slm=(20,), llama=(10,)):
        programs = ["--slm", self.fake("slm", slm), "--llama", self.fake("llama", llama)]
        runs = len(slm) // 2 if "--busy" in arguments else len(slm)
        done = self.compare(*programs, "model.gguf", "-r", str(runs), *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_programs_take_turns_and_medians_are_compared(self):
        result = json.loads(self.compare_fakes("--json", slm=(30, 10, 20), llama=(10, 20, 5)))
        self.assertEqual(self.log.read_text().split(), ["slm", "llama"] * 3)
        self.assertEqual([row["test"] for row in result["rows"]], ["prompt", "generate"])
        self.assertEqual([(run["model"], run["depth"]) for run in result["runs"]], [("model.gguf", 0)])
        pairs = result["runs"][0]["pairs"]
        self.assertEqual([pair["idle"]["libslm"]["generate"] for pair in pairs], [30, 10, 20])
        self.assertEqual([pair["idle"]["llama.cpp"]["generate"] for pair in pairs], [10, 20, 5])
        generate = result["rows"][1]
        self.assertEqual(generate["pairs"], 3)
        self.assertEqual(generate["noisy"], sum(pair["noisy"] for pair in pairs))
        if generate["noisy"] in (0, 3):  # of a quiet or a busy machine; between them some pairs are left out
            self.assertEqual((generate["slm"], generate["peer"], generate["ratio"]), (20, 10, 2))
            self.assertEqual((generate["ratio_min"], generate["ratio_max"]), (0.5, 4))

    def test_table(self):
        lines = self.compare_fakes().splitlines()
        self.assertIn("| model.gguf | prompt | tokens/s | 200.0 (200.0 to 200.0) | llama.cpp | 100.0 (100.0 to 100.0) "
                      "| 2.00 (2.00 to 2.00) | 50% int8 | 123 | ", lines[2])
        self.assertIn("| model.gguf | generate |", lines[3])
        self.assertIn("| 75% read | 123 |", lines[3])
        for line in lines[:4]:
            self.assertEqual(line.count("|"), lines[0].count("|"))

    def test_no_peaks(self):
        rows = json.loads(self.compare_fakes("--json", "--no-peaks"))["rows"]
        self.assertEqual([row["slm_share"] for row in rows], [None, None])

    def test_several_peers_take_turns(self):
        programs = ["--slm", self.fake("slm", [20, 20])]
        programs += ["--llama", "old=" + self.fake("one", [10, 10]), "--llama", "new=" + self.fake("two", [40, 40])]
        done = self.compare(*programs, "model.gguf", "-r", "2", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.log.read_text().split(), ["slm", "one", "two"] * 2)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([(row["test"], row["peer_name"], row["ratio"]) for row in rows],
                         [("prompt", "old", 2), ("prompt", "new", 0.5), ("generate", "old", 2), ("generate", "new", 0.5)])

    def test_ik_llama_runs_in_its_own_python(self):
        done = self.compare("--slm", self.fake("slm", [20]), "--ik", self.fake("python", [10]), "model.gguf", "-r", "1",
                            "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["rows"][0]["peer_name"], "ik_llama.cpp")
        command = self.folder.joinpath("commands").read_text().splitlines()[1].split()
        self.assertEqual(command[:2], ["python", str(COMPARE.with_name("ik_bench.py"))])
        self.assertTrue(pathlib.Path(command[1]).exists())

    def test_depths(self):
        programs = ["--slm", self.fake("slm", [20, 10]), "--llama", self.fake("llama", [10, 10])]
        done = self.compare(*programs, "model.gguf", "-r", "1", "--json", "-d", "4096,0", "-p", "0")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([(row["depth"], row["ratio"]) for row in rows], [(0, 2), (4096, 1)])
        commands = self.folder.joinpath("commands").read_text().splitlines()
        self.assertEqual([command.split()[0] for command in commands], ["slm", "llama"] * 2)
        self.assertEqual([" -d 4096 " in command for command in commands], [False, False, True, True])

    def test_beside_a_busy_process(self):
        result = json.loads(self.compare_fakes("--json", "--busy", "1", slm=(20, 16), llama=(10, 5)))
        self.assertEqual(self.log.read_text().split(), ["slm", "slm", "llama", "llama"])
        row = result["rows"][1]
        self.assertEqual((row["slm"], row["peer"], row["ratio"]), (20, 10, 2))
        self.assertEqual((row["slm_kept"], row["peer_kept"]), (0.8, 0.5))
        pair = result["runs"][0]["pairs"][0]
        self.assertEqual(pair["busy"]["libslm"]["generate"], 16)

    def test_memory_of_a_process_is_its_own(self):
        rows = json.loads(self.compare_fakes("--json", "--first-token"))["rows"]
        for key in ("slm_peak_bytes", "peer_peak_bytes"):  # a Python that does little, not the script's 256 MiB probe
            self.assertGreater(rows[0][key], 1e6)
            self.assertLess(rows[0][key], 100e6)

    def test_a_part_can_be_skipped(self):
        rows = json.loads(self.compare_fakes("--json", "-n", "0"))["rows"]
        self.assertEqual([row["test"] for row in rows], ["prompt"])

    def test_first_token_is_wall_time(self):
        rows = json.loads(self.compare_fakes("--json", "--first-token"))["rows"]
        self.assertEqual([(row["test"], row["unit"]) for row in rows], [("first token", "s")])
        self.assertGreater(rows[0]["slm"], 0)
        self.assertAlmostEqual(rows[0]["ratio"], rows[0]["peer"] / rows[0]["slm"])

    def script(self, name, output, stream=1):
        """A program that logs its arguments and prints `output`."""
        path = self.folder / name
        log = self.folder / "commands"
        path.write_text(f"#!/bin/sh\necho {name} \"$@\" >>'{log}'\ncat >&{stream} <<'END'\n{output}\nEND\n")
        path.chmod(0o755)
        return str(path)

    def test_rows_and_conversations(self):
        slm = {"rows": [{"rows": 1, "tps": 20}, {"rows": 4, "tps": 60}],
               "parallel": [{"conversations": 1, "tps": 18}, {"conversations": 4, "tps": 54}]}
        rates = "\n".join(json.dumps({"pp": 8, "pl": count, "speed_tg": tps}) for count, tps in ((1, 10), (4, 20)))
        self.script("llama-batched-bench", f"\n{rates}\nlast words")
        done = self.compare("--slm", self.script("slm", json.dumps(slm)), "--llama", str(self.folder / "llama-bench"),
                            "model.gguf", "-r", "1", "-n", "16", "--shared", "4,1", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([(row["test"], row["ratio"], row["slm_share"]) for row in json.loads(done.stdout)["rows"]],
                         [("rows 1", 2, None), ("rows 4", 3, None), ("conversations 1", 1.8, None),
                          ("conversations 4", 2.7, None)])
        commands = self.folder.joinpath("commands").read_text().splitlines()
        self.assertIn("--rows 1,4 --parallel 1,4 -n 16 ", commands[0])
        self.assertIn("-npp 8 -ntg 16 -npl 1,4 -c 96 ", commands[1])

    def test_speculation(self):
        text = self.folder / "text.txt"
        text.write_text("a" * 100)
        slm = [{"temperature": 0.0, "plain_tps": 20, "guessing_tps": 60},
               {"temperature": 0.8, "plain_tps": 20, "guessing_tps": 30}]
        self.script("llama-lookup", "0.00 I decoded   67 tokens in    1.301 seconds, speed:   10.000 t/s", stream=2)
        done = self.compare("--slm", self.script("slm", json.dumps({"speculate": slm})),
                            "--llama", str(self.folder / "llama-bench"), "model.gguf", "-r", "1", "-n", "16",
                            "--speculate", str(text))
        self.assertEqual(done.returncode, 0, done.stderr)
        table = done.stdout.splitlines()
        self.assertEqual(len(table[2:6]), 4)
        self.assertIn("| guessing at temperature 0 | tokens/s | 60.0 (60.0 to 60.0) | llama.cpp | 10.0 ", table[3])
        self.assertNotIn("of peak", table[0])
        commands = self.folder.joinpath("commands").read_text().splitlines()
        self.assertIn(f"--speculate {text} -n 16 ", commands[0])
        self.assertEqual([(" -c 124 " in command, " --temp 0.8" in command, command.endswith("--spec-draft-n-max 0"))
                          for command in commands[1:]],
                         [(True, sampled, plain) for sampled in (False, True) for plain in (True, False)])

    def test_failures_are_sentences(self):
        good = self.fake("llama", [1])
        silent = self.folder / "silent"
        silent.write_text("#!/bin/sh\nexit 0\n")
        failing = self.folder / "failing"
        failing.write_text("#!/bin/sh\necho 'failing: no such model' >&2\nexit 3\n")
        for script in (silent, failing):
            script.chmod(0o755)
        for program, words in ((self.folder / "missing", "Cannot run"), (silent, "something else"), (failing, "no such model")):
            done = self.compare("--slm", str(program), "--llama", good, "model.gguf", "-r", "1")
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout, "")
            self.assertIn(words, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        done = self.compare("--slm", self.script("slm", '{"rows": [], "parallel": []}'), "--llama", good, "model.gguf",
                            "--shared", "1")
        self.assertIn("Cannot run " + str(self.folder / "llama-batched-bench"), done.stderr)

    def test_usage(self):
        self.assertEqual(self.compare("model.gguf").returncode, 2)
        self.assertEqual(self.compare("--slm", "a", "m.gguf").returncode, 2)
        self.assertEqual(self.compare("--slm", "a", "--llama", "b", "--llama", "c", "m.gguf").returncode, 2)
        self.assertEqual(self.compare("--slm", "a", "--ik", "b", "m.gguf", "--first-token").returncode, 2)
        self.assertEqual(self.compare("--slm", "a", "--ik", "b", "m.gguf", "--shared", "1").returncode, 2)
        self.assertEqual(self.compare("--slm", "a", "--llama", "b", "m.gguf", "--shared", "0").returncode, 2)
        self.assertEqual(self.compare("--slm", "a", "--llama", "b", "m", "--shared", "1", "--first-token").returncode, 2)
        self.assertEqual(self.compare("--slm", "a", "--llama", "b", "m.gguf", "-d", "0,-1").returncode, 2)
        self.assertEqual(self.compare("--slm", "a", "--llama", "b", "m.gguf", "-p", "0", "-n", "0").returncode, 2)


if __name__ == "__main__":
    unittest.main()
