#!/usr/bin/env python3
"""Times ik_llama.cpp as llama-bench would, and prints the same JSON.

Run it with the Python of an environment that has the package:

    python3 -m venv ENV && ENV/bin/pip install ik-llama-cpp-python
    ENV/bin/python bench/ik_bench.py -m MODEL.gguf -p 512 -n 64 -t 2

The package calls a prebuilt AVX2 library. Only the library's decode calls are timed: batches are made before, and
generation goes on with fixed tokens, since the package samples in Python.
"""

import argparse
import json
import os
import sys
import time

BATCH = 512
FIRST_ID, IDS = 300, 20000  # ordinary tokens of any vocabulary


class Engine:
    def __init__(self, path, threads, context_length):
        import ik_llama_cpp
        from ik_llama_cpp import _ctypes_api, _internals
        self.api = _ctypes_api
        self.make_batch = _internals.make_batch_range
        # The package turns flash attention off where its library can't do it.
        self.llama = ik_llama_cpp.IkLlama(path, n_ctx=context_length, n_threads=threads, verbose=False)
        self.context = self.llama.ctx

    def batches(self, position, count, size):
        """`count` tokens from a position on. Logits are wanted after the last one; after each one in generation."""
        batches = []
        for begin in range(0, count, size):
            ids = [FIRST_ID + 7907 * (position + i) % IDS for i in range(begin, min(begin + size, count))]
            wanted = size == 1 or begin + size >= count
            batches.append((self.make_batch(ids, pos_start=position + begin, logits_last=wanted), wanted))
        return batches

    def decode(self, batches):
        """Seconds of evaluating batches, logits included."""
        start = time.perf_counter()
        for batch, wanted in batches:
            if self.api.llama_decode(self.context, batch) != 0:
                raise RuntimeError("llama_decode failed")
            if wanted:
                self.api.llama_get_logits_ith(self.context, -1)
        seconds = time.perf_counter() - start
        for batch, _ in batches:
            self.api.llama_batch_free(batch)
        return seconds

    def tokens_per_second(self, depth, count, size):
        self.api.llama_kv_cache_clear(self.context)
        self.decode(self.batches(0, depth, BATCH))
        return count / self.decode(self.batches(depth, count, size))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-p", "--n-prompt", type=int, default=512)
    parser.add_argument("-n", "--n-gen", type=int, default=64)
    parser.add_argument("-d", "--n-depth", type=int, default=0)
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-o", "--output", choices=["json"], default="json")
    return parser.parse_args()


def main():
    args = parse_arguments()
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the library writes about itself to standard output
    context_length = args.n_depth + max(args.n_prompt, args.n_gen) + BATCH
    engine = Engine(args.model, args.threads, context_length)
    rows = []
    for key, count, size in (("n_prompt", args.n_prompt, BATCH), ("n_gen", args.n_gen, 1)):
        if count == 0:
            continue
        engine.tokens_per_second(0, min(count, 2 * size), size)  # not counted: it brings the weights into memory
        rates = [engine.tokens_per_second(args.n_depth, count, size) for _ in range(args.repetitions)]
        rows.append({"n_prompt": 0, "n_gen": 0, "n_depth": args.n_depth, "n_threads": args.threads,
                     "avg_ts": sum(rates) / len(rates), "samples_ts": rates} | {key: count})
    json.dump(rows, results)
    results.close()


if __name__ == "__main__":
    try:
        main()
    except (ImportError, RuntimeError) as failure:
        sys.exit(f"ik_bench: {failure}")
