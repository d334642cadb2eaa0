#!/usr/bin/env python3
"""Writes one file per weight format: blocks, then the floats the `gguf` package turns them into.

    pip install gguf numpy
    python3 make_formats.py

<name>.bin is n blocks as in GGUF files, then n * (weights per block) float32, little endian. Random bytes under random
finite scales come first, then every extreme pattern of bytes under every extreme scale, then every entry of a codebook.
"""

import pathlib

import gguf
import numpy as np

# Where the half-precision scales lie in a block, but for two formats: IQ1_M spreads one over the top four bits of the
# last four 16-bit words, and the first byte of MXFP4 is an exponent.
SPREAD = ["spread"]
EXPONENT = ["exponent"]
SCALES = {
    "F32": [], "F16": [0], "BF16": [],
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "Q2_K": [80, 82], "Q3_K": [108], "IQ4_NL": [0], "IQ4_XS": [0], "IQ3_XXS": [0], "IQ3_S": [0],
    "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ1_S": [0], "TQ1_0": [52], "TQ2_0": [64],
    "IQ1_M": SPREAD, "MXFP4": EXPONENT,
}
RANDOM_BLOCKS = {1: 256, 32: 32, 256: 12}

# Zeros, ones, the smallest and largest subnormals, the smallest normal, the largest. Where a block has two scales the
# second is the first one's successor.
EXTREME_SCALES = [0x0000, 0x8000, 0x3C00, 0xBC00, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF]
EXTREME_BYTES = [0x00, 0xFF, 0x80]
# The smallest exponents make subnormal weights; those above 252 can make infinite ones.
EXTREME_EXPONENTS = [0, 1, 2, 3, 22, 23, 126, 127, 128, 252]

# Codebooks, every entry of which occurs: how many they have, indices in a block, and at which bit of it the lower eight
# and the upper bits of index i begin. IQ1_M has the codebook of IQ1_S.
CODEBOOKS = {
    "IQ2_XXS": (256, 32, lambda i: 16 + 64 * (i // 4) + 8 * (i % 4), None),
    "IQ2_XS": (512, 32, lambda i: 16 + 16 * i, lambda i: 24 + 16 * i),
    "IQ2_S": (1024, 32, lambda i: 16 + 8 * i, lambda i: 8 * 66 + 2 * i),
    "IQ3_XXS": (256, 64, lambda i: 16 + 8 * i, None),
    "IQ3_S": (512, 64, lambda i: 16 + 8 * i, lambda i: 8 * 66 + i),
    "IQ1_S": (2048, 32, lambda i: 16 + 8 * i, lambda i: 8 * 34 + 16 * (i // 4) + 3 * (i % 4)),
}


def set_scale(block, offset, bits):
    if offset == "spread":
        for i in range(4):
            block[49 + 2 * i] = block[49 + 2 * i] & 0x0F | (bits >> 4 * i & 0x0F) << 4
    elif offset == "exponent":
        block[0] = EXTREME_EXPONENTS[EXTREME_SCALES.index(bits)] if bits in EXTREME_SCALES else bits % 253
    else:
        block[offset:offset + 2] = bits & 0xFF, bits >> 8


def random_blocks(rng, name, count, size):
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for block in blocks:
        for offset in SCALES[name]:
            set_scale(block, offset, int(rng.integers(0, 0x7C00)) | int(rng.choice([0, 0x8000])))
    return blocks


def codebook_blocks(rng, name, size):
    entries, in_block, lower, upper = CODEBOOKS[name]
    upper_bits = entries.bit_length() - 9
    bits = np.unpackbits(random_blocks(rng, name, entries // in_block, size), axis=1, bitorder="little")
    for index in range(entries):
        block, i = bits[index // in_block], index % in_block
        digits = [index >> k & 1 for k in range(8 + upper_bits)]
        block[lower(i):lower(i) + 8] = digits[:8]
        if upper:
            block[upper(i):upper(i) + upper_bits] = digits[8:]
    return np.packbits(bits, axis=1, bitorder="little")


def make_blocks(rng, name, elements, size):
    blocks = random_blocks(rng, name, RANDOM_BLOCKS[elements], size)
    extremes = []
    for byte in EXTREME_BYTES:
        for i in range(len(EXTREME_SCALES)):
            block = np.full(size, byte, dtype=np.uint8)
            for k, offset in enumerate(SCALES[name]):
                set_scale(block, offset, EXTREME_SCALES[(i + k) % len(EXTREME_SCALES)])
            extremes.append(block)
    blocks = np.concatenate([blocks, np.array(extremes)])
    return np.concatenate([blocks, codebook_blocks(rng, name, size)]) if name in CODEBOOKS else blocks


def main():
    rng = np.random.default_rng(1)
    folder = pathlib.Path(__file__).parent
    for name in SCALES:
        format = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[format]
        blocks = make_blocks(rng, name, elements, size)
        floats = gguf.quants.dequantize(blocks.reshape(1, -1), format).reshape(-1, elements).astype("<f4", copy=False)
        # Bits of a plain format can be NaN, whose payload is nobody's promise.
        finite = np.isfinite(floats).all(axis=1)
        (folder / f"{name}.bin").write_bytes(blocks[finite].tobytes() + floats[finite].tobytes())


if __name__ == "__main__":
    main()
