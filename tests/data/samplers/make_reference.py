#!/usr/bin/env python3
"""Writes reference.jsonl: what the sampling chain leaves of made-up logits, and with which probabilities.

Everything is computed here from the definitions, step after step with everything sorted, in double precision; the code
under test is not asked. With --llama-cpp LIBRARY, a shared library that exports llama.cpp's sampler functions (the one
in the Python package xllamacpp does), every step's result is compared with llama.cpp's. Differences end the program;
each line says which steps were confirmed.

    python3 make_reference.py [--llama-cpp LIBRARY]          (needs numpy)

Each line: "logits", "history" (accepted tokens, oldest first), "pieces" (texts of the tokens, where DRY needs them),
"options" (those that are not off), "tokens" and "probabilities" (what is left, the most likely first).
"""

import argparse
import json
import pathlib

import numpy

OFF = dict(temperature=1.0, dynatemp_range=0.0, dynatemp_exponent=1.0, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0,
           top_n_sigma=-1.0, xtc_probability=0.0, xtc_threshold=0.1, repeat_penalty=1.0, frequency_penalty=0.0,
           presence_penalty=0.0, repeat_last_n=64, dry_multiplier=0.0, dry_base=1.75, dry_allowed_length=2,
           dry_penalty_last_n=64, dry_sequence_breakers=[], mirostat=0, mirostat_tau=5.0, mirostat_eta=0.1,
           logit_bias=[])


def last(history, count):
    return history if count < 0 else history[max(0, len(history) - count):]


class State:
    """What is left, the most likely first and the lowest id first among equals."""

    def __init__(self, logits):
        self.tokens = [i for i in range(len(logits)) if logits[i] != -numpy.inf]
        self.logits = [float(logits[i]) for i in self.tokens]
        self.sort()

    def sort(self):
        order = sorted(range(len(self.tokens)), key=lambda i: (-self.logits[i], self.tokens[i]))
        self.keep(order)

    def keep(self, order):
        self.tokens, self.logits = [self.tokens[i] for i in order], [self.logits[i] for i in order]

    def p(self):
        e = numpy.exp(numpy.array(self.logits) - max(self.logits))
        return e / e.sum()


def bias(logits, o):
    for token, b in o["logit_bias"]:
        logits[token] += b


def penalties(logits, history, o):
    recent = last(history, o["repeat_last_n"])
    for token in set(recent):
        count = recent.count(token)
        l = logits[token]
        l = l / o["repeat_penalty"] if l > 0 else l * o["repeat_penalty"]
        logits[token] = l - count * o["frequency_penalty"] - (count > 0) * o["presence_penalty"]


def tokens_after_breaker(history, pieces, breakers):
    """Counts the tokens behind the last byte of any breaker, in the text as a whole."""
    text = "".join(pieces[t] for t in history) if pieces else ""
    ends = [i + len(b) for b in breakers for i in range(len(text)) if text.startswith(b, i)]
    if not ends:
        return len(history)
    bytes_left, count = len(text) - max(ends), 0
    for token in reversed(history):
        if bytes_left < len(pieces[token]):
            return count
        bytes_left -= len(pieces[token])
        count += 1
    return count


def dry(logits, history, pieces, o):
    breakers = o["dry_sequence_breakers"]
    recent = last(history, o["dry_penalty_last_n"])
    limit = tokens_after_breaker(history, pieces, breakers)
    longest = {}
    for follower in range(1, len(recent)):  # recent[:follower] is an earlier text, recent[follower] followed it
        n = 0
        while n < min(follower, limit) and recent[follower - 1 - n] == recent[-1 - n]:
            n += 1
        longest[recent[follower]] = max(n, longest.get(recent[follower], 0))
    for token, n in longest.items():
        if n >= o["dry_allowed_length"] and not any(b in pieces[token] for b in breakers):
            logits[token] -= o["dry_multiplier"] * o["dry_base"] ** (n - o["dry_allowed_length"])


def top_n_sigma(state, o):
    least = max(state.logits) - o["top_n_sigma"] * numpy.std(state.logits)
    state.keep([i for i, l in enumerate(state.logits) if l >= least])


def top_k(state, o):
    state.keep(range(min(o["top_k"], len(state.tokens))))


def prefix(p, order, enough):
    total, kept = 0.0, []
    for i in order:
        kept.append(i)
        total += p[i]
        if enough(total):
            break
    return kept


def typical(state, o):
    p = state.p()
    surprise = -numpy.log(p)
    entropy = float((p * surprise).sum())
    order = sorted(range(len(p)), key=lambda i: (abs(surprise[i] - entropy), -p[i], state.tokens[i]))
    state.keep(prefix(p, order, lambda total: total > o["typical_p"]))
    state.sort()


def top_p(state, o):
    p = state.p()
    state.keep(prefix(p, range(len(p)), lambda total: total >= o["top_p"]))


def min_p(state, o):
    p = state.p()
    state.keep([i for i in range(len(p)) if p[i] >= o["min_p"] * p[0]])


def xtc(state, o):
    assert o["xtc_probability"] == 1.0, "the reference draws nothing"
    p = state.p()
    choices = [i for i in range(len(p)) if p[i] >= o["xtc_threshold"]]
    if o["xtc_threshold"] <= 0.5 and len(choices) >= 2:
        state.keep(range(choices[-1], len(p)))


def temperature(state, o):
    t, r = o["temperature"], o["dynatemp_range"]
    if r > 0:
        if len(state.tokens) == 1:
            return
        p = state.p()
        evenness = float(-(p * numpy.log(p)).sum()) / numpy.log(len(p))
        low, high = max(0.0, t - r), t + r
        t = low + (high - low) * evenness ** o["dynatemp_exponent"]
    state.logits = [l / t for l in state.logits]


def mirostat(state, o):  # the first token, with the bound at 2 tau
    p = state.p()
    state.keep([i for i in range(len(p)) if i == 0 or -numpy.log2(p[i]) <= 2 * o["mirostat_tau"]])


def chain(case, o, second_opinion=None):
    """The state after all steps, each shown to `second_opinion`."""
    show = second_opinion or (lambda *_: None)
    logits = [float(l) for l in case["logits"]]
    history, pieces = case.get("history", []), case.get("pieces")

    def adjust(name, function, *arguments):
        before = list(logits)
        function(logits, *arguments, o)
        show(name, before, State(logits), case, o)

    if o["logit_bias"]:
        adjust("logit_bias", bias)
    if history and (o["repeat_penalty"], o["frequency_penalty"], o["presence_penalty"]) != (1, 0, 0):
        adjust("penalties", penalties, history)
    if o["dry_multiplier"] > 0:
        adjust("dry", dry, history, pieces)
    state = State(logits)

    def step(name, function):
        before = numpy.full(len(logits), -numpy.inf)
        before[state.tokens] = state.logits
        function(state, o)
        show(name, before, state, case, o)

    if o["temperature"] == 0:
        state.keep([0])
        return state
    if o["mirostat"] == 2:
        step("temp_ext", temperature)
        step("mirostat_v2", mirostat)
        return state
    if o["top_n_sigma"] >= 0:
        step("top_n_sigma", top_n_sigma)
    if o["top_k"] > 0:
        step("top_k", top_k)
    if o["typical_p"] < 1:
        step("typical", typical)
    if o["top_p"] < 1:
        step("top_p", top_p)
    if o["min_p"] > 0:
        step("min_p", min_p)
    if o["xtc_probability"] > 0:
        step("xtc", xtc)
    step("temp_ext", temperature)
    return state


# ---------------------------------------------------------------------------------------------------------------------

WORDS = ["a", "b", "ab", "c\n", ": ", "\"", "**", "d", "e", "##", "# R", "x", "\n", "f:g", " the", "<end>"]


def cases(random):
    def logits(count, spread):
        return [round(float(x) * 8) / 8 for x in random.normal(0, spread, count)]

    def case(count=18, spread=2.0, history=(), pieces=None, **options):
        made = dict(logits=logits(count, spread), options=options)
        if len(history):
            made["history"] = [int(t) for t in history]
        if pieces:
            made["pieces"] = pieces
        return made

    # The documented example, and every step alone.
    yield dict(logits=[3, 2, 1], options=dict(top_p=0.8, temperature=0.5))
    yield dict(logits=[3, 2, 1], options=dict(temperature=0, xtc_probability=1, top_k=1))
    for t in (0.3, 0.8, 1.5):
        yield case(temperature=t)
        yield case(temperature=t, dynatemp_range=t / 2)
        yield case(temperature=t, dynatemp_range=2 * t, dynatemp_exponent=0.5)
    for k in (1, 7, 40):
        yield case(top_k=k)
    for p in (0.0, 0.2, 0.5, 0.9, 0.99):
        yield case(top_p=p)
        yield case(typical_p=p)
        yield case(spread=0.7, typical_p=p)
    for p in (0.02, 0.1, 0.5, 1.0):
        yield case(min_p=p)
    for n in (0.0, 0.5, 1.0, 2.5):
        yield case(top_n_sigma=n)
    for threshold in (0.0, 0.05, 0.1, 0.3, 0.5, 0.6):
        yield case(xtc_probability=1.0, xtc_threshold=threshold)
    for tau in (0.0, 0.5, 1.0, 2.0):
        yield case(mirostat=2, mirostat_tau=tau)
        yield case(mirostat=2, mirostat_tau=tau, temperature=0.7)
    # Penalties: windows shorter and longer than the text.
    for last_n in (0, 3, 64, -1):
        history = random.integers(0, 18, 9)
        yield case(history=history, repeat_penalty=1.3, repeat_last_n=last_n)
        yield case(history=history, frequency_penalty=0.75, presence_penalty=-0.5, repeat_last_n=last_n)
        yield case(history=list(history) + [int(history[-1])] * 3, repeat_penalty=0.9, frequency_penalty=0.25,
                   presence_penalty=0.5, repeat_last_n=last_n)
    yield case(logit_bias=[[3, 2.5], [5, -1.25], [3, 0.5]])
    # DRY without breakers: repetitions of all lengths, overlapping ones too.
    for last_n in (5, 64, -1):
        yield case(12, history=[1, 2, 3, 4, 5, 1, 2, 3, 4], dry_multiplier=0.8, dry_penalty_last_n=last_n)
        yield case(12, history=[7, 7, 7, 7, 7, 7], dry_multiplier=0.5, dry_base=1.5, dry_penalty_last_n=last_n)
        yield case(12, history=random.integers(0, 2, 20), dry_multiplier=0.3, dry_base=1.2, dry_allowed_length=3,
                   dry_penalty_last_n=last_n)
    # DRY with breakers: within a token, over several, and tokens that are breakers.
    for breakers in (["\n", ":", "\"", "*"], ["## R"], ["e##"], ["<end>"], ["the", "bc"]):
        for _ in range(3):
            period = [int(t) for t in random.integers(0, len(WORDS), 6)]
            history = (period * 3)[:int(random.integers(9, 18))]
            yield case(len(WORDS), history=history, pieces=WORDS, dry_multiplier=0.4, dry_base=1.25,
                       dry_allowed_length=int(random.integers(1, 3)), dry_sequence_breakers=breakers)
    yield case(len(WORDS), history=[9, 10, 0, 1, 9, 10, 0, 1, 9, 10, 0, 1], pieces=WORDS, dry_multiplier=0.5,
               dry_allowed_length=1, dry_sequence_breakers=["## R"])
    # Several at once.
    for i in range(24):
        history = random.integers(0, 24, 12)
        options = dict(top_k=[0, 9, 16][i % 3], top_p=[1.0, 0.95, 0.8][i // 2 % 3], min_p=[0.0, 0.05][i % 2],
                       temperature=[0.8, 0.5, 1.2][i // 3 % 3], repeat_penalty=[1.0, 1.1][i // 4 % 2])
        if i % 4 == 0:
            options.update(typical_p=0.9)
        if i % 4 == 1:
            options.update(top_n_sigma=1.5)
        if i % 4 == 2:
            options.update(xtc_probability=1.0, xtc_threshold=0.1)
        if i % 5 == 0:
            options.update(dynatemp_range=0.3)
        if i % 6 == 0:
            options.update(logit_bias=[[int(history[0]), -0.5], [4, 1.5]], presence_penalty=0.4)
        yield case(24, history=history, **options)


# ---------------------------------------------------------------------------------------------------------------------


class LlamaCpp:
    """Runs single steps of llama.cpp, through the functions of its llama.h."""

    def __init__(self, library):
        import ctypes as c
        self.c, self.lib = c, c.CDLL(library)

        class Data(c.Structure):
            _fields_ = [("id", c.c_int32), ("logit", c.c_float), ("p", c.c_float)]

        class Array(c.Structure):
            _fields_ = [("data", c.POINTER(Data)), ("size", c.c_size_t), ("selected", c.c_int64), ("sorted", c.c_bool)]

        class Bias(c.Structure):
            _fields_ = [("token", c.c_int32), ("bias", c.c_float)]

        self.Data, self.Array, self.Bias = Data, Array, Bias

    def make(self, name, types, arguments):
        function = getattr(self.lib, name)
        function.restype, function.argtypes = self.c.c_void_p, types
        return function(*arguments)

    def sampler(self, name, case, o):
        c, f, i, size = self.c, self.c.c_float, self.c.c_int32, self.c.c_size_t
        init = "llama_sampler_init_" + name
        if name == "logit_bias":
            biases = (self.Bias * len(o["logit_bias"]))(*[self.Bias(*b) for b in o["logit_bias"]])
            return self.make(init, [i, i, c.POINTER(self.Bias)], [len(case["logits"]), len(biases), biases])
        if name == "penalties":
            if o["repeat_last_n"] < 0:  # llama.cpp wants the length of the context
                o = dict(o, repeat_last_n=len(case.get("history", [])))
            arguments = [o["repeat_last_n"], o["repeat_penalty"], o["frequency_penalty"], o["presence_penalty"]]
            return self.make(init, [i, i, f, f, f], [len(case["logits"])] + arguments)
        if name == "dry":
            return self.dry(case, o)
        if name == "xtc":
            return self.make(init, [f, f, size, c.c_uint32], [o["xtc_probability"], o["xtc_threshold"], 0, 1])
        if name == "temp_ext":
            return self.make(init, [f, f, f], [o["temperature"], o["dynatemp_range"], o["dynatemp_exponent"]])
        if name == "mirostat_v2":
            return self.make(init, [c.c_uint32, f, f], [1, o["mirostat_tau"], o["mirostat_eta"]])
        if name == "top_k":
            return self.make(init, [i], [o["top_k"]])
        if name == "top_n_sigma":
            return self.make(init, [f], [o["top_n_sigma"]])
        return self.make(init, [f, size], [o["typical_p" if name == "typical" else name], 0])

    def dry(self, case, o):
        """Through the function that llama.cpp's tests use, which takes breakers as tokens: std::vector<std::vector<>>,
        three pointers each. Only breakers of one character, which lie in one token, are handed over."""
        c, pieces = self.c, case.get("pieces", [])
        rows = [[t] for t, text in enumerate(pieces) if any(b in text for b in o["dry_sequence_breakers"])]

        class Vector(c.Structure):
            _fields_ = [("begin", c.c_void_p), ("end", c.c_void_p), ("capacity", c.c_void_p)]

        def vector(array):
            begin, bytes_ = c.addressof(array), c.sizeof(array)
            return Vector(begin, begin + bytes_, begin + bytes_)

        alive = [(c.c_int32 * len(row))(*row) for row in rows]
        outer = (Vector * max(1, len(rows)))(*[vector(a) for a in alive])
        whole = vector(outer) if rows else Vector(None, None, None)
        symbol = "_Z30llama_sampler_init_dry_testingffiiRKSt6vectorIS_IiSaIiEESaIS1_EE"
        function = self.lib[symbol]
        function.restype = c.c_void_p
        function.argtypes = [c.c_float, c.c_float, c.c_int32, c.c_int32, c.POINTER(Vector)]
        last_n = o["dry_penalty_last_n"] if o["dry_penalty_last_n"] >= 0 else len(case.get("history", []))
        return function(o["dry_multiplier"], o["dry_base"], o["dry_allowed_length"], last_n, c.byref(whole))

    def __call__(self, name, before, state, case, o):
        c = self.c
        if name == "dry" and any(len(b) > 1 for b in o["dry_sequence_breakers"]):
            return
        if name == "top_n_sigma" and o["top_n_sigma"] == 0:
            return  # off in llama.cpp
        sampler = self.sampler(name, case, o)
        self.lib.llama_sampler_accept.argtypes = [c.c_void_p, c.c_int32]
        self.lib.llama_sampler_apply.argtypes = [c.c_void_p, c.POINTER(self.Array)]
        if name in ("penalties", "dry"):
            for token in case.get("history", []):
                self.lib.llama_sampler_accept(sampler, token)
        tokens = [t for t in range(len(before)) if before[t] != -numpy.inf]
        adjusts = name in ("logit_bias", "penalties", "dry")
        if not adjusts:
            tokens.sort(key=lambda t: (-before[t], t))  # so that equals are in the same order
        data = (self.Data * len(tokens))(*[self.Data(t, before[t], 0) for t in tokens])
        array = self.Array(data, len(tokens), -1, not adjusts)
        self.lib.llama_sampler_apply(sampler, c.byref(array))
        self.lib.llama_sampler_free.argtypes = [c.c_void_p]
        self.lib.llama_sampler_free(sampler)
        left = [array.data[k] for k in range(array.size) if array.data[k].logit != -numpy.inf]
        found = {d.id: d.logit for d in left}
        wanted = dict(zip(state.tokens, state.logits))
        if set(found) != set(wanted) or any(abs(found[t] - wanted[t]) > 1e-4 * (1 + abs(wanted[t])) for t in wanted):
            raise SystemExit(f"{name} differs: {case}\nllama.cpp: {found}\nhere:      {wanted}")
        self.confirmed.add(name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--llama-cpp", metavar="LIBRARY")
    arguments = parser.parse_args()
    second = LlamaCpp(arguments.llama_cpp) if arguments.llama_cpp else None
    lines = []
    for case in cases(numpy.random.default_rng(7)):
        if second:
            second.confirmed = set()
        state = chain(case, {**OFF, **case["options"]}, second)
        p = state.p()
        case["tokens"] = state.tokens
        case["probabilities"] = [float(f"{x:.6g}") for x in p]
        if second:
            case["llama_cpp"] = sorted(second.confirmed)
        lines.append(json.dumps(case, separators=(",", ":")) + "\n")
    pathlib.Path(__file__).with_name("reference.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main()
