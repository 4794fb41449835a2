"""Makes flow.json: the tables and trajectories of diffusers' schedulers of flow matching, run with
float32 replaced by float64.

Needs diffusers 0.35 and torch. Usage: python make_flow.py > flow.json

The model is the exact velocity of N(0.3, 0.25), E[eps - x_0 | x], where x = (1 - sigma) x_0 + sigma
eps. "default" lets the scheduler spread the times, "even" gives it 1, ..., 1/n as pipelines do.
"""

import importlib
import json
import sys
import types

import numpy as np
import torch

START = torch.tensor([0.7, -1.3, 1.9, -0.2], dtype=torch.float64).reshape(2, 1, 1, 2)


def load(name, cls):
    source = importlib.import_module("diffusers.schedulers." + name).__file__
    module = types.ModuleType("diffusers.schedulers." + name + "_float64")
    module.__package__ = "diffusers.schedulers"
    sys.modules[module.__name__] = module
    exec(open(source).read().replace("float32", "float64"), module.__dict__)
    return getattr(module, cls)


def velocity(x, sigma):
    signal = 1 - sigma
    total = signal**2 * 0.25 + sigma**2
    estimate = 0.3 + signal * 0.25 * (x - signal * 0.3) / total
    return (x - estimate) / sigma


def trajectory(scheduler):
    x = START.clone()
    told = []
    for t in scheduler.timesteps:
        told.append(float(t))
        x = scheduler.step(velocity(x, float(t) / 1000), t, x).prev_sample
    return {"timesteps": array(told), "final": array(x)}


def array(values):
    values = np.asarray(values)
    return {"shape": list(values.shape), "data": values.reshape(-1).tolist()}


def main():
    euler = load("scheduling_flow_match_euler_discrete", "FlowMatchEulerDiscreteScheduler")
    heun = load("scheduling_flow_match_heun_discrete", "FlowMatchHeunDiscreteScheduler")
    result = {"x_T": array(START)}
    for shift in (1.0, 3.0):
        table = euler(shift=shift)
        result["table|%g" % shift] = array(table.sigmas.tolist()[::-1])
        for n in (5, 10):
            scheduler = euler(shift=shift)
            scheduler.set_timesteps(sigmas=np.linspace(1, 1 / n, n))
            result["euler|%g|even|%d" % (shift, n)] = trajectory(scheduler)
    for name, cls in (("euler", euler), ("heun", heun)):
        scheduler = cls()
        scheduler.set_timesteps(10)
        result[name + "|1|default|10"] = trajectory(scheduler)
    for shift in (1.0, 3.0, 0.5):
        scheduler = euler(shift=shift)
        scheduler.set_timesteps(5)
        result["sigmas|%g|default|5" % shift] = array(scheduler.sigmas.tolist())
    print(json.dumps(result))


main()
