"""Makes python.safetensors, which SafetensorsTest reads.

    pip install safetensors==0.8.0 numpy
    python make_python.py
"""

import numpy as np
from safetensors.numpy import save_file

save_file(
    {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
        "scalar": np.array(0.1, dtype=np.float64),
        "empty": np.zeros((0, 3), dtype=np.float32),
        "steps": np.array([1, -2, 2**40], dtype=np.int64),
        "small": np.array([-3, 4], dtype=np.int32),
        "bytes": np.array([[0, 128, 255]], dtype=np.uint8),
        "flags": np.array([True, False]),
    },
    "python.safetensors",
    metadata={"format": "np"},
)
