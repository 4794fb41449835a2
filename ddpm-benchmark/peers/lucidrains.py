"""Measures denoising_diffusion_pytorch: its own network, at the size that its README shows.

    pip install -r requirements.txt
    python lucidrains.py --json lucidrains.json

It is not the network of the paper, so its figures stand beside those of Benchmark and are no
comparison of the same work.
"""

import functools

import peers

SIDE = 32


class Lucidrains(peers.Peer):
    name = "denoising_diffusion_pytorch"
    presets = ("cifar10",)

    def load(self):
        import denoising_diffusion_pytorch  # noqa: F401

    def build(self, preset):
        from denoising_diffusion_pytorch import Unet

        return Unet(dim=64, dim_mults=(1, 2, 4, 8), flash_attn=True)

    def shape(self, preset):
        return 3, SIDE, SIDE

    def predict(self, model, x, t):
        return model(x, t)

    def loss(self, model, x0):
        return diffusion(model, 1000)((x0 + 1) / 2)

    def sample(self, model, shape, calls):
        return diffusion(model, calls).ddim_sample(shape)


@functools.lru_cache(maxsize=None)
def diffusion(model, calls):
    from denoising_diffusion_pytorch import GaussianDiffusion

    return GaussianDiffusion(
        model, image_size=SIDE, timesteps=1000, sampling_timesteps=calls, objective="pred_noise",
        beta_schedule="linear",
    ).to(next(model.parameters()).device)


if __name__ == "__main__":
    peers.run(Lucidrains())
