"""Makes lucidrains_1d*.safetensors and .json: Unet1D and GaussianDiffusion1D of denoising-diffusion-pytorch 2.3.4.

    pip install torch==2.7.1 safetensors einops tqdm && pip install --no-deps denoising-diffusion-pytorch==2.3.4
    python make_signals.py FOLDER

The package's own __init__ wants torchvision and more, which none of this needs, so its file is loaded alone.
"""

import importlib.metadata
import importlib.util
import json
import math
import pathlib
import sys
import types

import torch
from safetensors.torch import save_file

torch.set_grad_enabled(False)
torch.set_num_threads(1)


def module():
    package = "denoising_diffusion_pytorch"
    folder = pathlib.Path(importlib.util.find_spec(package).submodule_search_locations[0])
    sys.modules[package] = types.ModuleType(package)
    sys.modules[package].__path__ = [str(folder)]
    for name, member in dict(accelerate="Accelerator", ema_pytorch="EMA").items():
        sys.modules[name] = types.ModuleType(name)
        setattr(sys.modules[name], member, None)
    return importlib.import_module(package + ".denoising_diffusion_pytorch_1d")


def seed(network, number):
    """Random weights of a size that keeps activations near 1, norms away from 1 and 0, everything exact in bfloat16."""
    g = torch.Generator().manual_seed(number)
    for k, p in network.state_dict().items():
        if p.ndim <= 1 or k.endswith(".g"):
            v = float(bool((p == 1).all())) + 0.3 * torch.randn(p.shape, generator=g)
        else:
            v = torch.randn(p.shape, generator=g) / math.sqrt(p[0].numel())
        p.copy_(v.bfloat16().float())
    return network.eval()


def save(folder, name, tensors, **facts):
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(facts) + "\n")


def main():
    folder = pathlib.Path(sys.argv[1])
    d = module()
    peer = "denoising-diffusion-pytorch " + importlib.metadata.version("denoising-diffusion-pytorch")
    base = dict(dim=4, dim_mults=(1, 2), channels=2)
    other = dict(dim=4, dim_mults=(1,), channels=1, init_dim=6, self_condition=True, learned_variance=True)
    other |= dict(learned_sinusoidal_cond=True, learned_sinusoidal_dim=6)
    for k, (name, args) in enumerate(dict(lucidrains_1d=base, lucidrains_1d_selfcond=other).items()):
        network = seed(d.Unet1D(**args), 190 + k)
        g = torch.Generator().manual_seed(290 + k)
        x = torch.randn(2, args["channels"], 12, generator=g)
        io = dict(input=x, timesteps=torch.tensor([0.3, -2.0]) if k else torch.tensor([3.0, 801.0]))
        if k:
            io["previous_x0"] = torch.randn(x.shape, generator=g)
        output = network(x, io["timesteps"], io.get("previous_x0"))
        save(folder, name, network.state_dict() | io | dict(output=output), peer=peer + " Unet1D", args=args)
    args = dict(dim=4, dim_mults=(1,), channels=1)
    settings = dict(seq_length=16, timesteps=20, objective="pred_noise")
    network = seed(d.Unet1D(**args), 192)
    g = torch.Generator().manual_seed(292)
    randn = torch.randn
    tensors = {}
    for steps in (4, 20):
        draws = []
        torch.randn = lambda shape, **_: draws.append(randn(shape, generator=g)) or draws[-1]
        torch.randn_like = lambda x: torch.randn(x.shape)
        diffusion = d.GaussianDiffusion1D(network, sampling_timesteps=steps, **settings)
        sample = diffusion.sample(batch_size=2)
        tensors |= diffusion.state_dict()
        tensors |= {f"steps{steps}.sample": sample, f"steps{steps}.noise": torch.stack(draws)}
    save(folder, "lucidrains_1d_sample", tensors, peer=peer + " GaussianDiffusion1D", args=args, settings=settings)


if __name__ == "__main__":
    main()
