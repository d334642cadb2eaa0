"""Makes the LoRA references of this folder: adapters by PEFT for models of ../models, and the logits of both together.

The checkpoint of a fixture is rebuilt from its GGUF file; its logits are compared with the fixture's first. Made with
transformers 5.24, peft 0.21, torch 2.15 and the convert_lora_to_gguf.py of llama.cpp b11434:

    python make.py LLAMA_CPP_FOLDER
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE / "../../../../shared/fixtures/open"  # whose configurations are not in the repository
POSITIONS = 10  # the last ones, whose logits are kept
ADAPTERS = {
    "llama3": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
                                                          "up_proj", "down_proj"]},
    "gemma3": {"r": 3, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj", "down_proj"]},
}


def unpermute(weight, heads):
    return weight.reshape(heads, weight.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)


def checkpoint(name):
    """A fixture's model as transformers has it, in float64."""
    config = transformers.AutoConfig.for_model(**json.loads((FIXTURES / name / "hf_config.json").read_text()))
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config).double().eval()
    tensors = {t.name: np.array(t.data, dtype=np.float64).reshape([int(n) for n in reversed(t.shape)])
               for t in gguf.GGUFReader(str(HERE / f"../models/{name}/model.gguf")).tensors}
    gemma = name == "gemma3"
    names = {"input_layernorm": "attn_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
             "o_proj": "attn_output", "q_norm": "attn_q_norm", "k_norm": "attn_k_norm", "gate_proj": "ffn_gate",
             "up_proj": "ffn_up", "down_proj": "ffn_down", "pre_feedforward_layernorm": "ffn_norm",
             "post_feedforward_layernorm": "post_ffw_norm",
             "post_attention_layernorm": "post_attention_norm" if gemma else "ffn_norm"}
    state = {}
    for key in model.state_dict():
        part = key.split(".")[-2]
        if part == "lm_head":
            continue
        if part == "embed_tokens":
            value = tensors["token_embd.weight"]
        elif ".layers." not in key:
            value = tensors["output_norm.weight"]
        else:
            value = tensors[f"blk.{key.split('.layers.')[1].split('.')[0]}.{names[part]}.weight"]
        if gemma and part.endswith("norm"):
            value = value - 1
        if not gemma and part in ("q_proj", "k_proj"):
            value = unpermute(value, config.num_attention_heads if part[0] == "q" else config.num_key_value_heads)
        state[key] = torch.from_numpy(np.ascontiguousarray(value))
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all("lm_head" in key for key in missing), (missing, unexpected)
    return model


def logits(model, name):
    ids = json.loads((HERE / f"../models/{name}/prompt.json").read_text())
    ids = ids["ids"] if isinstance(ids, dict) else ids
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def make(name, options, llama_cpp):
    torch.manual_seed(7)
    model = checkpoint(name)
    wanted = np.load(HERE / f"../models/{name}/logits.npy")
    off = np.abs(logits(model, name) - wanted).max() / wanted.std()
    print(f"{name}: the rebuilt checkpoint is off by {off:.1e} deviations")
    assert off < 1e-5
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options)).double().eval()
    for key, parameter in adapted.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, std=0.3 * model.config.initializer_range / 0.02)
    # As the file has them: the adapter is saved in float32.
    for parameter in adapted.parameters():
        parameter.data = parameter.data.float().double()
    changed = logits(adapted, name)
    print(f"  the adapter moves the logits by {np.abs(changed - wanted).std() / wanted.std():.2f} deviations")
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    np.save(folder / "logits.npy", changed[-POSITIONS:].astype(np.float32))
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        adapted.float().save_pretrained(scratch / "adapter")
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(scratch / "base")
        subprocess.run([sys.executable, f"{llama_cpp}/convert_lora_to_gguf.py", "--outtype", "f32", "--base",
                        scratch / "base", "--outfile", folder / "adapter.gguf", scratch / "adapter"], check=True)


for fixture, lora in ADAPTERS.items():
    make(fixture, lora, sys.argv[1])
