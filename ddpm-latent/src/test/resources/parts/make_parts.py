"""Makes the small text encoders and autoencoders beside it, with what transformers and diffusers make of an input.

    pip install torch==2.7.1 diffusers==0.35.2 transformers==4.57.1 safetensors
    python make_parts.py OUT

Weights are random, bfloat16 by value, norms away from 1 and 0. NAME.json has the arguments; NAME.safetensors has the state
dict under its own names, and the input and outputs in float32.
"""

import json
import math
import pathlib
import sys

import torch
from diffusers import AutoencoderKL, VQModel
from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

torch.set_grad_enabled(False)


def seed(module, number):
    g = torch.Generator().manual_seed(number)
    for k, p in module.state_dict().items():
        if not p.is_floating_point():
            continue
        if p.ndim <= 1:
            v = float(bool((p == 1).all())) + 0.3 * torch.randn(p.shape, generator=g)
        elif "embed" in k and p.ndim == 2:
            v = torch.randn(p.shape, generator=g)
        else:
            v = torch.randn(p.shape, generator=g) / math.sqrt(p[0].numel())
        p.copy_(v.to(torch.bfloat16).float())
    return module.eval()


def write(name, family, args, state, values, notes=""):
    tensors = {k: (v.to(torch.bfloat16) if v.is_floating_point() else v).contiguous() for k, v in state.items()}
    tensors.update({k: v.float().contiguous().clone() for k, v in values.items()})
    out = pathlib.Path(sys.argv[1])
    save_file(tensors, out / f"{name}.safetensors")
    parameters = sum(v.numel() for v in state.values() if v.is_floating_point())
    text = dict(family=family, args=args, options={}, parameters=parameters, notes=notes)
    (out / f"{name}.json").write_text(json.dumps(text, indent=1) + "\n")


def autoencoders():
    kw = dict(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 2,
              up_block_types=("UpDecoderBlock2D",) * 2, block_out_channels=(8, 16), layers_per_block=1, latent_channels=4,
              norm_num_groups=4)
    m = seed(AutoencoderKL(**kw), 120)
    x = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(220))
    q = m.encode(x).latent_dist
    values = dict(input=x, mean=q.mean, logvar=q.logvar, output=m.decode(q.mean).sample)
    write("autoencoder_kl", "diffusers AutoencoderKL", kw, m.state_dict(), values,
          "output = decode(mean); no scaling factor applied")
    kw = dict(kw, latent_channels=3, num_vq_embeddings=32)
    m = seed(VQModel(**kw), 130)
    z = m.encode(x).latents
    d = torch.cdist(z.permute(0, 2, 3, 1).reshape(-1, 3), m.quantize.embedding.weight)
    values = dict(input=x, latents=z, indices=d.argmin(1).view(2, *z.shape[2:]), output=m.decode(z).sample,
                  output_unquantized=m.decode(z, force_not_quantize=True).sample)
    write("vq", "diffusers VQModel", kw, m.state_dict(), values)


def text_encoders():
    ids = torch.tensor([[30, 5, 7, 9, 31, 31, 31], [30, 31, 31, 31, 31, 31, 31]])
    for n, (name, act) in enumerate((("clip_quick_gelu", "quick_gelu"), ("clip_gelu", "gelu"))):
        kw = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=4,
                  max_position_embeddings=9, hidden_act=act, bos_token_id=30, eos_token_id=31, pad_token_id=31)
        m = seed(CLIPTextModel(CLIPTextConfig(**kw)), 140 + n)
        r = m(ids, output_hidden_states=True)
        state = dict(m.state_dict())
        state["text_model.embeddings.position_ids"] = torch.arange(9)[None]  # as in files up to transformers 4.30
        skipped = m.text_model.final_layer_norm(r.hidden_states[-2])
        write(name, "transformers CLIPTextModel", kw, state, dict(ids=ids, output=r.last_hidden_state, clip_skip_1=skipped))
    kw = dict(vocab_size=32, max_position_embeddings=9, encoder_layers=2, encoder_ffn_dim=24, encoder_attention_heads=2,
              head_dim=6, d_model=16, pad_token_id=0)
    m = seed(LDMBertModel(LDMBertConfig(**kw)), 150)
    ids = torch.tensor([[1, 5, 7, 2, 0, 0, 0], [1, 2, 0, 0, 0, 0, 0]])
    write("ldmbert", "diffusers LDMBertModel", kw, m.state_dict(), dict(ids=ids, output=m(ids)[0]),
          "pads are attended to: the pipeline passes no mask; to_logits is unused")


autoencoders()
text_encoders()
