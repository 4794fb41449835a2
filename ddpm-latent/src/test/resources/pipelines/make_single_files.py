"""Writes sd1, sd2 and sd_inpaint, whose folders lie beside it, as single files: single/sd1.ckpt, sd2.safetensors and sd_inpaint.ckpt.

    pip install torch==2.7.1 diffusers==0.35.2 transformers==4.57.1 safetensors
    python make_single_files.py

Names are those of CompVis' code (openaimodel.py, model.py), CLIP's and OpenCLIP's. That they are right is checked by diffusers' own
converters, which must give back every weight of the folders. sd2.safetensors has a last layer of text that nobody uses, as published.
"""
import pathlib
import types

import torch
from diffusers.loaders import single_file_utils as theirs
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
UNET, VAE = "model.diffusion_model.", "first_stage_model."
RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
OUTER = {"conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_norm_out": "out.0", "conv_out": "out.2"}


def unet_name(name, layers, attended):
    parts = name.split(".")
    if parts[0] not in ("down_blocks", "up_blocks", "mid_block"):
        module, kind = name.rsplit(".", 1)
        return OUTER[module] + "." + kind
    if parts[0] == "mid_block":
        _, what, j, *rest = parts
        place = "middle_block." + ("1" if what == "attentions" else str(2 * int(j)))
    else:
        way, i, what, j, *rest = parts
        i, j = int(i), int(j)
        if way == "down_blocks":
            k = 1 + i * (layers + 1) + (layers if what == "downsamplers" else j)
            place = f"input_blocks.{k}.{1 if what == 'attentions' else 0}"
        else:
            k = i * (layers + 1) + (layers if what == "upsamplers" else j)
            place = f"output_blocks.{k}.{1 if what == 'attentions' else (2 if attended(i) else 1) if what == 'upsamplers' else 0}"
    if what == "resnets":
        return place + "." + RESNET[rest[0]] + "." + rest[1]
    if what == "downsamplers":
        return place + ".op." + rest[-1]
    return place + "." + ".".join(rest[1:] if what == "upsamplers" and rest[0] != "conv" else rest)


def vae_name(name, levels):
    parts = name.split(".")
    if parts[1] == "up_blocks":
        parts[1:3] = ["up", str(levels - 1 - int(parts[2]))]
    elif parts[1] == "down_blocks":
        parts[1] = "down"
    elif parts[1] == "mid_block":
        parts[1:4] = ["mid", "attn_1"] if parts[2] == "attentions" else ["mid", "block_" + str(1 + int(parts[3]))]
    words = {"resnets": "block", "conv_shortcut": "nin_shortcut", "conv_norm_out": "norm_out", "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v"}
    name = ".".join(words.get(p, p) for p in parts)
    return name.replace("to_out.0", "proj_out").replace("downsamplers.0", "downsample").replace("upsamplers.0", "upsample")


def open_clip(text):
    out = {"token_embedding.weight": text["text_model.embeddings.token_embedding.weight"], "positional_embedding": text["text_model.embeddings.position_embedding.weight"]}
    out |= {"ln_final." + k: text["text_model.final_layer_norm." + k] for k in ("weight", "bias")}
    i = 0
    while f"text_model.encoder.layers.{i}.layer_norm1.weight" in text:
        layer = lambda name: text[f"text_model.encoder.layers.{i}.{name}"]
        block = f"transformer.resblocks.{i}."
        for k in ("weight", "bias"):
            out[block + "attn.in_proj_" + k] = torch.cat([layer(f"self_attn.{w}_proj.{k}") for w in "qkv"])
            for ours, names in {"attn.out_proj": "self_attn.out_proj", "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}.items():
                out[block + ours + "." + k] = layer(names + "." + k)
        i += 1
    last = {k.replace(f"resblocks.{i - 1}.", f"resblocks.{i}."): v + 1 for k, v in out.items() if f"resblocks.{i - 1}." in k}
    width = text["text_model.final_layer_norm.weight"].numel()
    return out | last | {"text_projection": torch.zeros(width, width), "logit_scale": torch.tensor(4.6)}


def same(theirs, ours):
    for k, v in ours.items():
        assert torch.equal(theirs[k].reshape(v.shape), v), k


def whole(folder):
    unet, vae = load_file(folder / "unet/diffusion_pytorch_model.safetensors"), load_file(folder / "vae/diffusion_pytorch_model.safetensors")
    text = load_file(folder / "text_encoder/model.safetensors")
    config = UNet2DConditionModel.load_config(folder / "unet")
    attended = lambda i: config["up_block_types"][i].startswith("Cross")
    file = {UNET + unet_name(k, config["layers_per_block"], attended): v for k, v in unet.items()}
    described = AutoencoderKL.load_config(folder / "vae")
    for k, v in vae.items():
        square = ".attentions." in k and v.ndim == 2
        file[VAE + vae_name(k, len(described["block_out_channels"]))] = v[:, :, None, None].contiguous() if square else v
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    file |= {"betas": betas.float(), "alphas_cumprod": torch.cumprod(1 - betas, 0).float(), "first_stage_model.loss.logvar": torch.zeros(())}
    same(theirs.convert_ldm_unet_checkpoint(dict(file), config), unet)
    same(theirs.convert_ldm_vae_checkpoint(dict(file), described), vae)
    if folder.name != "sd2":
        file |= {"cond_stage_model.transformer." + k: v for k, v in text.items()}
        file["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
        same(theirs.convert_ldm_clip_checkpoint(dict(file)), text)
    else:
        file |= {"cond_stage_model.model." + k: v for k, v in open_clip(text).items()}
        model = types.SimpleNamespace(config=types.SimpleNamespace(hidden_size=8))
        same(theirs.convert_open_clip_checkpoint(model, dict(file)), text)
    return {k: v.contiguous().clone() for k, v in file.items()}


if __name__ == "__main__":
    (HERE / "single").mkdir(exist_ok=True)
    torch.save({"epoch": 7, "global_step": 10, "state_dict": whole(HERE / "sd1")}, HERE / "single/sd1.ckpt")
    save_file(whole(HERE / "sd2"), HERE / "single/sd2.safetensors")
    torch.save({"global_step": 10, "state_dict": whole(HERE / "sd_inpaint")}, HERE / "single/sd_inpaint.ckpt")
