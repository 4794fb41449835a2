package io.github.ddpm4j.unet;

import static io.github.ddpm4j.unet.UNetConfig.DownsamplePadding.ALL_SIDES;
import static io.github.ddpm4j.unet.UNetConfig.TimeDivisor.HALF;
import static io.github.ddpm4j.unet.UNetConfig.TimeDivisor.HALF_MINUS_ONE;
import static io.github.ddpm4j.unet.UNetConfig.TimeOrder.COS_SIN;
import static io.github.ddpm4j.unet.UNetConfig.TimeOrder.SIN_COS;

import io.github.ddpm4j.unet.UNetLayout.Activation;
import io.github.ddpm4j.unet.UNetLayout.ClassPlace;
import io.github.ddpm4j.unet.UNetLayout.Embedding;
import io.github.ddpm4j.unet.UNetLayout.Frequencies;
import io.github.ddpm4j.unet.UNetLayout.Outer;
import io.github.ddpm4j.unet.UNetLayout.Transformers;
import io.github.ddpm4j.unet.UNetLayout.WidthChange;
import java.util.List;

/**
 * The architectures of published networks of other libraries, by name. Those of the paper are
 * {@link UNet#cifar10()} and {@link UNet#image256()}. An architecture says nothing of the schedule
 * and the prediction, and holds no weights.
 */
public enum PublishedUNet {
  /** {@code 64x64_diffusion.pt} of guided-diffusion: ImageNet by class, 295,904,454 parameters. */
  GUIDED_64,

  /**
   * {@code 128x128_diffusion.pt} of guided-diffusion: ImageNet by class, 421,529,606 parameters.
   */
  GUIDED_128,

  /**
   * {@code 256x256_diffusion.pt} of guided-diffusion: ImageNet by class, 553,838,086 parameters.
   */
  GUIDED_256,

  /**
   * {@code 256x256_diffusion_uncond.pt} and the LSUN networks of guided-diffusion: without classes,
   * 552,814,086 parameters.
   */
  GUIDED_256_UNCONDITIONAL,

  /**
   * {@code 512x512_diffusion.pt} of guided-diffusion: ImageNet by class, 558,997,638 parameters.
   */
  GUIDED_512,

  /**
   * {@code 64_256_upsampler.pt} of guided-diffusion: ImageNet by class, from pictures of 64x64 that
   * are enlarged bilinearly, 311,795,910 parameters.
   */
  GUIDED_64_TO_256,

  /** The CIFAR-10 networks of improved-diffusion, 52,546,438 parameters. */
  IMPROVED_CIFAR10,

  /** The ImageNet networks of improved-diffusion without classes, 121,063,942 parameters. */
  IMPROVED_IMAGENET64,

  /** The ImageNet network of improved-diffusion by class, 273,049,350 parameters. */
  IMPROVED_IMAGENET64_CLASSES,

  /** The example of denoising-diffusion-pytorch, {@code dim} 64, 35,711,491 parameters. */
  LUCIDRAINS_64,

  /** labml's experiment on CelebA, 167,777,987 parameters, 10,752 of which are never used. */
  LABML_CELEBA,

  /** The network of diffusers' script {@code train_unconditional.py}, 113,673,219 parameters. */
  DIFFUSERS_TRAIN_UNCONDITIONAL,

  /**
   * The U-Net of {@code CompVis/ldm-celebahq-256}, whose images are latents of 3x64x64, 274,056,163
   * parameters.
   */
  LDM_CELEBAHQ,

  /**
   * The U-Net of {@code CompVis/ldm-text2im-large-256}, whose images are latents of 4x32x32 and
   * whose contexts are texts encoded by LDMBert, 872,300,484 parameters.
   */
  LDM_TEXT2IM_LARGE,

  /**
   * Stable Diffusion 1.x, whose images are latents of 4x64x64 and whose contexts are texts encoded
   * by CLIP, 859,520,964 parameters.
   */
  STABLE_DIFFUSION_1,

  /**
   * Stable Diffusion 1.x for filling in: mask and masked latents beside, 859,535,364 parameters.
   */
  STABLE_DIFFUSION_1_INPAINTING,

  /** InstructPix2Pix: the latents of a picture beside, 859,532,484 parameters. */
  INSTRUCT_PIX2PIX,

  /**
   * Stable Diffusion 2.x, whose contexts are texts encoded by OpenCLIP, 865,910,724 parameters. The
   * networks for pictures of 768x768 take latents of 4x96x96: {@code builder().image(4, 96, 96)}.
   */
  STABLE_DIFFUSION_2,

  /** Stable Diffusion 2 for filling in: mask and masked latents beside, 865,925,124 parameters. */
  STABLE_DIFFUSION_2_INPAINTING,

  /** Stable Diffusion 2 with a depth map beside, 865,913,604 parameters. */
  STABLE_DIFFUSION_2_DEPTH,

  /**
   * The upscaler of Stable Diffusion 2: a small picture beside, and its noise level as a class,
   * 473,398,020 parameters.
   */
  STABLE_DIFFUSION_X4_UPSCALER,

  /**
   * EDM's DDPM++ for CIFAR-10 by class, 55,735,299 parameters, 1,152 of which only training uses.
   */
  EDM_CIFAR10,

  /** EDM's DDPM++ for FFHQ, 61,805,571 parameters, 1,152 of which only training uses. */
  EDM_FFHQ64,

  /** EDM's ADM for ImageNet by class, 295,899,267 parameters. */
  EDM_IMAGENET64;

  /**
   * A builder with the architecture.
   *
   * @return the builder
   */
  public UNetBuilder builder() {
    return switch (this) {
      case GUIDED_64 ->
          guided(64, 192, 1, 2, 3, 4).residualBlocks(3).headChannels(64).dropout(0.1).classes(1000);
      case GUIDED_128 -> guided(128, 256, 1, 1, 2, 3, 4).heads(4).classes(1000);
      case GUIDED_256 -> guided(256, 256, 1, 1, 2, 2, 4, 4).headChannels(64).classes(1000);
      case GUIDED_256_UNCONDITIONAL -> guided(256, 256, 1, 1, 2, 2, 4, 4).headChannels(64);
      case GUIDED_512 ->
          guided(512, 128, 1, 2, 2, 4, 4, 8, 8)
              .headChannels(64)
              .classes(1000)
              .layout(UNetLayout.openai(true).with(embedding(256, ClassPlace.AFTER, false)));
      case GUIDED_64_TO_256 ->
          guided(256, 192, 1, 1, 2, 2, 4, 4).heads(4).classes(1000).imageCondition(3);
      case IMPROVED_CIFAR10 -> improved(32, 128, 1, 2, 2, 2).attentionAt(16, 8).dropout(0.3);
      case IMPROVED_IMAGENET64 -> improved(64, 128, 1, 2, 3, 4).attentionAt(16, 8);
      case IMPROVED_IMAGENET64_CLASSES ->
          improved(64, 192, 1, 2, 3, 4).attentionAt(16, 8).classes(1000);
      case LUCIDRAINS_64 ->
          UNet.builder()
              .image(3, 128, 128)
              .levelChannels(64, 128, 256, 512)
              .attentionAtLevels(0, 1, 2, 3)
              .heads(4)
              .dropout(0)
              .timeEmbedding(SIN_COS, HALF_MINUS_ONE)
              .layout(UNetLayout.lucidrains(List.of(0, 1, 2)));
      case LABML_CELEBA ->
          UNet.builder()
              .image(3, 32, 32)
              .levelChannels(64, 128, 256, 1024)
              .attentionAtLevels(3)
              .normEpsilon(1e-5)
              .dropout(0.1)
              .downsamplePadding(ALL_SIDES)
              .timeEmbedding(SIN_COS, HALF_MINUS_ONE)
              .layout(UNetLayout.labml(64));
      case DIFFUSERS_TRAIN_UNCONDITIONAL ->
          standard(64)
              .levelChannels(128, 128, 256, 256, 512, 512)
              .attentionAtLevels(4)
              .headChannels(8);
      case LDM_CELEBAHQ ->
          standard(64)
              .levelChannels(224, 448, 672, 896)
              .attentionAtLevels(1, 2, 3)
              .headChannels(32);
      case LDM_TEXT2IM_LARGE -> latent(32, 1280, false).heads(8);
      case STABLE_DIFFUSION_1 -> latent(64, 768, false).heads(8);
      case STABLE_DIFFUSION_1_INPAINTING -> latent(64, 768, false).heads(8).imageCondition(5);
      case INSTRUCT_PIX2PIX -> latent(64, 768, false).heads(8).imageCondition(4);
      case STABLE_DIFFUSION_2 -> latent(64, 1024, true).headChannels(64);
      case STABLE_DIFFUSION_2_INPAINTING ->
          latent(64, 1024, true).headChannels(64).imageCondition(5);
      case STABLE_DIFFUSION_2_DEPTH -> latent(64, 1024, true).headChannels(64).imageCondition(1);
      case STABLE_DIFFUSION_X4_UPSCALER ->
          standard(128)
              .image(4, 128, 128)
              .levelChannels(256, 512, 512, 1024)
              .attentionAtLevels(1, 2, 3)
              .heads(8)
              .contextCondition(1024)
              .imageCondition(3)
              .classes(1000)
              .layout(
                  UNetLayout.paper()
                      .with(new Transformers(List.of(), true, List.of(1, 2), 2))
                      .with(embedding(0, ClassPlace.AFTER, false)));
      case EDM_CIFAR10 -> song(32, 256, 256, 256).classes(10).dropout(0.13);
      case EDM_FFHQ64 -> song(64, 128, 256, 256, 256).dropout(0.05);
      case EDM_IMAGENET64 ->
          standard(64)
              .baseChannels(192)
              .channelMultipliers(1, 2, 3, 4)
              .residualBlocks(3)
              .attentionAt(32, 16, 8)
              .headChannels(64)
              .dropout(0.1)
              .classes(1000)
              .layout(UNetLayout.edmDhariwal());
    };
  }

  /**
   * The architecture.
   *
   * @return the architecture
   */
  public UNetConfig config() {
    return builder().config();
  }

  /** What nearly all share: padding on all sides, cosines first, an epsilon of 1e-5. */
  private static UNetBuilder standard(int side) {
    return UNet.builder()
        .image(3, side, side)
        .normEpsilon(1e-5)
        .dropout(0)
        .downsamplePadding(ALL_SIDES)
        .timeEmbedding(COS_SIN, HALF);
  }

  private static UNetBuilder latent(int side, int context, boolean linearProjection) {
    return standard(side)
        .image(4, side, side)
        .levelChannels(320, 640, 1280, 1280)
        .attentionAtLevels(0, 1, 2)
        .contextCondition(context)
        .layout(
            UNetLayout.paper().with(new Transformers(List.of(), linearProjection, List.of(), 2)));
  }

  private static UNetBuilder guided(int side, int base, int... multipliers) {
    return standard(side)
        .baseChannels(base)
        .channelMultipliers(multipliers)
        .attentionAt(32, 16, 8)
        .learnedVariance()
        .layout(UNetLayout.openai(true));
  }

  private static UNetBuilder improved(int side, int base, int... multipliers) {
    return standard(side)
        .baseChannels(base)
        .channelMultipliers(multipliers)
        .residualBlocks(3)
        .heads(4)
        .learnedVariance()
        .layout(UNetLayout.openai(false));
  }

  private static UNetBuilder song(int side, int... channels) {
    return UNet.builder()
        .image(3, side, side)
        .levelChannels(channels)
        .residualBlocks(4)
        .attentionAt(16)
        .normEpsilon(1e-6)
        .timeEmbedding(SIN_COS, HALF_MINUS_ONE)
        .layout(
            UNetLayout.edmSong()
                .with(new Outer(128, false, WidthChange.FIRST_BLOCK, 0))
                .with(embedding(128, ClassPlace.BEFORE, true)));
  }

  private static Embedding embedding(int width, ClassPlace classes, boolean nullClass) {
    return new Embedding(width, 0, Activation.SILU, Frequencies.SINUSOIDS, classes, nullClass);
  }
}
