"""Measures diffusers' UNet2DModel, as the same networks that Benchmark measures.

    pip install -r requirements.txt
    python diffusers_unet.py --presets cifar10 --json diffusers.json
"""

import functools

import peers

# As fixtures/make_fixtures.py of ddpm-unet, which shows that the outputs are the same.
PAPER = dict(
    attention_head_dim=None,
    norm_eps=1e-6,
    downsample_padding=0,
    flip_sin_to_cos=False,
    freq_shift=1,
)


def blocks(channels, attention):
    levels = range(len(channels))
    return dict(
        block_out_channels=list(channels),
        down_block_types=["AttnDownBlock2D" if i in attention else "DownBlock2D" for i in levels],
        up_block_types=["AttnUpBlock2D" if i in attention else "UpBlock2D" for i in reversed(levels)],
    )


NETWORKS = {
    "digits": dict(
        PAPER, sample_size=8, in_channels=1, out_channels=1, layers_per_block=1,
        norm_num_groups=8, dropout=0.0, **blocks((32, 64), {1}),
    ),
    "28x28": dict(
        PAPER, sample_size=28, in_channels=1, out_channels=1, layers_per_block=2,
        norm_num_groups=32, dropout=0.1, **blocks((64, 128, 128), {1}),
    ),
    "cifar10": dict(
        PAPER, sample_size=32, in_channels=3, out_channels=3, layers_per_block=2,
        norm_num_groups=32, dropout=0.1, **blocks((128, 256, 256, 256), {1}),
    ),
}


class Diffusers(peers.Peer):
    name = "diffusers"
    presets = tuple(NETWORKS)

    def load(self):
        import diffusers

        diffusers.UNet2DModel  # imported at the first use

    def build(self, preset):
        from diffusers import UNet2DModel

        return UNet2DModel(**NETWORKS[preset])

    def shape(self, preset):
        network = NETWORKS[preset]
        return network["in_channels"], network["sample_size"], network["sample_size"]

    def predict(self, model, x, t):
        return model(x, t, return_dict=False)[0]

    @functools.cached_property
    def schedule(self):
        from diffusers import DDPMScheduler

        return DDPMScheduler(num_train_timesteps=1000)

    def loss(self, model, x0):
        import torch

        noise = torch.randn_like(x0)
        t = torch.randint(0, 1000, (len(x0),), device=x0.device)
        xt = self.schedule.add_noise(x0, noise, t)
        return torch.nn.functional.mse_loss(self.predict(model, xt, t).float(), noise)

    def sample(self, model, shape, calls):
        import torch
        from diffusers import DDIMScheduler

        scheduler = DDIMScheduler(num_train_timesteps=1000)
        scheduler.set_timesteps(calls)
        parameter = next(model.parameters())
        x = torch.randn(shape, device=parameter.device)
        for t in scheduler.timesteps:
            output = self.predict(model, x, t.to(x.device))
            x = scheduler.step(output.float(), t, x).prev_sample
        return x


if __name__ == "__main__":
    peers.run(Diffusers())
