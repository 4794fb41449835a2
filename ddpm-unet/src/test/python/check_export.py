"""Checks files of UNet.exportTorchScript in Python, without Java.

    mvn -B test -pl ddpm-core,ddpm-unet -Dtest=TorchScriptExportTest -Dtest.excludedGroups= \
        -Dsurefire.failIfNoSpecifiedTests=false
    pip install torch==2.7.1 diffusers==0.42.1 safetensors numpy
    python ddpm-unet/src/test/python/check_export.py ddpm-unet/target/export

The first command writes NAME.pt, and x, timesteps and Java's prediction into NAME.safetensors. For
each of them this prints the largest difference between Java's prediction and

    file        the file's output, in the first three calls, as libtorch rewrites programs meanwhile
    recording   the same while gradients are recorded, which a backward pass then works out
    int64       the same for timesteps as integers, where they are whole numbers
    diffusers   the output of a UNet2DModel that has taken the file's state_dict by load_state_dict
                (float32, and with sinusoids in float32: it is another program)

and exits with code 1 if one of the first three is above 1e-5, the last above 1e-4 of a float32 file,
or the names, types and shapes of the weights are not exactly those of diffusers. check_export.txt
beside this file is what it printed.
"""

import json
import pathlib
import sys

import diffusers
import torch
from diffusers import UNet2DModel
from safetensors.torch import load_file

LIMIT = 1e-5
LIMIT_DIFFUSERS = 1e-4
FIXTURES = pathlib.Path(__file__).parent.parent / "resources" / "fixtures"
CIFAR10 = dict(
    sample_size=32, in_channels=3, out_channels=3, layers_per_block=2, attention_head_dim=None,
    norm_num_groups=32, norm_eps=1e-6, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
    block_out_channels=[128, 256, 256, 256],
    down_block_types=["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    up_block_types=["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
)


def arguments(network):
    if network == "cifar10":
        return CIFAR10
    return json.loads((FIXTURES / f"{network}.json").read_text())


def largest(a, b):
    return (a - b).abs().max().item()


def check(file):
    network, precision = file.stem.split("-")
    data = load_file(file.with_suffix(".safetensors"))
    x, timesteps, expected = data["x"], data["timesteps"], data["prediction"]
    module = torch.jit.load(file)
    parameters = list(module.parameters())
    theirs = UNet2DModel(**arguments(network))

    described = lambda state: {k: (v.dtype, v.shape) for k, v in state.items()}
    same_names = described(module.state_dict()) == described(theirs.state_dict())
    theirs.load_state_dict(module.state_dict())

    with torch.no_grad():
        outputs = [module(x, timesteps) for _ in range(3)]
        by_file = max(largest(output, expected) for output in outputs)
        other = theirs.eval()(x, timesteps).sample
        whole = torch.equal(timesteps, timesteps.round())
        by_int = largest(module(x, timesteps.long()), expected) if whole else None
    output = module(x, timesteps)
    output.square().mean().backward()
    by_recording = largest(output.detach(), expected)
    learns = all(p.requires_grad and p.grad is not None for p in parameters)

    by_diffusers = largest(other, expected)
    print(
        f"{file.stem:18} {len(parameters):4} {sum(p.numel() for p in parameters):10}"
        f" {expected.abs().max().item():9.3f} {by_file:9.1e} {by_recording:9.1e}"
        f" {'-' if by_int is None else format(by_int, '.1e'):>9} {by_diffusers:9.1e}"
        f" {'yes' if same_names else 'NO':>6} {'yes' if learns else 'NO':>10}"
    )
    return (
        max(by_file, by_recording, by_int or 0) <= LIMIT
        and (precision != "FLOAT32" or by_diffusers <= LIMIT_DIFFUSERS)
        and same_names
        and learns
    )


def main():
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.pt"))
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__},"
          f" {torch.get_num_threads()} threads; largest differences from Java")
    print(f"{'file':18} {'tensors':>4} {'weights':>7} {'|output|':>9} {'file':>9} {'recording':>9}"
          f" {'int64':>9} {'diffusers':>9} {'names':>6} {'gradients':>10}")
    good = [check(file) for file in files]
    print(f"{sum(good)} of {len(good)} files are right")
    sys.exit(0 if good and all(good) else 1)


if __name__ == "__main__":
    main()
