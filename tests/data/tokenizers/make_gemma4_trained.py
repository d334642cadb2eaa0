#!/usr/bin/env python3
"""Writes gemma4_trained/: a vocabulary of the kind Gemma 4 has, and the ids HF tokenizers gives random texts with it.

    pip install tokenizers gguf && python3 make_gemma4_trained.py

The vocabulary is trained on made-up words, without cutting the text into words first, so that tokens reach across spaces. Made with
tokenizers 0.23.3.
"""

import json
import pathlib
import random

import gguf
from tokenizers import AddedToken, Tokenizer, models, normalizers, trainers

CONTROL, USER_DEFINED, BYTE, NORMAL = 3, 4, 6, 1
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>"]
USER = ["<table>", "<h1>", "<|channel>", "<channel|>", "<|tool_call>"]
LONGEST_LINES = 6
SYLLABLES = [
    "an", "be", "con", "du", "el", "fi", "ge", "hor", "in", "jo", "ka", "lu", "mi", "no", "or", "pra", "qui", "re", "si", "the", "un", "vo", "wi",
    "é", "ü", "ñ", "д", "ми", "ра", "日", "本", "語", "한", "글", "न", "ी", "😀",
]


def sentence(draw, words):
    text = " ".join(draw.choices(words, weights=range(len(words), 0, -1), k=draw.randint(3, 12)))
    return text + draw.choice([".", "!", "?", " ", "  ", ", 12", " (3)", "..."])


def train(draw):
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(250)]
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.train_from_iterator([sentence(draw, words) for _ in range(600)],
                                trainers.BpeTrainer(vocab_size=900, max_token_length=16, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    return words, pieces, [tuple(merge) for merge in model["merges"]]


def reference(tokens, merges):
    vocab = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in USER])
    return tokenizer


def main():
    draw = random.Random(8)
    words, pieces, merges = train(draw)
    lines = ["\n" * n for n in range(1, LONGEST_LINES + 1)]
    pieces = lines + [piece for piece in pieces if piece not in lines]
    merges = [("\n", "\n" * n) for n in range(1, LONGEST_LINES)] + [("\n" * n, "\n") for n in range(2, LONGEST_LINES)] + merges
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = SPECIAL + USER + bytes_ + pieces
    types = [CONTROL] * len(SPECIAL) + [USER_DEFINED] * len(USER) + [BYTE] * 256 + [NORMAL] * len(pieces)

    folder = pathlib.Path(__file__).parent / "gemma4_trained"
    folder.mkdir(exist_ok=True)
    writer = gguf.GGUFWriter(folder / "vocab.gguf", "gemma4")
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list(tokens)
    writer.add_token_scores([-1000.0] * len(tokens))
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()

    tokenizer = reference(tokens, merges)
    parts = words + [" ", " ", "  ", "     ", "\n", "\n\n", "\n" * 9, "\r\n", "\t", "▁", "a", "Z", "7", "ß", "漢", "\u0301", "🦙", "\0", "<0x41>", "<", "|>"]
    with open(folder / "tokenize.jsonl", "w") as out:
        for i in range(300):
            parse_special = i % 3 == 0
            texts = parts + USER[:2] * 4 + (SPECIAL + USER) * 3 if parse_special else parts + USER[:2] * 4
            text = draw.choice(["", " "]).join(draw.choices(texts, k=draw.randint(0, 16)))
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            print(json.dumps({"text": text, "ids": ids, "parse_special": parse_special}), file=out)


if __name__ == "__main__":
    main()
