package io.github.ddpm4j.latent;

import ai.djl.Device;
import io.github.ddpm4j.internal.random.Seeds;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Builds an {@link Autoencoder} with a Kullback-Leibler penalty (diffusers' {@code AutoencoderKL})
 * of drawn weights. Setters check their own argument, {@link #build()} combinations. Can be reused
 * after building.
 */
public final class AutoencoderBuilder {

  private static final Logger logger = LoggerFactory.getLogger(AutoencoderBuilder.class);

  private static final int MOST_CHANNELS = 65_536;
  private static final int MOST_LEVELS = 16;

  private static final AutoencoderConfig USUAL = AutoencoderConfig.stableDiffusion();

  private int imageChannels = USUAL.inChannels();
  private int[] levelChannels = {128, 256, 512, 512};
  private int residualBlocks = USUAL.blocks();
  private int latentChannels = USUAL.latentChannels();
  private int groups = USUAL.groups();
  private @Nullable Long seed;
  private @Nullable Device device;

  AutoencoderBuilder() {}

  /**
   * The channels of images.
   *
   * @param channels from 1 to 65,536; 3 by default
   * @return this builder
   * @throws IllegalArgumentException if it is outside that range
   */
  public AutoencoderBuilder imageChannels(int channels) {
    imageChannels = between("imageChannels", 1, MOST_CHANNELS, channels);
    return this;
  }

  /**
   * The channels of each level, the highest resolution first. Each level but the last halves the
   * sides, so latents are smaller than images by 2 to the power of the levels less one.
   *
   * @param channels one to 16 numbers, each from 1 to 65,536; 128, 256, 512, 512 by default
   * @return this builder
   * @throws IllegalArgumentException if they are more or fewer, or one is outside that range
   */
  public AutoencoderBuilder levelChannels(int... channels) {
    between("the number of levelChannels", 1, MOST_LEVELS, channels.length);
    for (int number : channels) {
      between("levelChannels", 1, MOST_CHANNELS, number);
    }
    levelChannels = channels.clone();
    return this;
  }

  /**
   * The residual blocks of a level on the way down; there is one more on the way up.
   *
   * @param blocks from 1 to 64; 2 by default
   * @return this builder
   * @throws IllegalArgumentException if it is outside that range
   */
  public AutoencoderBuilder residualBlocks(int blocks) {
    residualBlocks = between("residualBlocks", 1, 64, blocks);
    return this;
  }

  /**
   * The channels of latents.
   *
   * @param channels from 1 to 65,536; 4 by default
   * @return this builder
   * @throws IllegalArgumentException if it is outside that range
   */
  public AutoencoderBuilder latentChannels(int channels) {
    latentChannels = between("latentChannels", 1, MOST_CHANNELS, channels);
    return this;
  }

  /**
   * The groups of group normalisation, which divide the channels of every level.
   *
   * @param count at least 1; 32 by default
   * @return this builder
   * @throws IllegalArgumentException if it is less than 1
   */
  public AutoencoderBuilder groups(int count) {
    groups = between("groups", 1, MOST_CHANNELS, count);
    return this;
  }

  /**
   * The seed of the weights.
   *
   * @param value any number; by default a random one, which is logged
   * @return this builder
   */
  public AutoencoderBuilder seed(long value) {
    seed = value;
    return this;
  }

  /**
   * Where the weights are.
   *
   * @param value the device; the engine's default if not set
   * @return this builder
   */
  public AutoencoderBuilder device(Device value) {
    device = Objects.requireNonNull(value, "device");
    return this;
  }

  private static int between(String name, int least, int most, int value) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          name + " must be from " + least + " to " + most + ", but was " + value);
    }
    return value;
  }

  /**
   * Builds the autoencoder. Its scale is 1 until {@link AutoencoderTraining#fit} measures it.
   *
   * @return the autoencoder; the caller closes it
   * @throws IllegalArgumentException if the groups do not divide the channels of every level
   */
  public Autoencoder build() {
    List<Boolean> none = Collections.nCopies(levelChannels.length, false);
    AutoencoderConfig config =
        new AutoencoderConfig(
            false,
            imageChannels,
            imageChannels,
            IntStream.of(levelChannels).boxed().toList(),
            residualBlocks,
            latentChannels,
            groups,
            true,
            none,
            none,
            true,
            true,
            0,
            0,
            1);
    return Autoencoder.drawn(config, device, Seeds.orDrawn(seed, logger, "drawing weights"));
  }

  @Override
  public String toString() {
    return "AutoencoderBuilder[levels " + Arrays.toString(levelChannels) + "]";
  }
}
