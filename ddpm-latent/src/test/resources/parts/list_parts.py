"""Lists the weights of the published autoencoders and text encoders, and of ldm-celebahq-256's network.

    python -m venv v && v/bin/pip install torch==2.7.1 diffusers==0.35.2 transformers==4.57.1
    v/bin/python list_parts.py published.txt.gz

The networks are diffusers' and transformers' own, made on torch's meta device, without memory for their weights, from the
configurations as they are published. Of each there is a line with its name and its configuration as JSON, and one for each weight:
name, shape. Buffers that are no weights, such as the numbers of positions, are left out.
"""
import gzip
import json
import sys

import torch
from diffusers import AutoencoderKL, UNet2DModel, VQModel
from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel
from transformers import CLIPTextConfig, CLIPTextModel

DOWN, UP = ["DownEncoderBlock2D"], ["UpDecoderBlock2D"]
KL = dict(
    block_out_channels=[128, 256, 512, 512], layers_per_block=2, latent_channels=4, down_block_types=DOWN * 4,
    up_block_types=UP * 4, sample_size=512,
)
VQ = dict(
    block_out_channels=[128, 256, 512], layers_per_block=2, latent_channels=3, num_vq_embeddings=8192, sample_size=256,
    down_block_types=DOWN * 3, up_block_types=UP * 3,
)
CELEBAHQ = dict(
    sample_size=64, in_channels=3, out_channels=3, layers_per_block=2, block_out_channels=[224, 448, 672, 896],
    attention_head_dim=32, down_block_types=["DownBlock2D"] + ["AttnDownBlock2D"] * 3,
    up_block_types=["AttnUpBlock2D"] * 3 + ["UpBlock2D"],
)
CLIP_L = dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12, vocab_size=49408)
CLIP_H = dict(
    hidden_size=1024, intermediate_size=4096, num_attention_heads=16, num_hidden_layers=23, vocab_size=49408, hidden_act="gelu",
)
PARTS = {
    "vae": lambda: AutoencoderKL(**KL),
    "vqvae": lambda: VQModel(**VQ),
    "celebahq": lambda: UNet2DModel(**CELEBAHQ),
    "clip-l": lambda: CLIPTextModel(CLIPTextConfig(**CLIP_L)),
    "clip-h": lambda: CLIPTextModel(CLIPTextConfig(**CLIP_H)),
    "ldmbert": lambda: LDMBertModel(LDMBertConfig()),
}


def configuration(model):
    config = model.config if isinstance(model.config, dict) else model.config.to_dict()
    words = {key: value for key, value in config.items() if not key.startswith("_")}
    kind = "_class_name" if hasattr(model, "config_name") else "architectures"
    return json.dumps({**words, kind: type(model).__name__ if kind == "_class_name" else [type(model).__name__]})


def main(path):
    lines = []
    for name, make in PARTS.items():
        with torch.device("meta"):
            model = make()
        lines.append(f"# {name} {configuration(model)}")
        lines += [f"{weight}\t{','.join(map(str, tensor.shape))}" for weight, tensor in model.named_parameters()]
    text = "\n".join(lines) + "\n"
    with open(path, "wb") as file:
        # No name and time of day, so that it is the same each time.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            packed.write(text.encode())


if __name__ == "__main__":
    main(sys.argv[1])
