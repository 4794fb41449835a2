"""What the scripts of the peers have in common: how they measure, and how they tell.

The measurements and their names in JSON are those of io.github.ddpm4j.benchmark.Benchmark; see
docs/performance.md. Each part of each variant runs in a process of its own, one after the other.
"""

import abc
import argparse
import contextlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

VARIANTS = {
    # name: (bfloat16 autocast, channels last, torch.compile)
    "eager-float32": (False, False, False),
    "eager-float32-channels-last": (False, True, False),
    "autocast-bfloat16": (True, False, False),
    "autocast-bfloat16-channels-last": (True, True, False),
    "compile-float32": (False, False, True),
    "compile-bfloat16": (True, False, True),
}
PARTS = ("inference", "step", "pieces")
REMOVED = ("OPENBLAS_", "GOTO_", "MKL_", "OMP_", "KMP_")

CALLS = 50
PICTURES = 16
IMAGES = 64
LEARNING_RATE = 2e-4
WEIGHT_DECAY = 0.01
EMA_DECAY = 0.9999
CLIP = 1.0
SECONDS = 2.0
WARM_UPS = 3


class Peer(abc.ABC):
    """A library: its networks, and how it trains and samples."""

    name: str
    presets: tuple

    @abc.abstractmethod
    def load(self):
        """Imports the library: the first call is timed without that."""

    @abc.abstractmethod
    def build(self, preset):
        """A network with fresh weights."""

    @abc.abstractmethod
    def shape(self, preset):
        """The shape of one image."""

    @abc.abstractmethod
    def predict(self, model, x, t):
        """The prediction."""

    @abc.abstractmethod
    def loss(self, model, x0):
        """The loss of a batch, with timesteps and noise of its own drawing."""

    @abc.abstractmethod
    def sample(self, model, shape, calls):
        """Images by DDIM."""


def spread(values):
    values = sorted(values)

    def quantile(share):
        place = share * (len(values) - 1)
        below = int(place)
        above = min(below + 1, len(values) - 1)
        return values[below] + (place - below) * (values[above] - values[below])

    return dict(
        median=quantile(0.5), lower=quantile(0.25), upper=quantile(0.75),
        min=values[0], max=values[-1], count=len(values),
    )


def timed(run, least, seconds, warm_ups):
    """Runs something until it was run often and long enough; milliseconds."""
    warm = warm_time = 0
    while warm < warm_ups or (warm_ups > 0 and warm_time < seconds / 2):
        start = time.perf_counter()
        run()
        warm_time += time.perf_counter() - start
        warm += 1
    times = []
    while len(times) < least or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return [1000 * t for t in times]


def megabytes(name):
    """What Linux says of this process's memory: VmRSS now, VmHWM at most so far."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    sys.exit("peak memory is known on Linux alone")


class Bench:
    """One variant of one network of a peer, in this process."""

    def __init__(self, peer, preset, variant, options):
        import torch

        self.torch = torch
        self.peer, self.preset, self.options = peer, preset, options
        self.autocast, self.channels_last, self.compile = VARIANTS[variant]
        self.device = torch.device("cuda" if options.device.startswith("gpu") else "cpu")
        self.seconds = 0.0 if options.quick else SECONDS
        self.warm_ups = 1 if options.quick else WARM_UPS
        torch.set_num_threads(options.threads)
        torch.manual_seed(1)
        peer.load()
        torch.ones(1, device=self.device)
        self.format = torch.channels_last if self.channels_last else torch.contiguous_format

    def build(self):
        model = self.peer.build(self.preset).to(self.device, memory_format=self.format)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.plain = model
        return self.torch.compile(model, dynamic=False) if self.compile else model

    def batch(self, count):
        shape = (count, *self.peer.shape(self.preset))
        images = self.torch.rand(shape, device=self.device) * 2 - 1
        return images.contiguous(memory_format=self.format)

    def precision(self):
        if self.autocast:
            return self.torch.autocast(self.device.type, dtype=self.torch.bfloat16)
        return contextlib.nullcontext()

    def wait(self):
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()

    def times(self, run):
        return timed(run, self.options.repeats, self.seconds, self.warm_ups)

    def inference(self):
        torch = self.torch
        loaded = megabytes("VmRSS")
        start = time.perf_counter()
        model = self.build().eval()
        x = self.batch(self.options.batch)
        t = torch.randint(0, 1000, (self.options.batch,), device=self.device)

        def forward():
            with torch.inference_mode(), self.precision():
                self.peer.predict(model, x, t)
            self.wait()

        forward()
        first = 1000 * (time.perf_counter() - start)
        result = dict(forwardMs=spread(self.times(forward)))
        result["firstCallMs"] = spread([first - result["forwardMs"]["median"]])

        inside = [0.0]
        begun = [0.0]

        def before(module, inputs):
            begun[0] = time.perf_counter()

        def after(module, inputs, output):
            self.wait()
            inside[0] += time.perf_counter() - begun[0]

        model.register_forward_pre_hook(before)
        model.register_forward_hook(after)
        shape = (PICTURES, *self.peer.shape(self.preset))
        shares = []

        def sample(calls):
            inside[0] = 0.0
            begin = time.perf_counter()
            # one context around all calls: it keeps the converted weights
            with torch.inference_mode(), self.precision():
                self.peer.sample(model, shape, calls)
            self.wait()
            total = time.perf_counter() - begin
            shares.append(100 * (total - inside[0]) / total)

        sample(2)
        shares.clear()
        least = -(-self.options.repeats // 4)
        result["ddim50Ms"] = spread(timed(lambda: sample(CALLS), least, self.seconds, 0))
        result["outsideNetworkPercent"] = spread(shares)
        result["rssLoadedMb"] = spread([loaded])
        result["peakRssInferenceMb"] = spread([megabytes("VmHWM")])
        return result

    def step(self):
        torch = self.torch
        model = self.build().train()
        data = self.batch(max(IMAGES, self.options.batch))
        parameters = list(model.parameters())
        averages = [p.detach().clone() for p in parameters]
        optimizer = self.optimizer(parameters)

        def step():
            picked = torch.randint(0, len(data), (self.options.batch,), device=self.device)
            x0 = data[picked].contiguous(memory_format=self.format)
            with self.precision():
                loss = self.peer.loss(model, x0)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            with torch.no_grad():
                torch._foreach_lerp_(averages, parameters, 1 - EMA_DECAY)
            return loss.item()

        start = time.perf_counter()
        step()
        first = 1000 * (time.perf_counter() - start)
        result = dict(stepMs=spread(self.times(step)))
        result["firstStepMs"] = spread([first - result["stepMs"]["median"]])
        result["peakRssTrainingMb"] = spread([megabytes("VmHWM")])
        return result

    def pieces(self):
        torch = self.torch
        model = self.build().train()
        x = self.batch(self.options.batch)
        noise = torch.randn_like(x)
        t = torch.randint(0, 1000, (self.options.batch,), device=self.device)
        parameters = list(model.parameters())

        def both():
            for p in parameters:
                p.grad = None
            with self.precision():
                output = self.peer.predict(model, x, t)
            loss = torch.nn.functional.mse_loss(output.float(), noise)
            loss.backward()
            return loss.item()

        result = dict(forwardBackwardMs=spread(self.times(both)))
        optimizer = self.optimizer(parameters)
        averages = [p.detach().clone() for p in parameters]

        def optimize():
            optimizer.step()
            self.wait()

        def average():
            with torch.no_grad():
                torch._foreach_lerp_(averages, parameters, 1 - EMA_DECAY)
            self.wait()

        result["optimizerMs"] = spread(self.times(optimize))
        result["emaMs"] = spread(self.times(average))
        return result

    def optimizer(self, parameters):
        return self.torch.optim.AdamW(
            parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)


def run(peer):
    """The main of a peer's script."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--presets", default=",".join(peer.presets), help="of %(default)s")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="of %(default)s")
    parser.add_argument("--parts", default=",".join(PARTS), help="of %(default)s")
    parser.add_argument("--device", default="cpu", help="cpu or gpu0")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="as little as possible")
    parser.add_argument("--json", type=pathlib.Path, help="writes the result into a file too")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    presets = chosen(parser, "--presets", options.presets, peer.presets)
    variants = chosen(parser, "--variants", options.variants, VARIANTS)
    parts = chosen(parser, "--parts", options.parts, PARTS)
    if options.child:
        bench = Bench(peer, presets[0], variants[0], options)
        measures = getattr(bench, parts[0])()
        print(json.dumps(dict(parameters=bench.parameters, measures=measures)))
        return
    rows = []
    for preset in presets:
        for variant in variants:
            print(peer.name, preset, variant, file=sys.stderr)
            row = dict(preset=preset, variant=variant, parameters=0, measures={})
            # The first call is to compile, not to find what another run compiled.
            with tempfile.TemporaryDirectory() as cache:
                for part in parts:
                    result = child(options, preset, variant, part, cache)
                    row["parameters"] = result["parameters"]
                    row["measures"].update(result["measures"])
            rows.append(row)
    report = dict(
        versions=versions(peer),
        settings=dict(
            device=options.device, threads=options.threads, batch=options.batch,
            repeats=options.repeats, variablesRemoved=" ".join(removed())),
        rows=rows,
    )
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def chosen(parser, option, names, known):
    names = names.split(",")
    for name in names:
        if name not in known:
            parser.error(f"{option} must be of {', '.join(known)}, but was {name}")
    return names


def removed():
    return sorted(name for name in os.environ if name.startswith(REMOVED))


def child(options, preset, variant, part, cache):
    command = [
        sys.executable, sys.argv[0], "--child", "--presets", preset, "--variants", variant,
        "--parts", part, "--device", options.device, "--threads", str(options.threads),
        "--batch", str(options.batch), "--repeats", str(options.repeats),
    ]
    if options.quick:
        command.append("--quick")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(REMOVED)}
    environment["TQDM_DISABLE"] = "1"
    environment["TORCHINDUCTOR_CACHE_DIR"] = cache
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def versions(peer):
    from importlib.metadata import version

    return dict(python=platform.python_version(), torch=version("torch"), peer=version(peer.name))
