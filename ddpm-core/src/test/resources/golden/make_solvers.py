"""Makes solvers.json: trajectories of diffusers' schedulers, run with float32 replaced by float64.

Needs diffusers 0.42 and torch. Usage: python make_solvers.py > solvers.json

Samples are in units of x = signal * x_0 + noise * eps; where a scheduler works in x / signal, it is
rescaled at the borders. Models: A is eps = 0.1 x + 0.01 sin(t / 100); G is the exact score of
N(0.3, 0.25) at the level of x.
"""

import importlib
import json
import math
import sys
import types

import numpy as np
import torch

BETAS = dict(beta_start=1e-4, beta_end=0.02, beta_schedule="linear")
START = torch.tensor([0.7, -1.3, 1.9, -0.2], dtype=torch.float64).reshape(2, 1, 1, 2)
NOISE = torch.from_numpy(np.random.default_rng(5).standard_normal((25, 2, 1, 1, 2)))
drawn = 0


def load(name, cls):
    source = importlib.import_module("diffusers.schedulers." + name).__file__
    module = types.ModuleType("diffusers.schedulers." + name + "_float64")
    module.__package__ = "diffusers.schedulers"
    sys.modules[module.__name__] = module
    exec(open(source).read().replace("float32", "float64"), module.__dict__)
    module.randn_tensor = draw
    return getattr(module, cls)


def draw(*args, **kwargs):
    global drawn
    drawn += 1
    return NOISE[drawn - 1]


def model(kind, x, t, signal, noise):
    if kind == "A":
        return 0.1 * x + 0.01 * math.sin(t / 100)
    return noise * (x - signal * 0.3) / (signal**2 * 0.25 + noise**2)


def exploding(scheduler, kind, steps):
    """Schedulers in x / signal."""
    scheduler.set_timesteps(steps)
    scheduler.timesteps = scheduler.timesteps.to(torch.float64)
    x = START * (scheduler.sigmas[0] ** 2 + 1) ** 0.5
    asked = []
    for i, t in enumerate(scheduler.timesteps):
        sigma = float(scheduler.sigmas[i])
        signal = 1 / math.sqrt(sigma**2 + 1)
        asked.append(float(t))
        eps = model(kind, x * signal, float(t), signal, sigma * signal)
        scheduler.scale_model_input(x, t)
        x = scheduler.step(eps, t, x).prev_sample
    return asked, x


def preserving(scheduler, kind, steps):
    scheduler.set_timesteps(steps)
    x = START
    asked = []
    for i, t in enumerate(scheduler.timesteps):
        if hasattr(scheduler, "sigmas"):
            sigma = float(scheduler.sigmas[i])
            signal = 1 / math.sqrt(sigma**2 + 1)
            noise = sigma * signal
        else:
            ab = float(scheduler.alphas_cumprod[int(t)])
            signal, noise = math.sqrt(ab), math.sqrt(1 - ab)
        asked.append(float(t))
        x = scheduler.step(model(kind, x, float(t), signal, noise), t, x).prev_sample
    return asked, x


def inverted(scheduler, kind, steps):
    scheduler.set_timesteps(steps)
    x = START
    asked = []
    for t in scheduler.timesteps:
        before = int(t) - 1000 // steps
        ab = float(scheduler.alphas_cumprod[before]) if before >= 0 else 1.0
        asked.append(float(t))
        eps = model(kind, x, float(t), math.sqrt(ab), math.sqrt(1 - ab))
        x = scheduler.step(eps, t, x).prev_sample
    return asked, x


out = {
    "x_T": {"shape": list(START.shape), "data": START.flatten().tolist()},
    "noise": {"shape": list(NOISE.shape), "data": NOISE.flatten().tolist()},
}


def add(key, run, name, cls, steps, **config):
    global drawn
    for kind in "AG":
        drawn = 0
        asked, x = run(load(name, cls)(**BETAS, **config), kind, steps)
        out[f"{key}|{steps}|model={kind}"] = {
            "timesteps": {"shape": [len(asked)], "data": asked},
            "final": {"shape": list(x.shape), "data": x.flatten().tolist()},
        }


for spacing in ("leading", "trailing"):
    for steps in (5, 20):
        add("euler|" + spacing, exploding, "scheduling_euler_discrete", "EulerDiscreteScheduler",
            steps, timestep_spacing=spacing)
        add("eulerAncestral|" + spacing, exploding, "scheduling_euler_ancestral_discrete",
            "EulerAncestralDiscreteScheduler", steps, timestep_spacing=spacing)
        add("heun|" + spacing, exploding, "scheduling_heun_discrete", "HeunDiscreteScheduler",
            steps, timestep_spacing=spacing)
        if spacing == "leading":
            add("plms|" + spacing, preserving, "scheduling_pndm", "PNDMScheduler", steps,
                timestep_spacing=spacing, skip_prk_steps=True, set_alpha_to_one=True)
        else:
            add("ddimInversion|" + spacing, inverted, "scheduling_ddim_inverse",
                "DDIMInverseScheduler", steps, timestep_spacing=spacing, clip_sample=False)
for steps in (5, 20):
    for name, flag in (("karras", "use_karras_sigmas"), ("exponential", "use_exponential_sigmas")):
        add("euler|" + name, exploding, "scheduling_euler_discrete", "EulerDiscreteScheduler",
            steps, timestep_spacing="linspace", **{flag: True})
        add("heun|" + name, exploding, "scheduling_heun_discrete", "HeunDiscreteScheduler",
            steps, timestep_spacing="linspace", **{flag: True})
    for order in (1, 2, 3):
        for spacing in ("linspace", "leading", "trailing"):
            # bh1 gives NaN in diffusers where it ends at sigma 0.
            add(f"uniPc|{spacing}|order={order}|bh1|sigma_min", preserving,
                "scheduling_unipc_multistep", "UniPCMultistepScheduler", steps,
                solver_order=order, solver_type="bh1", timestep_spacing=spacing,
                final_sigmas_type="sigma_min")
            add(f"uniPc|{spacing}|order={order}|bh2", preserving,
                "scheduling_unipc_multistep", "UniPCMultistepScheduler", steps,
                solver_order=order, solver_type="bh2", timestep_spacing=spacing)
        add(f"uniPc|linspace|order={order}|bh2|sigma_min", preserving,
            "scheduling_unipc_multistep", "UniPCMultistepScheduler", steps,
            solver_order=order, solver_type="bh2", final_sigmas_type="sigma_min")
        add(f"uniPc|karras|order={order}|bh2", preserving,
            "scheduling_unipc_multistep", "UniPCMultistepScheduler", steps,
            solver_order=order, solver_type="bh2", use_karras_sigmas=True)
        add(f"dpmSolver|linspace|order={order}|sigma_min", preserving,
            "scheduling_dpmsolver_multistep", "DPMSolverMultistepScheduler", steps,
            solver_order=order, algorithm_type="dpmsolver", final_sigmas_type="sigma_min")
        add(f"dpmSolverPlusPlus|linspace|order={order}|stochastic", preserving,
            "scheduling_dpmsolver_multistep", "DPMSolverMultistepScheduler", steps,
            solver_order=order, algorithm_type="sde-dpmsolver++")
json.dump(out, sys.stdout, indent=0)
