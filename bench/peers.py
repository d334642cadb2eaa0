"""The programs that bench/compare runs: libslm's slm-bench, llama.cpp's llama-bench, and ik_llama.cpp through ik_bench.py."""

import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile
import time

FIRST_TOKEN_PROMPT = 64


class Failure(Exception):
    """A sentence for the user."""


@dataclasses.dataclass
class Output:
    text: str
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
    return Output(texts[0], seconds, usage.ru_maxrss * unit)


def run_parsed(command, parse):
    """What `parse` makes of the JSON that a program prints, and the rest of what is known of its run."""
    output = run(command)
    try:
        return parse(json.loads(output.text)), output
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{command[0]} printed something else than its JSON; is it the right program?") from error


class Slm:
    """slm-bench. Its shares of the machine's peaks are of int8 multiply-adds for prompts, of reading for generation."""
    label = "libslm"
    has_first_token = True

    def __init__(self, program, kernels, peaks):
        self.program = program
        self.options = ["--kernels", kernels] if kernels else []
        self.peaks = [] if peaks else ["--no-peaks"]

    def rates(self, args, model, depth):
        command = [self.program, model, "-p", str(args.prompt), "-n", str(args.generate), "-d", str(depth), "-r", "1"]
        command += ["-t", str(args.threads), "--json", *self.options, *self.peaks]
        return run_parsed(command, self.parse)[0]

    @staticmethod
    def parse(report):
        run_of_all = Run({}, report["peak_rss_bytes"])  # its own word, since measuring the peaks takes memory as well
        for result in report["results"]:
            run_of_all.values[result["test"]] = result["tps"]
            share = result["int8_share" if result["test"] == "prompt" else "read_share"]
            if share is not None:
                run_of_all.shares[result["test"]] = share
        return run_of_all

    def first_token(self, args, model):
        command = [self.program, model, "--first-token", "-p", str(FIRST_TOKEN_PROMPT), "-t", str(args.threads)]
        output = run(command + self.options)
        return Run({"first token": output.seconds}, output.peak_bytes)


class LlamaBench:
    """llama-bench of llama.cpp, or a program that prints the same JSON."""
    has_first_token = True

    def __init__(self, label, command):
        self.label = label
        self.command = command

    def rates(self, args, model, depth):
        command = [*self.command, "-m", model, "-p", str(args.prompt), "-n", str(args.generate), "-d", str(depth)]
        values, output = run_parsed(command + ["-r", "1", "-t", str(args.threads), "-o", "json"], self.parse)
        return Run(values, output.peak_bytes)

    @staticmethod
    def parse(results):
        return {"prompt" if result["n_prompt"] else "generate": result["avg_ts"] for result in results}

    def first_token(self, args, model):
        command = [*self.command, "-m", model, "-p", str(FIRST_TOKEN_PROMPT), "-n", "0", "-r", "1", "--no-warmup"]
        output = run(command + ["-t", str(args.threads), "-o", "json"])
        return Run({"first token": output.seconds}, output.peak_bytes)


class IkLlama(LlamaBench):
    """ik_llama.cpp as a Python package; the start of Python would count as its own, so it has no first token."""
    has_first_token = False

    def __init__(self, python):
        super().__init__("ik_llama.cpp", [python, str(pathlib.Path(__file__).with_name("ik_bench.py"))])


def llama_bench(text):
    """[LABEL=]PROGRAM"""
    label, equals, program = text.partition("=")
    return LlamaBench(label, [program]) if equals else LlamaBench("llama.cpp", [text])
