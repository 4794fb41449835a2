package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import java.awt.image.BufferedImage;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A model whose channels have ranges of their own is, in each channel, one of that range. */
class PerChannelRangeTest {

  /** Of ImageNet's means and deviations, about. */
  private static final DataRange RANGE =
      new DataRange(List.of(-2.1, -2.0, -1.8), List.of(2.2, 2.4, 2.6));

  private static final int CHANNELS = 3;
  private static final Shape IMAGE = new Shape(CHANNELS, 4, 5);
  private static final int PIXELS = 20;
  private static final int IMAGES = 3;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /** The same noise in every channel, however many there are. */
  private static NoiseSource alikeInChannels() {
    return (image, draw, target) -> {
      Random random = new Random(31 * image + draw);
      float[] pixels = new float[PIXELS];
      for (int i = 0; i < PIXELS; i++) {
        pixels[i] = (float) random.nextGaussian();
      }
      for (int i = 0; i < target.length; i++) {
        target[i] = pixels[i % PIXELS];
      }
    };
  }

  /** So wrong that x̂_0 must be clipped at both ends; pixel by pixel. */
  private record Wild(int channels) implements Denoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      return x.mul(-0.7).add(0.2);
    }

    @Override
    public Optional<Shape> imageShape() {
      return Optional.of(new Shape(channels, 4, 5));
    }
  }

  private static DDPM model(DataRange range, int channels) {
    return DDPM.builder().timesteps(20).dataRange(range).denoiser(new Wild(channels)).build();
  }

  private static Sampling sampling(DataRange range, int channels) {
    return model(range, channels).sampling().noise(alikeInChannels());
  }

  private NDArray random(double scale, DataType type) {
    Random random = new Random(5);
    double[] values = random.doubles(IMAGES * IMAGE.size(), -scale, scale).toArray();
    return manager.create(values, new Shape(IMAGES).addAll(IMAGE)).toType(type, false);
  }

  private static NDArray channel(NDArray images, int c) {
    return images.get(":, {}:{}", c, c + 1);
  }

  @Test
  void samples_areThoseOfEachChannelAlone() {
    NDArray all;
    try (Samples samples = sampling(RANGE, CHANNELS).generate(IMAGES)) {
      all = samples.toNDArray(manager);
    }
    for (int c = 0; c < CHANNELS; c++) {
      DataRange own = RANGE.channel(c);
      try (Samples samples = sampling(own, 1).generate(IMAGES)) {
        assertThat(channel(all, c).toFloatArray())
            .containsExactly(samples.toNDArray(manager).toFloatArray())
            .contains((float) own.min())
            .contains((float) own.max());
      }
    }
  }

  /** Thresholding is of whole images: on the scale of [−1, 1] it is that of [−1, 1]. */
  @ParameterizedTest
  @ValueSource(strings = {"FLOAT32", "FLOAT64"})
  void limits_areThoseOfTheUnitRange(DataType type) {
    NDArray x0 = random(6, type);
    double[] values = x0.toType(DataType.FLOAT64, false).toDoubleArray();
    double[] unit = new double[values.length];
    Arrays.setAll(unit, i -> (values[i] - centre(i)) / half(i));
    NDArray units = manager.create(unit, x0.getShape());
    for (boolean dynamic : new boolean[] {false, true}) {
      NDArray limited = limit(RANGE, dynamic).apply(x0).toType(DataType.FLOAT64, false);
      double[] expected = limit(DataRange.DEFAULT, dynamic).apply(units).toDoubleArray();
      for (int i = 0; i < expected.length; i++) {
        expected[i] = expected[i] * half(i) + centre(i);
      }
      Golden.assertClose(
          type + " " + dynamic,
          limited.toDoubleArray(),
          expected,
          type == DataType.FLOAT32 ? 1e-6 : 1e-14);
    }
    assertThat(limit(RANGE, true).name())
        .isEqualTo("dynamic in [-2.1, 2.2] × [-2.0, 2.4] × [-1.8, 2.6], 0.9, 1.7");
  }

  private static X0Limit limit(DataRange range, boolean dynamic) {
    return dynamic ? X0Limit.dynamic(range, 0.9, 1.7) : X0Limit.clip(range);
  }

  private static DataRange of(int place) {
    return RANGE.channel(place / PIXELS % CHANNELS);
  }

  private static double centre(int place) {
    return (of(place).min() + of(place).max()) / 2;
  }

  private static double half(int place) {
    return (of(place).max() - of(place).min()) / 2;
  }

  /** Of levels of the range, in float64: no bit depends on the scale of a channel. */
  @Test
  void bitsPerDim_isTheMeanOfTheChannels() {
    Random random = new Random(7);
    double[] levels = new double[IMAGES * CHANNELS * PIXELS];
    Arrays.setAll(levels, i -> centre(i) + half(i) * (random.nextInt(256) / 127.5 - 1));
    NDArray images = manager.create(levels, new Shape(IMAGES).addAll(IMAGE));
    BitsPerDimResult all = bits(RANGE, images);
    double[] means = new double[4];
    for (int c = 0; c < CHANNELS; c++) {
      BitsPerDimResult one = bits(RANGE.channel(c), channel(images, c));
      double[] own = figures(one);
      Arrays.setAll(means, i -> means[i] + own[i] / CHANNELS);
    }
    Golden.assertClose("bits", figures(all), means, 1e-9);
  }

  private static BitsPerDimResult bits(DataRange range, NDArray images) {
    int channels = (int) images.getShape().get(1);
    return model(range, channels).bitsPerDim().noise(alikeInChannels()).of(images);
  }

  private static double[] figures(BitsPerDimResult bits) {
    return new double[] {
      bits.total().value(), bits.rate().value(), bits.decoder().value(), meanSquare(bits)
    };
  }

  /** On the scale of 0 to 255, so of the range. */
  private static double meanSquare(BitsPerDimResult bits) {
    return bits.steps().stream().mapToDouble(step -> Math.pow(step.distortion(), 2)).sum();
  }

  @Test
  void pictures_areBlackAndWhiteAtTheEndsOfEachChannel() {
    float[] values = new float[3 * CHANNELS];
    for (int c = 0; c < CHANNELS; c++) {
      DataRange own = RANGE.channel(c);
      values[3 * c] = (float) own.min();
      values[3 * c + 1] = (float) own.max();
      values[3 * c + 2] = (float) (own.min() + (c + 1) * (own.max() - own.min()) / 5);
    }
    NDArray image = manager.create(values, new Shape(1, CHANNELS, 1, 3));
    BufferedImage picture = Pictures.of(image).dataRange(RANGE).toImages().get(0);
    assertThat(picture.getRGB(0, 0)).isEqualTo(0xff000000);
    assertThat(picture.getRGB(1, 0)).isEqualTo(0xffffffff);
    assertThat(picture.getRGB(2, 0)).isEqualTo(0xff336699);
    try (Samples samples = sampling(RANGE, CHANNELS).generate(1)) {
      BufferedImage drawn = (BufferedImage) samples.images().get(0).getWrappedImage();
      NDArray array = samples.toNDArray(manager);
      for (int i = 0; i < IMAGE.size(); i++) {
        int level = drawn.getRaster().getSample(i % 5, i / 5 % 4, i / PIXELS);
        double share = (array.toFloatArray()[i] - of(i).min()) / (2 * half(i));
        assertThat(level).isEqualTo((int) Math.round(255 * share));
      }
    }
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.of(manager.zeros(new Shape(1, 2, 2))).dataRange(RANGE))
        .withMessage(
            "the data range is one of 3 channels, [-2.1, 2.2] × [-2.0, 2.4] × [-1.8, 2.6], but the"
                + " images have 1; give a range for each, or one for all");
  }

  /** What lies in the widest channel's range may be out of another's. */
  @Test
  void given_outOfItsChannel_isRefused() {
    GivenImages given = new GivenImages(RANGE, false);
    NDArray images = random(1.7, DataType.FLOAT32);
    given.requirePictures("images", images);
    given.requirePicture("images", images.get(0));
    NDArray beyond = manager.zeros(images.getShape());
    beyond.set(new NDIndex("1, 0, 2, 2"), 4.5);
    String message =
        " must lie in the data range [-2.1, 2.2] of channel 0 or near it, but hold values from 0.0"
            + " to 4.5; scale them to the range, or call anyRange() if they are meant";
    assertThatIllegalArgumentException()
        .isThrownBy(() -> given.requirePictures("images", beyond))
        .withMessage("images" + message);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> given.requirePicture("images", beyond.get(1)))
        .withMessage("images" + message);
    NDArray mask = manager.ones(new Shape(1, 1, 4, 5));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> given.requireKnown("images", beyond, mask))
        .withMessage("the known pixels of images" + message);
    mask.set(new NDIndex("0, 0, 2, 2"), 0);
    int arrays = manager.getManagedArrays().size();
    given.requireKnown("images", beyond, mask);
    assertThat(manager.getManagedArrays()).hasSize(arrays);
    // In the widest channel the same value is near enough.
    beyond.set(new NDIndex("1, 0, 2, 2"), 0);
    beyond.set(new NDIndex("1, 2, 2, 2"), 4.5);
    given.requirePictures("images", beyond);
  }
}
