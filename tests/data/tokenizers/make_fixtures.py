#!/usr/bin/env python3
"""Makes the folders beside this file from the shared fixtures: the metadata of each model.gguf, without its tensors, and
its tokenize.jsonl (texts and the ids SentencePiece or HF tokenizers give them).

    python3 make_fixtures.py SHARED_FIXTURES_FOLDER
"""

import pathlib
import shutil
import struct
import sys

FIXTURES = ["gemma3", "gemma4_dense", "llama3", "llama_f16", "llama_spm", "nemo", "qwen2"]
SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


def metadata_only(gguf):
    magic, version, _, entries = struct.unpack_from("<4sIQQ", gguf)
    position = 24

    def skip_string():
        nonlocal position
        position += 8 + struct.unpack_from("<Q", gguf, position)[0]

    def skip_value(kind):
        nonlocal position
        if kind == STRING:
            skip_string()
        elif kind == ARRAY:
            element, count = struct.unpack_from("<IQ", gguf, position)
            position += 12
            for _ in range(count):
                skip_value(element)
        else:
            position += SCALAR_BYTES[kind]

    for _ in range(entries):
        skip_string()
        kind, = struct.unpack_from("<I", gguf, position)
        position += 4
        skip_value(kind)
    return struct.pack("<4sIQQ", magic, version, 0, entries) + gguf[24:position]


def main():
    source = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).parent
    for name in FIXTURES:
        (here / name).mkdir(exist_ok=True)
        (here / name / "vocab.gguf").write_bytes(metadata_only((source / name / "model.gguf").read_bytes()))
        shutil.copyfile(source / name / "tokenize.jsonl", here / name / "tokenize.jsonl")


if __name__ == "__main__":
    main()
