"""Writes lite0.f32le.bin: the 1,280 features of EfficientNet-Lite0 of two pictures, by torch.

    python make_lite0.py efficientnet-lite0-57934424.pth efficientnet-lite0.safetensors lite0.f32le.bin

Two rows are of the published weights, two of those of our file, whose float16 is taken as float32.

The pictures, 32x32 in [-1, 1], are formulas, so that the test can make them, too. Written from the
published description (Tan and Le 2019) with torch's own batch normalisation, in float32.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

p = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
STAGES = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]


def ours(path):
    data = open(path, "rb").read()
    size = int.from_bytes(data[:8], "little")
    read = lambda t: np.frombuffer(data[8 + size :][slice(*t["data_offsets"])], "<f2").reshape(t["shape"])
    return {k: torch.from_numpy(read(t).astype("f4")) for k, t in json.loads(data[8 : 8 + size]).items() if k != "__metadata__"}


def layer(x, conv, bn, stride=1, groups=1, act=True):
    w = p[conv + ".weight"]
    k = w.shape[-1]
    size = x.shape[-1]
    total = max((-(-size // stride) - 1) * stride + k - size, 0)  # TensorFlow's SAME
    x = F.pad(x, [total // 2, total - total // 2] * 2)
    x = F.conv2d(x, w, p.get(conv + ".bias"), stride, groups=groups)
    if bn + ".weight" in p:
        x = F.batch_norm(x, p[bn + ".running_mean"], p[bn + ".running_var"], p[bn + ".weight"], p[bn + ".bias"], eps=1e-3)
    return F.relu6(x) if act else x


def features(x):
    x = F.interpolate((x + 1) / 2, (224, 224), mode="bilinear", align_corners=False)
    x = layer((x - 0.498) / 0.502, "_conv_stem", "_bn0", 2)
    i, channels = 0, 32
    for kernel, first, expansion, out, count in STAGES:
        for j in range(count):
            b, y, stride = f"_blocks.{i}.", x, first if j == 0 else 1
            if expansion > 1:
                y = layer(y, b + "_expand_conv", b + "_bn0")
            y = layer(y, b + "_depthwise_conv", b + "_bn1", stride, y.shape[1])
            y = layer(y, b + "_project_conv", b + "_bn2", act=False)
            x = x + y if stride == 1 and channels == out else y
            i, channels = i + 1, out
    return layer(x, "_conv_head", "_bn1").mean((2, 3))


n, c, h, w = np.meshgrid(np.arange(2), np.arange(3), np.arange(32), np.arange(32), indexing="ij")
pictures = np.sin(0.1 * (n + 1) * (c + 1) * h + 0.07 * (c + 2) * w).astype(np.float32)
with torch.no_grad():
    published = features(torch.from_numpy(pictures))
    p = ours(sys.argv[2])
    torch.cat([published, features(torch.from_numpy(pictures))]).numpy().astype("<f4").tofile(sys.argv[3])
