"""Checks folders of Pretrained.saveDiffusers with diffusers itself.

    mvn -B test -pl ddpm-core,ddpm-unet -Dtest=DiffusersFolderTest -Dsurefire.failIfNoSpecifiedTests=false
    pip install torch==2.7.1 diffusers==0.35.2 safetensors numpy
    python ddpm-unet/src/test/python/check_diffusers.py ddpm-unet/target/diffusers

The first command writes NAME/ as people would, and x, timesteps, labels, Java's prediction and ten
steps of DDIM into NAME.safetensors. For each of them this loads the folder by
DDPMPipeline.from_pretrained, and prints the largest difference from Java's prediction of

    network   the output of its unet

and of the ten steps of a DDIMScheduler with its scheduler's config from

    ddim      Java's samples

and exits with code 1 if the first is above 1e-5 * (1 + |x|), the second above 1e-4 * (1 + |x|), or
a weight was missing or not known. check_diffusers.txt beside this file is what it printed.
"""

import pathlib
import sys

import diffusers
import torch
from diffusers import DDIMScheduler, DDPMPipeline, UNet2DModel
from safetensors.torch import load_file

torch.set_grad_enabled(False)


def largest(a, b):
    return ((a - b).abs() / (1 + b.abs())).max().item()


def check(folder):
    data = load_file(folder.with_suffix(".safetensors"))
    labels = data["labels"].long() if "labels" in data else None
    pipeline = DDPMPipeline.from_pretrained(folder)
    unet = pipeline.unet.eval()
    _, report = UNet2DModel.from_pretrained(folder, subfolder="unet", output_loading_info=True)
    whole = not any(report.values())
    network = largest(unet(data["x"], data["timesteps"], labels).sample, data["prediction"])
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(10)
    x = data["x"]
    for t in scheduler.timesteps:
        output = unet(x, t, labels).sample[:, : x.shape[1]]
        x = scheduler.step(output, t, x).prev_sample
    ddim = largest(x.clamp(-1, 1), data["sample"].clamp(-1, 1))
    print(f"{folder.name:10} {network:9.1e} {ddim:9.1e} {'yes' if whole else 'NO':>7}")
    return network <= 1e-5 and ddim <= 1e-4 and whole


def main():
    folders = sorted(p for p in pathlib.Path(sys.argv[1]).iterdir() if p.is_dir())
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}; largest differences from"
          " Java, of 1 + |x|")
    print(f"{'folder':10} {'network':>9} {'ddim':>9} {'weights':>7}")
    good = [check(folder) for folder in folders]
    print(f"{sum(good)} of {len(good)} folders are right")
    sys.exit(0 if good and all(good) else 1)


if __name__ == "__main__":
    main()
