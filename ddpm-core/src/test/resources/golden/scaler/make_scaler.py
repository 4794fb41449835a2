"""Makes scaler.json: training in float16 with PyTorch's GradScaler, on the CPU.

Needs torch 2.7.1. Usage: python make_scaler.py > scaler.json

The model is half(scale) * half(x) + half(shift), pixel by pixel, and the loss is linear in it, so
that the level of an image decides whether its gradient, times the scale, is beyond 65504.
"""

import json

import torch

PIXELS = [1.0, 0.5, -0.25, 0.125]
STEEPNESS = 16
GOOD = [0.125, -0.25, 0.5, -0.125, 0.25, -0.5]


def run(levels, accumulation, clip, keep):
    scale = torch.nn.Parameter(torch.tensor([0.5, 0.6, 0.7, 0.8]))
    shift = torch.nn.Parameter(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    adam = torch.optim.AdamW([scale, shift], lr=0.01, weight_decay=0.01, fused=True)
    scaler = torch.amp.GradScaler("cpu")
    scales, weights = [], {}
    steps = len(levels) // accumulation
    for step in range(1, steps + 1):
        scales.append(scaler.get_scale())
        for level in levels[(step - 1) * accumulation : step * accumulation]:
            x = level * torch.tensor(PIXELS)
            out = (scale.half() * x.half() + shift.half()).float()
            loss = (STEEPNESS * (out * x)).mean() / accumulation
            scaler.scale(loss).backward()
        scaler.unscale_(adam)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_([scale, shift], clip)
        scaler.step(adam)
        scaler.update()
        adam.zero_grad()
        if step in keep or step == steps:
            weights[step] = scale.tolist() + shift.tolist()
    state = scaler.state_dict()
    return {
        "levels": levels,
        "scales": scales,
        "weights": weights,
        "scale": state["scale"],
        "growth": state["_growth_tracker"],
        "updates": int(adam.state[scale]["step"]),
    }


first = [0.125, 1, -1, 0.125, 1, 1, -0.5]
# 2 good ones are among them, and growth comes after 2000.
long = first + [GOOD[i % 6] for i in range(1998)] + [1, 0.25, -1, 1, -0.125]
pairs = [0.125, 0.125, 0.125, 1, -1, 1, 1, -1, 0.5, -0.125, 1, 1, 0.25, -0.5]
print(
    json.dumps(
        {
            "plain": run(long, 1, 1.0, {1, 2, 3, 4, 5, 6, 7, 1000, 2005, 2006, 2007}),
            "accumulated": run(pairs, 2, None, {1, 2, 3, 4, 5, 6}),
        }
    )
)
