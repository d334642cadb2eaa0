#!/usr/bin/env python3
"""Makes the files beside it: a tiny Granite of random weights, what transformers computes with it, and its tokenizer.

    python3 make.py LLAMA_CPP granite33.jinja

The GGUF file is written by llama.cpp's own converter, whose folder and the model's chat template are the arguments; of it only the
recognition of the pre-tokenizer is replaced, which goes by the ids of a whole vocabulary. Logits are those of every position, eager
attention in float64. Made with torch 2.15.0, transformers 5.24.0, tokenizers 0.23.3, llama.cpp 0c1e570.
"""

import json
import pathlib
import runpy
import sys
import tempfile

import numpy
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GraniteConfig, GraniteForCausalLM, PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
PROMPT, CONTINUATION, LEAD, VARIETY = 40, 24, 2e-2, 12
ROLES = ["<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"]
TEXTS = [
    "", " ", "Hello, world!", " Hello", "  two spaces", "The quick brown fox isn't here, they'll say.", "line one\nline two\n\nline four\n",
    "\n\n\n", "\tindent\t", "In 2024 there were 1234567 of 3.14159", "x=1,y=22;z= 333", "a  b   c    d", "(nested [brackets] {here})", "don't can't we've I'm",
    "café brûlée", "trailing   ", "   ", "...!!??", "<|end_of_text|>", "MiXeD CaSe wOrDs",
]
CONVERSATIONS = [
    [("system", "Be brief."), ("user", "Hi there!")],
    [("system", "Say it in 3 words."), ("user", "One"), ("assistant", "Two\nlines."), ("user", "  And the third? ")],
]


def make_tokenizer(chat_template):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    texts = TEXTS + [text for conversation in CONVERSATIONS for turn in conversation for text in turn]
    tokenizer.train_from_iterator(
        texts + ["system user assistant"], trainers.BpeTrainer(vocab_size=150, special_tokens=["<|end_of_text|>"], show_progress=False))
    tokenizer.add_special_tokens(ROLES)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|end_of_text|>", eos_token="<|end_of_text|>", add_bos_token=False,
                                   clean_up_tokenization_spaces=False, chat_template=chat_template)


def make_model(seed, vocab_size):
    torch.manual_seed(seed)
    config = GraniteConfig(
        vocab_size=vocab_size, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=0, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0}, embedding_multiplier=9.0, residual_multiplier=0.3,
        attention_multiplier=0.09, logits_scaling=7.0, attn_implementation="eager")
    model = GraniteForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.uniform_(0.5, 1.5)
            else:
                weight.normal_(0, 0.6 if "q_proj" in name or "k_proj" in name else 0.1 if "embed" in name else 0.6)
    return model.double().eval()


def greedy(model, prompt):
    """The continuation, or None where rounding may decide it, or hardly anything does."""
    ids = list(prompt)
    for _ in range(CONTINUATION):
        logits = model(torch.tensor([ids])).logits[0, -1]
        best = torch.topk(logits, 2)
        if best.values[0] - best.values[1] < LEAD * logits.std():
            return None
        ids.append(int(best.indices[0]))
    continuation = ids[len(prompt):]
    return continuation if len(set(continuation)) >= VARIETY else None


def convert(model, tokenizer, llama_cpp):
    sys.path[:0] = [llama_cpp, str(pathlib.Path(llama_cpp) / "gguf-py")]
    from conversion.base import TextModel
    TextModel.get_vocab_base_pre = lambda self, tokenizer: "refact"
    with tempfile.TemporaryDirectory() as folder:
        model.float().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        sys.argv = ["convert", folder, "--outfile", str(HERE / "model.gguf"), "--outtype", "f32", "--model-name", "granite"]
        runpy.run_path(str(pathlib.Path(llama_cpp) / "convert_hf_to_gguf.py"), run_name="__main__")


def write_json(name, value):
    (HERE / name).write_text(json.dumps(value))


@torch.no_grad()
def main():
    tokenizer = make_tokenizer(pathlib.Path(sys.argv[2]).read_text())
    for seed in range(1000):
        model = make_model(seed, len(tokenizer))
        prompt = torch.randint(len(tokenizer), (PROMPT,)).tolist()
        continuation = greedy(model, prompt)
        if continuation is not None:
            break
    write_json("prompt.json", prompt)
    write_json("greedy.json", continuation)
    numpy.save(HERE / "logits.npy", model(torch.tensor([prompt])).logits[0].float().numpy())
    with open(HERE / "tokenize.jsonl", "w") as out:
        for text in TEXTS:
            print(json.dumps({"text": text, "ids": tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)}), file=out)
    write_json("chat.json", [{
        "messages": [{"role": role, "content": text} for role, text in turns],
        "ids": tokenizer.apply_chat_template([{"role": role, "content": text} for role, text in turns], add_generation_prompt=True, return_dict=False),
    } for turns in CONVERSATIONS])
    convert(model, tokenizer, sys.argv[1])


if __name__ == "__main__":
    main()
