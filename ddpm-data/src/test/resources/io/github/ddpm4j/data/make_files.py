"""Writes the files of this folder that Java cannot write, by the programs that users have.

python make_files.py; made with Pillow 13.0.0, NumPy 2.4.6 and safetensors 0.8.0.
"""

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

H, W = 4, 6


def levels(c):
    """Level of row y, column x, channel c: the tests know the formula."""
    y, x, k = np.mgrid[0:H, 0:W, 0:c]
    return (40 * x + 13 * y + 60 * k) % 256


def picture(c):
    return Image.fromarray(levels(c).astype(np.uint8).squeeze(), {1: "L", 3: "RGB", 4: "RGBA"}[c])


picture(3).save("rgb.webp", lossless=True, exact=True)
picture(4).save("rgba.webp", lossless=True, exact=True)
flat = Image.new("RGB", (16, 16), (200, 100, 50))
flat.save("lossy.webp", quality=90)
flat.convert("CMYK").save("cmyk.jpg", quality=100)

exif = Image.Exif()
for orientation in range(1, 9):
    exif[0x0112] = orientation
    picture(1).save(f"orientation-{orientation}.png", exif=exif)
exif[0x0112] = 6
picture(3).save("orientation-6.webp", lossless=True, exact=True, exif=exif)
picture(1).save("orientation-6.tif", tiffinfo={274: 6})
top = Image.new("L", (16, 8), 0)
top.paste(255, (0, 0, 8, 8))  # white on the left
top.save("orientation-6.jpg", exif=exif, quality=95)

# How Pillow resizes, in floats: rows of numbers under their sizes.
with open("lanczos.txt", "w") as out:
    source = Image.fromarray(((levels(1)[..., 0] % 97) / 97).astype(np.float32), "F")
    for box, size in [
        ((0, 0, 6, 4), (3, 2)),
        ((0, 0, 6, 4), (4, 3)),
        ((0, 0, 6, 4), (9, 7)),
        ((1, 0, 5, 4), (2, 2)),
        ((0.5, 0.25, 5.5, 3.75), (3, 3)),
    ]:
        resized = np.asarray(source.resize(size, Image.Resampling.LANCZOS, box=box))
        print(*box, *size, file=out)
        print(*[f"{v:.9g}" for v in resized.ravel()], file=out)

count = 3
np.save("images-unclear.npy", np.zeros((count, H, W, 3), np.uint8))  # 4 rows or 4 channels?
u1 = (np.arange(count * 5 * W * 3) % 251).astype(np.uint8).reshape(count, 5, W, 3)
np.save("images-u1.npy", u1)
f4 = (u1.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)
np.savez_compressed("images.npz", images=f4, labels=np.array([2, 0, 1], np.int64))
save_file({"images": np.ascontiguousarray(f4), "labels": np.array([2, 0, 1], np.int64)}, "images.safetensors")
small = np.arange(6).reshape(2, 3)
for name in ["f2", "f4", "f8", "i1", "i4", "i8", "u1", "?", ">f4", ">i8", "<u2"]:
    np.save(f"array-{name.replace('?', 'b1').replace('>', 'big-').replace('<', '')}.npy", small.astype(name))
np.save("array-fortran.npy", np.asfortranarray(small.astype("f4")))
np.save("array-scalar.npy", np.float32(7))
np.lib.format.write_array(open("array-version2.npy", "wb"), small.astype("f4"), version=(2, 0))
np.save("array-object.npy", np.array([{}, 1], object), allow_pickle=True)
np.save("array-record.npy", np.zeros(2, [("a", "f4"), ("b", "i4")]))
np.save("array-complex.npy", np.zeros(2, "c8"))
