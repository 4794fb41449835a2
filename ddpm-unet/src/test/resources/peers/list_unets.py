"""Lists the weights of diffusers' own U-Nets of latent and Stable Diffusion, and CompVis' names of them.

    python -m venv v && v/bin/pip install torch==2.7.1 diffusers==0.35.2
    v/bin/python list_unets.py context-unets.txt.gz

Networks are made on torch's meta device, without memory for their weights. Of each there is a line with its name and its
configuration as JSON, and one for each weight in diffusers' order: name, shape, CompVis' name. CompVis' names are put together
here, and checked by diffusers' converter: it must make of them exactly diffusers' names, which are then paired with them.
"""
import gzip
import json
import sys

import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

MODELS = {
    "LDM_TEXT2IM_LARGE": {"sample_size": 32},
    "STABLE_DIFFUSION_1": {"sample_size": 64, "cross_attention_dim": 768},
    "STABLE_DIFFUSION_2": {
        "sample_size": 64,
        "cross_attention_dim": 1024,
        "attention_head_dim": [5, 10, 20, 20],
        "use_linear_projection": True,
    },
}
PREFIX = "model.diffusion_model."


def layers(block, names):
    return [f"{block}.{name}.{kind}" for name in names for kind in ("weight", "bias")]


def residual(block, shortcut):
    return layers(block, ["in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3"] + (["skip_connection"] if shortcut else []))


def transformer(block):
    names = layers(block, ["norm", "proj_in", "proj_out"])
    one = block + ".transformer_blocks.0"
    names += layers(one, ["norm1", "norm2", "norm3", "attn1.to_out.0", "attn2.to_out.0", "ff.net.0.proj", "ff.net.2"])
    return names + [f"{one}.attn{i}.to_{x}.weight" for i in (1, 2) for x in "qkv"]


def compvis(widths, attention):
    """CompVis' names of a network with two residual blocks a level, and transformers at the levels of attention."""
    names = layers("time_embed", ["0", "2"]) + layers("out", ["0", "2"]) + layers("input_blocks.0", ["0"])
    place, last = 1, widths[0]
    for level, width in enumerate(widths):
        for _ in range(2):
            names += residual(f"input_blocks.{place}.0", last != width)
            names += transformer(f"input_blocks.{place}.1") if level in attention else []
            place, last = place + 1, width
        if level < len(widths) - 1:
            names += layers(f"input_blocks.{place}.0", ["op"])
            place += 1
    names += residual("middle_block.0", False) + transformer("middle_block.1") + residual("middle_block.2", False)
    place = 0
    for level in reversed(range(len(widths))):
        for j in range(3):
            names += residual(f"output_blocks.{place}.0", True)
            names += transformer(f"output_blocks.{place}.1") if level in attention else []
            if j == 2 and level > 0:
                names += layers(f"output_blocks.{place}.{2 if level in attention else 1}", ["conv"])
            place += 1
    return names


def main(path):
    lines = []
    for model, arguments in MODELS.items():
        with torch.device("meta"):
            unet = UNet2DConditionModel(**arguments)
        own = {name: list(weight.shape) for name, weight in unet.state_dict().items()}
        names = compvis(unet.config.block_out_channels, {0, 1, 2})
        pairs = convert_ldm_unet_checkpoint({PREFIX + name: name for name in names}, unet.config)
        assert set(pairs) == set(own), set(pairs) ^ set(own)
        assert len(set(pairs.values())) == len(own)
        config = {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.35.2"}
        config.update({key: value for key, value in unet.config.items() if not key.startswith("_")})
        lines.append(f"# {model} {json.dumps(config)}")
        lines += [f"{name}\t{','.join(map(str, shape))}\t{pairs[name]}" for name, shape in own.items()]
    text = "\n".join(lines) + "\n"
    with open(path, "wb") as file:
        # No name and time of day, so that it is the same each time.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            packed.write(text.encode())


main(sys.argv[1])
