#!/usr/bin/env python3
"""Writes one file per weight format: blocks, then the floats the `gguf` package turns them into.

    pip install gguf numpy
    python3 make_formats.py

<name>.bin is n blocks as in GGUF files, then n * (weights per block) float32, little endian. Random bytes under random
finite scales come first, then every extreme pattern of bytes under every extreme scale.
"""

import pathlib

import gguf
import numpy as np

# Where the half-precision scales lie in a block.
SCALES = {
    "F32": [], "F16": [0], "BF16": [],
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
RANDOM_BLOCKS = {1: 256, 32: 32, 256: 12}

# Zeros, ones, the smallest and largest subnormals, the smallest normal, the largest. Where a block has two scales the
# second is the first one's successor.
EXTREME_SCALES = [0x0000, 0x8000, 0x3C00, 0xBC00, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF]
EXTREME_BYTES = [0x00, 0xFF, 0x80]


def set_scale(block, offset, bits):
    block[offset:offset + 2] = bits & 0xFF, bits >> 8


def make_blocks(rng, name, elements, size):
    blocks = rng.integers(0, 256, (RANDOM_BLOCKS[elements], size), dtype=np.uint8)
    for block in blocks:
        for offset in SCALES[name]:
            set_scale(block, offset, int(rng.integers(0, 0x7C00)) | int(rng.choice([0, 0x8000])))
    extremes = []
    for byte in EXTREME_BYTES:
        for i in range(len(EXTREME_SCALES)):
            block = np.full(size, byte, dtype=np.uint8)
            for k, offset in enumerate(SCALES[name]):
                set_scale(block, offset, EXTREME_SCALES[(i + k) % len(EXTREME_SCALES)])
            extremes.append(block)
    return np.concatenate([blocks, np.array(extremes)])


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
