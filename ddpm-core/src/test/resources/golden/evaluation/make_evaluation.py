"""Writes features.pt, a feature network in TorchScript with its output, and evaluation.json: features and the figures that numpy and scipy find for them, in float64.

    python make_evaluation.py

Fréchet distances are worked out by scipy's root of a matrix where the covariances have full rank, and
by the singular values of the centred features themselves (no covariance, no factor of one) everywhere.
"""
import json
import sys

import numpy as np
import scipy
import scipy.linalg
import scipy.spatial.distance
import torch


def array(a):
    a = np.asarray(a, dtype=np.float64)
    return {"shape": list(a.shape), "data": [float(v) for v in a.ravel()]}


def centred(x):
    return (x - x.mean(0)) / np.sqrt(len(x) - 1)


def frechet(x, y):
    """tr sqrt(S1 S2) is the nuclear norm of F1 F2ᵀ with S = FᵀF."""
    root = np.linalg.svd(centred(x) @ centred(y).T, compute_uv=False).sum()
    diff = x.mean(0) - y.mean(0)
    return float(diff @ diff + (centred(x) ** 2).sum() + (centred(y) ** 2).sum() - 2 * root)


def frechet_sqrtm(x, y):
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.real(scipy.linalg.sqrtm(a @ b))
    diff = x.mean(0) - y.mean(0)
    return float(diff @ diff + np.trace(a + b - 2 * root))


def kernel(x, y):
    def k(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def pairs(a):
        return (k(a, a).sum() - np.trace(k(a, a))) / (len(a) * (len(a) - 1))

    return float(pairs(x) + pairs(y) - 2 * k(x, y).mean())


def in_balls(rows, centres, k):
    within = scipy.spatial.distance.cdist(centres, centres)
    radii = np.sort(within, axis=1)[:, k]  # the first is the row itself
    return float((scipy.spatial.distance.cdist(rows, centres) <= radii).any(1).mean())


def inception(p, splits):
    scores = []
    for part in np.split(p, splits):
        kl = scipy.special.rel_entr(part, part.mean(0)).sum(1)
        scores.append(np.exp(kl.mean()))
    return float(np.mean(scores))


def case(x, y, full_rank):
    distance = frechet(x, y)
    if full_rank:
        other = frechet_sqrtm(x, y)
        assert abs(distance - other) < 1e-9 * (1 + abs(distance)), (distance, other)
    return {
        "generated": array(x),
        "reference": array(y),
        "covariance": array(np.cov(x, rowvar=False)),
        "mean": array(x.mean(0)),
        "frechet": distance,
        "kernel": kernel(x, y),
        "precision_k3": in_balls(x, y, 3),
        "recall_k3": in_balls(y, x, 3),
        "precision_k1": in_balls(x, y, 1),
        "recall_k1": in_balls(y, x, 1),
    }


class Network(torch.nn.Module):
    """Two outputs, of shapes (N, 5, 1, 1) and (N, 7)."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, 3, stride=2)

    def forward(self, x):
        h = self.conv(x).relu()
        return h.mean((2, 3), keepdim=True), h.flatten(1)[:, :7]


torch.manual_seed(3)
network = Network().eval()
torch.jit.save(torch.jit.script(network), "features.pt")
images = torch.rand(5, 1, 6, 7) * 2 - 1
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
with torch.no_grad():
    pixels = torch.nn.functional.interpolate((images + 1) / 2, (9, 11), mode="bilinear", align_corners=False).repeat(1, 3, 1, 1)
    pooled, flat = network((pixels - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(DEVIATION).view(1, 3, 1, 1))
    plain = network((images.repeat(1, 3, 1, 1) + 1) / 2)[0]

rng = np.random.default_rng(20)
mix = rng.normal(size=(6, 6))
x = rng.normal(size=(60, 6)) @ mix + 0.5
y = rng.normal(size=(45, 6)) @ (mix + 0.4 * rng.normal(size=(6, 6)))
small = rng.normal(size=(7, 12))
large = rng.normal(size=(30, 12)) * np.geomspace(1e-6, 1e3, 12)
rank = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 12))
constant = rng.normal(size=(20, 12))
constant[:, ::2] = 3.0
logits = 3 * rng.normal(size=(40, 5))
probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
probabilities[3] = [0, 1, 0, 0, 0]

golden = {
    "versions": f"python {sys.version.split()[0]}, numpy {np.__version__}, scipy {scipy.__version__}, torch {torch.__version__}",
    "cases": {
        "regular": case(x, y, True),
        "fewer images than features": case(small, large, False),
        "both of fewer images than features": case(small, rng.normal(size=(8, 12)) + 1, False),
        "rank 3 against full rank": case(rank, large, False),
        "rank 3 against rank 3": case(rank, rank + 0.25, False),
        "constant features": case(constant, rank, False),
        "far from 0": case(x + 1e3, y + 1e3, True),
    },
    "network": {
        "images": array(images),
        "mean": array(MEAN),
        "deviation": array(DEVIATION),
        "resized and normalized, output 0": array(pooled.flatten(1)),
        "resized and normalized, output 1": array(flat),
        "of [0, 1], output 0": array(plain.flatten(1)),
    },
    "inception": {"probabilities": array(probabilities), "splits_1": inception(probabilities, 1), "splits_4": inception(probabilities, 4)},
}
with open("evaluation.json", "w") as out:
    json.dump(golden, out, separators=(",", ":"))
