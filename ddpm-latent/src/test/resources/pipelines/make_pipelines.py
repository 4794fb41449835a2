"""Makes the tiny pipelines beside it, with what diffusers draws with them: every draw and every step.

    pip install torch==2.7.1 diffusers==0.35.2 transformers==4.57.1 safetensors numpy
    python make_pipelines.py OUT

OUT/pipelines/NAME is a folder as it is published; expected.safetensors beside its model_index.json has tokens, contexts,
draws, timesteps, the network's answers after guidance, the latents after each step and the pictures. Weights are random and
exact in bfloat16. The same on repeat, but for the keys in vqvae of ldm_text2im, which are addresses.
"""
import collections
import json
import math
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file

torch.set_grad_enabled(False)
torch.set_num_threads(2)
SIZES = {}


def bf16(t):
    return t.to(torch.bfloat16).float() if t.is_floating_point() else t


def seed(module, number):
    """Random weights of a size that keeps activations near 1, norms away from 1 and 0, everything exact in bfloat16."""
    g = torch.Generator().manual_seed(number)
    for k, p in module.state_dict().items():
        if not p.is_floating_point() or "resample_filter" in k:
            continue
        if "running_var" in k:
            v = 0.5 + torch.rand(p.shape, generator=g)
        elif p.ndim <= 1 or k.endswith(".g"):  # torch's own start of biases is random: not p + noise
            v = float(bool((p == 1).all())) + 0.3 * torch.randn(p.shape, generator=g)
        elif "embed" in k and p.ndim == 2 and "linear" not in k and "time" not in k:
            v = torch.randn(p.shape, generator=g)
        else:
            v = torch.randn(p.shape, generator=g) / math.sqrt(p[0].numel())
        p.copy_(bf16(v))
    return module.eval()


def size_of(path):
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) if path.is_dir() else path.stat().st_size


WORDS = "a photo of the cat dog painting red with on".split()
TEXTS = ["a photo of a cat", "", "A  Photo, of THE cat!", "café naïve Ångström 猫 2x3 it's", "the red dog's painting; 12345 cats", "cat " * 100, "tab\tand\nnewline <b>&amp;</b>", "<|endoftext|> cat", "[MASK] cat [SEP] dog"]


def clip_vocabulary(folder):
    from transformers.models.clip.tokenization_clip import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    merges = []
    for w in WORDS + ["cat", "12", "in"]:
        parts = list(w[:-1]) + [w[-1] + "</w>"]
        while len(parts) > 1:
            if (parts[0], parts[1]) not in merges:
                merges.append((parts[0], parts[1]))
            parts = [parts[0] + parts[1]] + parts[2:]
    tokens = letters + [c + "</w>" for c in letters] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    tokens = list(dict.fromkeys(tokens))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
    return len(tokens)


def bert_vocabulary(folder):
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(letters) + ["##" + c for c in letters] + list(".,;:!?'\"()-<>&/[]|") + ["猫"] + [w for w in WORDS if len(w) > 1] + ["##ing", "##s", "news"]
    tokens = list(dict.fromkeys(tokens))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    return len(tokens)


VAE = dict(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(4, 4, 4, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4, sample_size=32)
UNET = dict(sample_size=4, in_channels=4, out_channels=4, block_out_channels=(4, 8), layers_per_block=1, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=8, norm_num_groups=4)


def record(pipe, tensors):
    """Writes down what the network answered (after guidance) and the latents after each step."""
    step = pipe.scheduler.step

    def logged(out, t, x, *a, **kw):
        r = step(out, t, x, *a, **kw)
        n = sum(k.startswith("timestep.") for k in tensors)
        tensors[f"timestep.{n}"] = torch.as_tensor(t).float().reshape(1)
        tensors[f"guided.{n}"] = out.clone()
        tensors[f"latents.{n}"] = (r[0] if isinstance(r, tuple) else r.prev_sample).clone()
        return r

    pipe.scheduler.step = logged


def draws_of(modules, tensors, generator):
    """Makes every random array of a pipeline a stored one: draw.0, draw.1, ... in the order of use."""
    old = {m: m.randn_tensor for m in modules}

    def draw(shape, generator=None, device=None, dtype=None, layout=None):
        n = sum(k.startswith("draw.") for k in tensors)
        tensors[f"draw.{n}"] = torch.randn(tuple(shape), generator=draw.generator)
        return tensors[f"draw.{n}"]

    draw.generator = generator
    for m in modules:
        m.randn_tensor = draw
    return old


def restore(old):
    for m, f in old.items():
        m.randn_tensor = f


def finish(out, name, folder, tensors, image, meta):
    tensors["image"] = torch.tensor(np.asarray(image), dtype=torch.float32).contiguous()  # (N, H, W, C) in [0, 1]
    tensors["image_uint8"] = torch.tensor((np.asarray(image) * 255).round().astype(np.uint8)).contiguous()
    spread = float(tensors["image"].std())
    assert spread > 0.02, spread
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, folder / "expected.safetensors")
    (folder / "expected.json").write_text(json.dumps(meta, indent=1) + "\n")
    SIZES[f"pipelines/{name}"] = size_of(folder)
    print(f"pipelines/{name}: {size_of(folder)} bytes, image {tuple(tensors['image'].shape)} spread {spread:.3f}")


def half_files(folder):
    """safetensors of bfloat16: half the size, the same values."""
    from safetensors.torch import load_file
    for f in folder.rglob("*.safetensors"):
        if f.name != "expected.safetensors":
            save_file({k: v.to(torch.bfloat16) if v.is_floating_point() else v for k, v in load_file(f).items()}, f, metadata={"format": "pt"})


def legacy_attention(state):
    ren = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    r = {}
    for k, v in state.items():
        for a, b in ren.items():
            k = k.replace("." + a + ".", "." + b + ".") if ".attentions." in k and "transformer_blocks" not in k else k
        r[k] = v
    return r


def ldm_text2im(out):
    """As CompVis/ldm-text2im-large-256 lies on the hub: torch pickles only, old attention names in vqvae, scaling_factor not in the files
    (nor cross_attention_dim there, 1280; here it must be). Its latents are a 1/8 of the given size whatever the autoencoder: three levels make 16x16 of 32x32. The two
    large files are float16, as the hub's fp16 revisions are, to keep them small (the weights are exact in it), and vqvae is in torch's format before 1.6."""
    from diffusers import AutoencoderKL, DDIMScheduler, LDMTextToImagePipeline, UNet2DConditionModel
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel
    from transformers import BertTokenizer

    folder = out.root / "pipelines/ldm_text2im"
    n = bert_vocabulary(folder / "tokenizer")
    (folder / "tokenizer/tokenizer_config.json").write_text(json.dumps(dict(do_lower_case=True, model_max_length=512, tokenizer_class="BertTokenizer", unk_token="[UNK]", sep_token="[SEP]", pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]"), indent=2))
    tok = BertTokenizer.from_pretrained(folder / "tokenizer")
    bert = seed(LDMBertModel(LDMBertConfig(vocab_size=n, encoder_layers=2, encoder_ffn_dim=12, encoder_attention_heads=2, head_dim=3, d_model=8)), 300)
    three = dict(VAE, down_block_types=VAE["down_block_types"][:3], up_block_types=VAE["up_block_types"][:3], block_out_channels=(4, 4, 8))
    unet, vae = seed(UNet2DConditionModel(**UNET, attention_head_dim=2), 301), seed(AutoencoderKL(**three), 302)
    for m in (unet, vae):
        for p in m.parameters():
            p.copy_(bf16(p.half().float()))
    config = dict(_class_name="DDIMScheduler", _diffusers_version="0.0.4", beta_end=0.012, beta_schedule="linear", beta_start=0.00085, clip_sample=False, num_train_timesteps=1000, timestep_values=None, trained_betas=None)
    pipe = LDMTextToImagePipeline(vqvae=vae, bert=bert, tokenizer=tok, unet=unet, scheduler=DDIMScheduler.from_config(config))
    pipe.set_progress_bar_config(disable=True)
    tensors = {}
    latents = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(400))
    tensors["start"] = latents.clone()
    prompts = ["a photo of a cat", "the red dog's painting"]
    for key, texts in (("ids", prompts), ("ids_uncond", ["", ""])):
        i = tok(texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        tensors[key], tensors[key.replace("ids", "context")] = i, bert(i)[0]
    record(pipe, tensors)
    image = pipe(prompts, latents=latents, num_inference_steps=3, guidance_scale=6.0, eta=0.0, height=32, width=32, output_type="np").images
    for sub, model, weights in (("bert", bert, "pytorch_model.bin"), ("unet", unet, "diffusion_pytorch_model.bin"), ("vqvae", vae, "diffusion_pytorch_model.bin")):
        (folder / sub).mkdir(exist_ok=True)
        state = collections.OrderedDict(model.state_dict())
        if sub == "vqvae":
            state = collections.OrderedDict(legacy_attention(state))
        half = sub != "bert"
        assert not half or all(bool((v.half().float() == v).all()) for v in state.values())
        torch.save(collections.OrderedDict((k, v.half() if half else v) for k, v in state.items()), folder / sub / weights, _use_new_zipfile_serialization=sub != "vqvae")
    keep = lambda c, keys: {k: c[k] for k in keys}
    u = dict(keep(unet.config, ["act_fn", "attention_head_dim", "block_out_channels", "center_input_sample", "cross_attention_dim", "down_block_types", "downsample_padding", "flip_sin_to_cos", "freq_shift", "in_channels", "layers_per_block", "mid_block_scale_factor", "norm_eps", "norm_num_groups", "out_channels", "sample_size", "up_block_types"]), _class_name="UNet2DConditionModel", _diffusers_version="0.0.4")
    v = dict(keep(vae.config, ["act_fn", "block_out_channels", "down_block_types", "in_channels", "latent_channels", "layers_per_block", "norm_num_groups", "out_channels", "sample_size", "up_block_types"]), _class_name="AutoencoderKL", _diffusers_version="0.1.2")
    b = dict(bert.config.to_dict(), architectures=["LDMBertModel"])
    index = {"_class_name": "LDMTextToImagePipeline", "_diffusers_version": "0.0.4", "bert": ["latent_diffusion", "LDMBertModel"], "scheduler": ["diffusers", "DDIMScheduler"], "tokenizer": ["transformers", "BertTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"], "vqvae": ["diffusers", "AutoencoderKL"]}
    (folder / "scheduler").mkdir(exist_ok=True)
    for path, data in (("unet/config.json", u), ("vqvae/config.json", v), ("bert/config.json", b), ("scheduler/scheduler_config.json", config), ("model_index.json", index)):
        (folder / path).write_text(json.dumps(data, indent=2, sort_keys=True, default=str) + "\n")
    again = LDMTextToImagePipeline.from_pretrained(folder, use_safetensors=False, torch_dtype=torch.float32)
    again.set_progress_bar_config(disable=True)
    image2 = again(prompts, latents=latents, num_inference_steps=3, guidance_scale=6.0, height=32, width=32, output_type="np").images
    assert np.abs(image - image2).max() < 1e-6
    finish(out, "ldm_text2im", folder, tensors, image, dict(prompts=prompts, steps=3, guidance=6.0, eta=0, size=[32, 32], picture=[16, 16], note="reloaded by diffusers: same image"))


def stable_diffusion(out, name, number, unet_kw, text_kw, scheduler, steps, inpaint=False):
    import diffusers
    import diffusers.models.autoencoders.vae as vae_module
    import diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img as img2img_module
    import diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_inpaint as inpaint_module
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    folder = out.root / "pipelines" / name
    n = clip_vocabulary(folder / "tokenizer")
    tok = CLIPTokenizer(str(folder / "tokenizer/vocab.json"), str(folder / "tokenizer/merges.txt"), model_max_length=77, pad_token=text_kw.pop("pad", "<|endoftext|>"))
    text = seed(CLIPTextModel(CLIPTextConfig(vocab_size=n, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=77, bos_token_id=n - 2, eos_token_id=n - 1, **text_kw)), number)
    unet = seed(diffusers.UNet2DConditionModel(**dict(UNET, **unet_kw)), number + 1)
    vae = seed(diffusers.AutoencoderKL(**VAE), number + 2)
    kw = dict(vae=vae, text_encoder=text, tokenizer=tok, unet=unet, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    prompts, negative = ["a photo of a cat", "the red dog's painting"], ["", "a red cat"]
    g = torch.Generator().manual_seed(number + 3)
    tensors, meta = {}, dict(prompts=prompts, negative=negative, steps=steps, guidance=7.5, size=[32, 32])
    for key, texts in (("ids", prompts), ("ids_uncond", negative)):
        i = tok(texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        tensors[key], tensors[key.replace("ids", "context")] = i, text(i)[0]
    picture_uint8 = torch.randint(0, 256, (2, 3, 32, 32), generator=g).to(torch.uint8)
    picture = picture_uint8.float() / 255 * 2 - 1
    if not inpaint:
        pipe = diffusers.StableDiffusionPipeline(**kw)
        pipe.set_progress_bar_config(disable=True)
        tensors["start"] = torch.randn(2, 4, 4, 4, generator=g)
        step = pipe.scheduler.step
        record(pipe, tensors)
        image = pipe(prompts, negative_prompt=negative, latents=tensors["start"].clone(), num_inference_steps=steps, guidance_scale=7.5, output_type="np").images
        pipe.scheduler.step = step
        pipe.save_pretrained(folder)
        half_files(folder)
        again = diffusers.StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
        again.set_progress_bar_config(disable=True)
        image2 = again(prompts, negative_prompt=negative, latents=tensors["start"].clone(), num_inference_steps=steps, guidance_scale=7.5, output_type="np").images
        assert np.abs(image - image2).max() < 1e-6
        pipe = diffusers.StableDiffusionImg2ImgPipeline(**kw)
        pipe.set_progress_bar_config(disable=True)
        more = {}
        old = draws_of([vae_module, img2img_module], more, g)
        more["picture_uint8"] = picture_uint8
        record(pipe, more)
        second = pipe(prompts, image=picture, negative_prompt=negative, strength=0.6, num_inference_steps=2 * steps, guidance_scale=7.5, output_type="np").images
        pipe.scheduler.step = step
        restore(old)
        more["image_uint8"] = torch.tensor((second * 255).round().astype(np.uint8))
        save_file({k: v.contiguous().clone() for k, v in more.items()}, folder / "expected_img2img.safetensors")
        meta["img2img"] = dict(note="PNDM sliced by diffusers: its doubled second step is cut off but still assumed, so from the third call on x is taken for one grid step less noisy than it is; sd2 has no such defect" if name == "sd1" else "", strength=0.6, steps=2 * steps, picture="uint8, as picture / 255 * 2 - 1", draws="draw.0 = of the autoencoder's Gaussian, draw.1 = noise")
    else:
        pipe = diffusers.StableDiffusionInpaintPipeline(**kw)
        pipe.set_progress_bar_config(disable=True)
        mask = torch.zeros(2, 1, 32, 32)
        mask[:, :, 8:24, 8:] = 1
        old = draws_of([vae_module, inpaint_module], tensors, g)
        tensors["picture_uint8"], tensors["mask_uint8"] = picture_uint8, mask.to(torch.uint8)
        step = pipe.scheduler.step
        record(pipe, tensors)
        image = pipe(prompts, image=picture, mask_image=mask, height=32, width=32, negative_prompt=negative, strength=1.0, num_inference_steps=steps, guidance_scale=7.5, output_type="np").images
        pipe.scheduler.step = step
        restore(old)
        pipe.save_pretrained(folder)
        half_files(folder)
        meta["picture"] = "uint8, as picture / 255 * 2 - 1"
        meta["mask"] = "1 = repaint; network input = [latents 4, mask 1, masked latents 4]"
        meta["draws"] = [list(v.shape) for k, v in sorted(tensors.items()) if k.startswith("draw.")]
    finish(out, name, folder, tensors, image, meta)


def ldm_unconditional(out):
    from diffusers import DDIMScheduler, LDMPipeline, UNet2DModel, VQModel
    folder = out.root / "pipelines/ldm_unconditional"
    unet = seed(UNet2DModel(sample_size=8, in_channels=3, out_channels=3, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=4), 330)
    vq = seed(VQModel(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(4, 8, 8), layers_per_block=1, latent_channels=3, num_vq_embeddings=32, norm_num_groups=4, scaling_factor=1.0), 331)
    pipe = LDMPipeline(vqvae=vq, unet=unet, scheduler=DDIMScheduler(beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False))
    pipe.set_progress_bar_config(disable=True)
    import diffusers.pipelines.deprecated.latent_diffusion_uncond.pipeline_latent_diffusion_uncond as module
    tensors = {}
    old = draws_of([module], tensors, torch.Generator().manual_seed(430))
    step = pipe.scheduler.step
    record(pipe, tensors)
    image = pipe(batch_size=2, num_inference_steps=4, output_type="np").images
    pipe.scheduler.step = step
    restore(old)
    z = tensors["latents.3"]
    d = torch.cdist(z.permute(0, 2, 3, 1).reshape(-1, 3), vq.quantize.embedding.weight)
    two = d.topk(2, largest=False).values
    print("  LDMPipeline VQ least gap:", (two[:, 1] - two[:, 0]).min().item())
    tensors["indices"] = d.argmin(1).view(2, 8, 8)
    pipe.save_pretrained(folder)
    half_files(folder)
    config = json.loads((folder / "vqvae/config.json").read_text())
    del config["scaling_factor"]
    config["_diffusers_version"] = "0.1.2"  # as CompVis/ldm-celebahq-256: no scaling factor there, and 1.0 is meant
    (folder / "vqvae/config.json").write_text(json.dumps(config, indent=2) + "\n")
    finish(out, "ldm_unconditional", folder, tensors, image, dict(steps=4, eta=0, latents=[3, 8, 8], size=[32, 32], note="vqvae/config.json has no scaling_factor: 1.0, not diffusers' 0.18215"))


def pipelines(out):
    from diffusers import DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler
    betas = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    ldm_text2im(out)
    ldm_unconditional(out)
    stable_diffusion(out, "sd1", 310, dict(attention_head_dim=2), dict(hidden_act="quick_gelu"), PNDMScheduler(**betas, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1), 4)
    stable_diffusion(out, "sd2", 320, dict(attention_head_dim=[2, 4], use_linear_projection=True), dict(hidden_act="gelu", pad="!"), DDIMScheduler(**betas, clip_sample=False, set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction"), 4)
    stable_diffusion(out, "sd_inpaint", 340, dict(attention_head_dim=2, in_channels=9), dict(hidden_act="quick_gelu"), EulerDiscreteScheduler(**betas, timestep_spacing="leading", steps_offset=1), 3, inpaint=True)


class Out:
    def __init__(self, root):
        self.root = pathlib.Path(root)


if __name__ == "__main__":
    pipelines(Out(sys.argv[1]))
