"""Writes LoRA files for sd1, which lies beside it, and what its parts answer with them.

    pip install torch==2.7.1 diffusers==0.35.2 transformers==4.57.1 peft==0.17.1 safetensors
    python make_lora.py

lora/diffusers.safetensors: as save_lora_weights writes, its alpha in the metadata. lora/kohya.safetensors: the same under kohya's names, its
alphas as tensors. lora/old.safetensors: a few of them under diffusers' names of 2023, without an alpha. lora/expected.safetensors: the network's
answers and the contexts with each, at weights 0.7 and -1.5 (old), and without any.
"""
import pathlib
import shutil

import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
OUT = HERE / "lora"
torch.set_grad_enabled(False)
RANK, ALPHA = 2, 3
UNET = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv_shortcut", "time_emb_proj", "downsamplers.0.conv"]
TEXT = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]


def fill(model, number):
    g = torch.Generator().manual_seed(number)
    for name, p in model.named_parameters():
        if "lora_" in name:
            p.copy_((torch.randn(p.shape, generator=g) * 0.3).to(torch.bfloat16).float())


def fresh():
    return StableDiffusionPipeline.from_pretrained(HERE / "sd1", safety_checker=None, feature_extractor=None)


def answers(pipe, x, ids):
    context = pipe.text_encoder(ids)[0]
    return context, pipe.unet(x, torch.tensor([501, 501]), encoder_hidden_states=context).sample


def loaded(file, weight):
    pipe = fresh()
    pipe.load_lora_weights(OUT, weight_name=file, adapter_name="golden")
    pipe.set_adapters(["golden"], [weight])
    return pipe


def kohya(layers, prefix):
    out = {}
    for name, value in layers.items():
        module, kind = name.split(".lora_")
        key = prefix + module.replace(".", "_")
        out[key + (".lora_down.weight" if kind.startswith("A") else ".lora_up.weight")] = value.half()
        out[key + ".alpha"] = torch.tensor(float(ALPHA))
    return out


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    pipe = fresh()
    configs = [LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=t, init_lora_weights=False) for t in (UNET, TEXT)]
    pipe.unet.add_adapter(configs[0], "golden")
    pipe.text_encoder.add_adapter(configs[1], "golden")
    fill(pipe.unet, 1)
    fill(pipe.text_encoder, 2)
    unet, text = get_peft_model_state_dict(pipe.unet, adapter_name="golden"), get_peft_model_state_dict(pipe.text_encoder, adapter_name="golden")
    words = [{k: (sorted(v) if isinstance(v, set) else v) for k, v in c.to_dict().items() if k != "base_model_name_or_path"} for c in configs]
    StableDiffusionPipeline.save_lora_weights(OUT, unet, text, weight_name="diffusers.safetensors", unet_lora_adapter_metadata=words[0], text_encoder_lora_adapter_metadata=words[1])
    save_file(kohya(unet, "lora_unet_") | kohya(text, "lora_te_"), OUT / "kohya.safetensors")
    old = {}
    for name, value in unet.items():
        module, kind = name.split(".lora_")
        side = "down" if kind.startswith("A") else "up"
        if ".attn1." in module:
            place, layer = module.split(".attn1.")
            old[f"unet.{place}.attn1.processor.{layer.replace('to_out.0', 'to_out')}_lora.{side}.weight"] = value
    for name, value in text.items():
        module, kind = name.split(".lora_")
        if "self_attn" in module:
            old[f"text_encoder.{module}.lora_linear_layer.{'down' if kind.startswith('A') else 'up'}.weight"] = value
    save_file(old, OUT / "old.safetensors")
    fixture = load_file(HERE / "sd1/expected.safetensors")
    x, ids = fixture["start"].float(), fixture["ids"].long()
    expected = {"x": x, "ids": ids.int()}
    for name, p in {"none": fresh(), "diffusers": loaded("diffusers.safetensors", 0.7), "kohya": loaded("kohya.safetensors", 0.7), "old": loaded("old.safetensors", -1.5)}.items():
        expected[name + ".context"], expected[name + ".out"] = answers(p, x, ids)
        print(name, float((expected[name + ".out"] - expected["none.out"]).abs().max()), float((expected[name + ".context"] - expected["none.context"]).abs().max()))
    save_file({k: v.contiguous() for k, v in expected.items()}, OUT / "expected.safetensors")
