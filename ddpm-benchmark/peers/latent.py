"""Compares one call of each part of Stable Diffusion 1.5 with diffusers', in turn on one machine.

    pip install torch==2.7.1 diffusers==0.35.2 transformers==4.57.1
    python latent.py FOLDER --class-path "$CLASS_PATH" --rounds 3

FOLDER is what the main RealSizes of ddpm-latent's tests wrote: random weights of the published
sizes. CLASS_PATH is that of ddpm-latent's tests. Ours (its main PartTimes) and theirs run one after
the other, each in a process of its own. Printed are the medians and the ratios ours / theirs of
time and of the peak memory beyond the weights, a line per part, batch and precision.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import peers

SIDE, TOKENS, WIDTH = 64, 77, 768
RESET = pathlib.Path("/proc/self/clear_refs")


def measure(folder, part, batch, precision, repeats, threads):
    """One part of diffusers in this process; prints what PartTimes prints."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    dtype = torch.float32 if precision == "FLOAT32" else torch.bfloat16
    torch.ones(1)
    if part == "unet":
        from diffusers import UNet2DConditionModel as Model

        name, arguments = "unet", dict(torch_dtype=dtype, use_safetensors=True)
    elif part == "decode":
        from diffusers import AutoencoderKL as Model

        name, arguments = "vae", dict(torch_dtype=dtype, use_safetensors=True)
    else:
        from transformers import CLIPTextModel as Model

        name, arguments = "text_encoder", dict(dtype=dtype)
    start = time.perf_counter()
    model = Model.from_pretrained(folder / name, **arguments).eval()
    load = time.perf_counter() - start
    load_peak = peers.megabytes("VmHWM") * 1.048576
    RESET.write_text("5")
    x = torch.randn(batch, 4, SIDE, SIDE, dtype=dtype)
    text = torch.randn(batch, TOKENS, WIDTH, dtype=dtype)
    ids = torch.arange(batch)[:, None].expand(batch, TOKENS).contiguous()

    def call():
        if part == "unet":
            return model(x, 500, text).sample
        if part == "decode":
            return model.decode(x / 0.18215).sample
        return model(ids).last_hidden_state

    times = []
    with torch.inference_mode():
        for i in range(repeats + 1):
            before = time.perf_counter()
            call()
            times.append(time.perf_counter() - before)
    weights = sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6
    print(json.dumps(dict(
        part=part, batch=batch, precision=precision, load=load, load_peak=load_peak,
        seconds=statistics.median(times[1:]), beyond=peers.megabytes("VmHWM") * 1.048576 - weights,
    )))


def run(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return json.loads(out.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--class-path", help="that of ddpm-latent's tests")
    parser.add_argument("--parts", default="unet,decode,text")
    parser.add_argument("--batches", default="1,2")
    parser.add_argument("--precisions", default="FLOAT32,BFLOAT16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", action="store_true", help="theirs alone, in this process")
    options = parser.parse_args()
    parts, batches = options.parts.split(","), options.batches.split(",")
    if options.measure:
        measure(
            options.folder, parts[0], int(batches[0]), options.precisions.split(",")[0],
            options.repeats, options.threads,
        )
        return
    if not options.class_path:
        sys.exit("--class-path is needed to run ours")
    print("| part | batch | precision | ours s | theirs s | time | ours MB | theirs MB | memory | load s | load MB |")
    print("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for part in parts:
        for precision in options.precisions.split(","):
            for batch in batches:
                ours, theirs = [], []
                for _ in range(options.rounds):
                    ours.append(run(
                        ["java", "-Xmx512m", f"-Dai.djl.pytorch.num_threads={options.threads}",
                         "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", options.class_path,
                         "io.github.ddpm4j.latent.PartTimes", str(options.folder), part, batch, precision,
                         str(options.repeats)], options.threads))
                    theirs.append(run(
                        [sys.executable, __file__, str(options.folder), "--measure", "--parts", part,
                         "--batches", batch, "--precisions", precision, "--repeats", str(options.repeats),
                         "--threads", str(options.threads)], options.threads))

                def both(name):
                    return [statistics.median(run[name] for run in runs) for runs in (ours, theirs)]

                def ratio(name):
                    each = [o[name] / t[name] for o, t in zip(ours, theirs)]
                    return f"{statistics.median(each):.2f} ({min(each):.2f}..{max(each):.2f})"

                seconds, beyond, load, load_peak = map(both, ("seconds", "beyond", "load", "load_peak"))
                print(
                    f"| {part} | {batch} | {precision} | {seconds[0]:.2f} | {seconds[1]:.2f} | {ratio('seconds')}"
                    f" | {beyond[0]:.0f} | {beyond[1]:.0f} | {ratio('beyond')}"
                    f" | {load[0]:.1f}, {load[1]:.1f} | {load_peak[0]:.0f}, {load_peak[1]:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
