#!/usr/bin/env python3
"""Writes words.jsonl: texts cut into words by the regular expressions that define the pre-tokenizers.

    pip install regex && python3 make_words.py > words.jsonl

One object a line: {"pre", "words"}; the text is the words joined. Made with regex 2026.5.9 (Unicode 17.0).
"""

import json
import random

import regex

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = (CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TEKKEN = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT4O = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTION}?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTION}?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def cut(pattern, pieces):
    """Cuts each piece at the matches of a pattern; what lies between matches is a piece too."""
    return [part for piece in pieces for part in regex.split(f"({pattern})", piece) if part]


def default(text):
    pieces = [text]
    for pattern in [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"]:
        pieces = cut(pattern, pieces)
    return pieces


def smollm(text):
    words = []
    for piece in regex.findall(r"\p{N}|[^\p{N}]+", text):
        words += [piece] if regex.fullmatch(r"\p{N}", piece) else regex.findall(GPT2, piece)
    return words


PRE_TOKENIZERS = {
    "gpt-2": lambda text: regex.findall(GPT2, text),
    "smollm": smollm,
    "llama-bpe": lambda text: regex.findall(LLAMA3, text),
    "qwen2": lambda text: regex.findall(LLAMA3.replace("{1,3}", ""), text),
    "tekken": lambda text: regex.findall(TEKKEN, text),
    "default": default,
    "gpt-4o": lambda text: regex.findall(GPT4O, text),
}

PIECES = [
    "a", "the", "Hello", "HTTP", "eBay", "I'm", "we'LL", "don'T", "'s", "'VE", "'x", "'\u017f", "'", "''", " ", " ", " ", "  ", "   ",
    "\t", "\n", "\n", "\r\n", "\r", "\n\n", " \n", "\n ", "\u00a0", "\u2003", "\u3000", "\u0085", "\u200b", "\x1c", "\0", "\x04",
    "1", "12", "12345", "\u0663", "\u00bd", "\u2167", "\u4e00", "3\u0663456", " 7", "  80", "\u20ac", "~", "^|", ".", "...", "!?", "/", "//", "!\n/", "$", "+=", "<|x|>", "_", "-",
    "\u00dc", "\u00dcBER", "\u01c5", "\u00e9", "e\u0301", "\u0301", "\u0928\u0940", "\u65e5\u672c", "\u65e5A", "A\u65e5", "\u02b0",
    "\U0001f600", "\U0001f468\u200d\U0001f469", "\ufe0f", "\u0439\u0423", "\u05d0", "\u0e01\u0e34", "\U0001d400", "\U00016ea0", "\U000e0100",
    "\U0002ebf0", "\U0003ffff",
]


def main():
    draw = random.Random(4)
    for _ in range(160):
        text = "".join(draw.choices(PIECES, k=draw.randint(1, 24)))
        for name, split in PRE_TOKENIZERS.items():
            words = split(text)
            assert "".join(words) == text
            print(json.dumps({"pre": name, "words": words}))


if __name__ == "__main__":
    main()
