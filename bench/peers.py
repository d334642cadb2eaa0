"""The programs that bench/compare runs: libslm's slm-bench, llama.cpp's llama-bench and its neighbours, and
ik_llama.cpp through ik_bench.py. Each has a method for each mode of bench/compare that it knows."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

FIRST_TOKEN_PROMPT = 64


class Failure(Exception):
    """A sentence for the user."""


@dataclasses.dataclass
class Output:
    text: str
    messages: str  # on standard error
    seconds: float  # wall clock
    peak_bytes: int  # resident memory at its highest


@dataclasses.dataclass
class Run:
    """What one process measured."""
    values: dict  # test -> tokens/s, or seconds
    peak_bytes: int
    shares: dict = dataclasses.field(default_factory=dict)  # test -> part of the machine's peak, 0 to 1


def run(command):
    """Runs a program that must succeed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        except OSError as error:
            raise Failure(f"Cannot run {command[0]}: {error.strerror}.") from error
        _, status, usage = os.wait4(process.pid, 0)  # unlike Popen.wait, it tells the memory of this one process
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    if process.returncode != 0:
        last_words = (texts[1].strip().splitlines() or ["it said nothing"])[-1]
        raise Failure(f"{' '.join(command)} failed with exit code {process.returncode}: {last_words}")
    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return Output(*texts, seconds, usage.ru_maxrss * unit)


def run_parsed(command, parse):
    """What `parse` makes of the output of a program, and the output."""
    output = run(command)
    try:
        return parse(output), output
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{command[0]} printed something else than its figures; is it the right program?") from error


class Slm:
    """slm-bench. Its shares of the machine's peaks are of int8 multiply-adds for prompts, of reading for generation."""
    label = "libslm"

    def __init__(self, program, kernels, peaks):
        self.program = program
        self.options = ["--kernels", kernels] if kernels else []
        self.peaks = [] if peaks else ["--no-peaks"]

    def rates(self, args, model, depth):
        command = [self.program, model, "-p", str(args.prompt), "-n", str(args.generate), "-d", str(depth), "-r", "1"]
        command += ["-t", str(args.threads), "--json", *self.options, *self.peaks]
        return run_parsed(command, self.parse)[0]

    @staticmethod
    def parse(output):
        report = json.loads(output.text)
        run_of_all = Run({}, report["peak_rss_bytes"])  # its own word, since measuring the peaks takes memory as well
        for result in report["results"]:
            run_of_all.values[result["test"]] = result["tps"]
            share = result["int8_share" if result["test"] == "prompt" else "read_share"]
            if share is not None:
                run_of_all.shares[result["test"]] = share
        return run_of_all

    def first_token(self, args, model, _depth):
        command = [self.program, model, "--first-token", "-p", str(FIRST_TOKEN_PROMPT), "-t", str(args.threads)]
        output = run(command + self.options)
        return Run({"first token": output.seconds}, output.peak_bytes)

    def shared(self, args, model, _depth):
        counts = ",".join(map(str, args.shared))
        command = [self.program, model, "--rows", counts, "--parallel", counts, "-n", str(args.generate), "-r", "1"]

        def parse(output):
            report = json.loads(output.text)
            return {f"{unit} {rate[unit]}": rate["tps"]
                    for key, unit in (("rows", "rows"), ("parallel", "conversations")) for rate in report[key]}
        values, output = run_parsed([*command, "-t", str(args.threads), "--json", *self.options], parse)
        return Run(values, output.peak_bytes)

    def speculate(self, args, model, _depth):
        command = [self.program, model, "--speculate", args.speculate, "-n", str(args.generate), "-r", "1"]

        def parse(output):
            return {f"{kind} at temperature {one['temperature']:g}": one[key]
                    for one in json.loads(output.text)["speculate"]
                    for kind, key in (("plain", "plain_tps"), ("guessing", "guessing_tps"))}
        values, output = run_parsed([*command, "-t", str(args.threads), "--json", *self.options], parse)
        return Run(values, output.peak_bytes)


class LlamaBench:
    """llama-bench of llama.cpp, or a program that prints the same JSON; for what several rows share, and for guessing,
    llama-batched-bench and llama-lookup beside it."""
    modes = ("rates", "first_token", "shared", "speculate")

    def __init__(self, label, command):
        self.label = label
        self.command = command

    def rates(self, args, model, depth):
        command = [*self.command, "-m", model, "-p", str(args.prompt), "-n", str(args.generate), "-d", str(depth)]
        values, output = run_parsed(command + ["-r", "1", "-t", str(args.threads), "-o", "json"], self.parse)
        return Run(values, output.peak_bytes)

    @staticmethod
    def parse(output):
        return {"prompt" if result["n_prompt"] else "generate": result["avg_ts"] for result in json.loads(output.text)}

    def beside(self, name):
        return str(pathlib.Path(self.command[-1]).with_name(name))

    def first_token(self, args, model, _depth):
        command = [*self.command, "-m", model, "-p", str(FIRST_TOKEN_PROMPT), "-n", "0", "-r", "1", "--no-warmup"]
        output = run(command + ["-t", str(args.threads), "-o", "json"])
        return Run({"first token": output.seconds}, output.peak_bytes)

    def shared(self, args, model, _depth):
        """Rows of as many conversations, with the logits of each: also what is held against rows of one text."""
        command = [self.beside("llama-batched-bench"), "-m", model, "-npp", "8", "-ntg", str(args.generate)]
        command += ["-npl", ",".join(map(str, args.shared)), "-c", str(max(args.shared) * (8 + args.generate))]

        def parse(output):
            rates = [json.loads(line) for line in output.text.splitlines() if line.startswith("{")]
            return {f"{kind} {rate['pl']}": rate["speed_tg"] for kind in ("rows", "conversations") for rate in rates}
        values, output = run_parsed([*command, "-t", str(args.threads), "--output-format", "jsonl"], parse)
        return Run(values, output.peak_bytes)

    def speculate(self, args, model, _depth):
        command = [self.beside("llama-lookup"), "-m", model, "-f", args.speculate, "--no-escape", "--ignore-eos"]
        command += ["-n", str(args.generate), "-t", str(args.threads), "--seed", "1"]
        command += ["-c", str(os.path.getsize(args.speculate) + args.generate + 8)]  # a token is a byte or more

        def parse(output):
            return float(re.search(r"decoded .* speed: +([0-9.]+) t/s", output.messages)[1])
        result = Run({}, 0)
        for temperature in ("0", "0.8"):
            for kind, options in (("plain", ["--spec-draft-n-max", "0"]), ("guessing", [])):
                rate, output = run_parsed([*command, "--temp", temperature, *options], parse)
                result.values[f"{kind} at temperature {temperature}"] = rate
                result.peak_bytes = max(result.peak_bytes, output.peak_bytes)
        return result


class IkLlama(LlamaBench):
    """ik_llama.cpp as a Python package; the start of Python would count as its own, so it has no first token."""
    modes = ("rates",)

    def __init__(self, python):
        super().__init__("ik_llama.cpp", [python, str(pathlib.Path(__file__).with_name("ik_bench.py"))])


def llama_bench(text):
    """[LABEL=]PROGRAM"""
    label, equals, program = text.partition("=")
    return LlamaBench(label, [program]) if equals else LlamaBench("llama.cpp", [text])
