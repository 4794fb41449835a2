"""Makes what TorchFileTest reads, and expected.json: shape, type and SHA-256 of the float32 values of every tensor, as torch.load has them.

    pip install torch==2.7.1 numpy
    python make_torch.py

improved.pt, lucidrains-trainer.pt and teapearce-ddp.pth were saved by torch 2.7.1 from small networks of improved-diffusion,
denoising-diffusion-pytorch 2.3.1 (its Trainer's dictionary) and Conditional_Diffusion_MNIST (within DistributedDataParallel), with
random weights; they are read here, not made. legacy.pt differs on every run, since its keys are addresses.
"""

import collections, hashlib, json, pathlib, pickle, sys, types
import numpy as np
import torch

HERE = pathlib.Path(__file__).parent


def save(name, value, **options):
    torch.save(value, HERE / name, **options)


base = torch.arange(12.0)
views = {
    "plain": base.view(3, 4), "transposed": base.view(3, 4).t(), "slice": base[3:7],
    "expanded": base[:2].view(2, 1).expand(2, 3), "stepped": base.view(3, 4)[:, ::2], "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4), "channels_last": torch.arange(48.0).view(1, 3, 4, 4).contiguous(memory_format=torch.channels_last),
}
save("views.pt", views)
save("legacy.pt", views, _use_new_zipfile_serialization=False)
save("protocol4.pt", views, pickle_protocol=4)
TYPES = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
save("dtypes.pt", {t: torch.tensor([0, 1, 2]).to(getattr(torch, t)) for t in TYPES})
save("parameters.pt", {"w": torch.nn.Parameter(torch.ones(2, 2)), "frozen": torch.nn.Parameter(torch.zeros(2), requires_grad=False)})

for name in ("pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.callbacks.model_checkpoint"):
    sys.modules.setdefault(name, types.ModuleType(name))  # only to be mentioned in the file
callback = type("ModelCheckpoint", (), {"__module__": "pytorch_lightning.callbacks.model_checkpoint"})
sys.modules["pytorch_lightning.callbacks.model_checkpoint"].ModelCheckpoint = callback
save("lightning.ckpt", {
    "epoch": 1, "global_step": 2, "pytorch-lightning_version": "1.4.2", "state_dict": collections.OrderedDict(w=torch.ones(2)),
    "callbacks": {callback: {"best_model_score": torch.tensor(0.5)}}, "lr_schedulers": [], "loss": np.float64(1.5),
    "best": np.float32(0.5), "n": np.int64(7), "history": np.arange(3.0)})

torch.manual_seed(0)
save("whole-module.pt", torch.nn.Linear(2, 2))


class Evil:
    def __reduce__(self):
        return print, ("the reader ran code",)


save("evil.pt", {"w": torch.ones(2), "x": Evil()})

# Kinds of tensors that are refused one by one, beside one that is read.
save("kinds.pt", {
    "dense": torch.arange(3.0), "float8": torch.ones(2).to(torch.float8_e4m3fn), "complex": torch.ones(2, dtype=torch.complex64),
    "sparse": torch.eye(2).to_sparse(), "quantized": torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.quint8),
    "conjugated": torch.ones(2, dtype=torch.complex64).conj()})

# A trainer's file: weights, an average that shares nothing, one that shares all, an optimizer, plain values.
model = torch.nn.Linear(2, 3)
optimizer = torch.optim.Adam(model.parameters(), 1e-3, betas=(0.9, 0.99))
model(torch.ones(1, 2)).sum().backward()
optimizer.step()
state = model.state_dict()
trainer = {
    "model": state, "ema": {"ema_model." + k: v * 2 for k, v in state.items()} | {"online." + k: v for k, v in state.items()},
    "opt": optimizer.state_dict(), "step": 7, "lr": 0.5, "version": "2.3.1", "amp": False, "mults": (1, 2, 2), "nothing": None,
    "shadow_params": [p.detach() * 3 for p in model.parameters()]}
save("trainer.pt", trainer)
save("trainer-legacy.pt", trainer, _use_new_zipfile_serialization=False)

torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), HERE / "script.pt")
(HERE / "plain.pkl").write_bytes(pickle.dumps({"w": [1.5]}, protocol=4))


def flat(value, path="", out=None):
    out = {} if out is None else out
    if isinstance(value, torch.Tensor):
        out[path] = value
    elif isinstance(value, dict):
        for k, v in value.items():
            if isinstance(k, (str, int)):
                flat(v, f"{path}.{k}" if path else str(k), out)
    elif isinstance(value, (list, tuple)):
        for k, v in enumerate(value):
            flat(v, f"{path}.{k}", out)
    return out


def facts(tensor):
    values = tensor.detach().float().clone(memory_format=torch.contiguous_format).numpy().tobytes()
    return {"shape": list(tensor.shape), "type": str(tensor.dtype)[6:], "sha256": hashlib.sha256(values).hexdigest()}


READ = ("views.pt legacy.pt protocol4.pt dtypes.pt parameters.pt lightning.ckpt trainer.pt trainer-legacy.pt improved.pt "
        "lucidrains-trainer.pt teapearce-ddp.pth").split()
expected = {n: {k: facts(v) for k, v in flat(torch.load(HERE / n, weights_only=False)).items()} for n in READ}
(HERE / "expected.json").write_text(json.dumps(expected, indent=0, separators=(",", ":")) + "\n")
