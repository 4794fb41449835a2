package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What a run is given: pictures of the wrong range, noise of the wrong spread. */
class GivenImagesTest {

  private static final int SIZE = 4;
  private static final Shape IMAGES = new Shape(2, 1, SIZE, SIZE);

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0.1, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(10).denoiser(network).build();

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private Sampling sampling() {
    return ddpm.sampling().seed(1);
  }

  /** Values from least to greatest, evenly. */
  private NDArray ramp(double least, double greatest) {
    return manager
        .arange((float) IMAGES.size())
        .toType(DataType.FLOAT32, false)
        .div((float) (IMAGES.size() - 1))
        .mul(greatest - least)
        .add(least)
        .reshape(IMAGES);
  }

  private NDArray noise(double scale) {
    return NoiseSource.seeded(3).array(manager, 0, 0, IMAGES, DataType.FLOAT32).mul(scale);
  }

  @FunctionalInterface
  interface Use {
    Samples of(Sampling sampling, NDArray images);
  }

  private static NDArray mask(NDArray images, float value) {
    return images.getManager().full(new Shape(1, 1, SIZE, SIZE), value);
  }

  static Stream<Object[]> picturesIn() {
    return Stream.of(
        new Object[] {"images", (Use) (run, images) -> run.imageToImage(images, 0.5)},
        new Object[] {"images", (Use) (run, images) -> run.encode(images, 3)},
        new Object[] {
          "from", (Use) (run, images) -> run.interpolate(images.get(0), black(images), 5, 0.5)
        },
        new Object[] {
          "to", (Use) (run, images) -> run.interpolate(black(images), images.get(1), 5, 0.5)
        },
        new Object[] {
          "the known pixels of images",
          (Use) (run, images) -> run.inpaint(images, mask(images, 0.5f))
        });
  }

  private static NDArray black(NDArray like) {
    return like.get(0).mul(0);
  }

  @ParameterizedTest
  @MethodSource("picturesIn")
  void pictures_of0To255_refused(String name, Use use) {
    NDArray bytes = ramp(0, 255);
    float[] values = bytes.toFloatArray();
    double first = values[name.equals("to") ? SIZE * SIZE : 0];
    double last = values[name.equals("from") ? SIZE * SIZE - 1 : values.length - 1];
    assertThatThrownBy(() -> use.of(sampling(), bytes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            name
                + " must lie in the data range [-1.0, 1.0] or near it, but hold values from "
                + first
                + " to "
                + last
                + ", which looks like 0..255; map them by images.div(127.5).sub(1), or call"
                + " anyRange() if they are meant");
    use.of(sampling().anyRange(), bytes).close();
    use.of(sampling(), bytes.div(127.5).sub(1)).close();
    use.of(sampling(), ramp(-2, 2)).close();
  }

  @ParameterizedTest
  @MethodSource("picturesIn")
  void pictures_of0To1_warned(String name, Use use) {
    assertThat(warnings(() -> use.of(sampling(), ramp(0, 1)).close()))
        .contains(name + " lie in [")
        .contains(
            "which looks like 0..1 while the data range is [-1.0, 1.0]; unless they are meant to be"
                + " bright, map them by images.mul(2).sub(1)");
    assertThat(warnings(() -> use.of(sampling().anyRange(), ramp(0, 1)).close())).isEmpty();
    assertThat(warnings(() -> use.of(sampling(), noise(0.3)).close())).isEmpty();
  }

  private static String warnings(Runnable action) {
    PrintStream before = System.err;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (PrintStream capture = new PrintStream(out, true, StandardCharsets.UTF_8)) {
      System.setErr(capture);
      action.run();
    } finally {
      System.setErr(before);
    }
    return out.toString(StandardCharsets.UTF_8);
  }

  @Test
  void inpaint_unknownPixels_areOfAnyValue() {
    NDArray bytes = ramp(0, 255);
    sampling().inpaint(bytes, mask(bytes, 0)).close();
    NDArray first = bytes.lte(0).toType(DataType.FLOAT32, false); // the one pixel that is 0
    sampling().inpaint(bytes, first).close();
    NDArray second = bytes.gt(8).logicalAnd(bytes.lt(10)).toType(DataType.FLOAT32, false);
    assertThatThrownBy(() -> sampling().inpaint(bytes, second))
        .hasMessageContaining("the known pixels of images must lie in the data range");
  }

  @Test
  void pictures_ofAnotherModel_areMeasuredByItsRange() {
    DDPM unit = DDPM.builder().timesteps(10).dataRange(0, 1).denoiser(network).build();
    assertThatThrownBy(() -> unit.sampling().imageToImage(ramp(-1, 1), 0.5))
        .hasMessage(
            "images must lie in the data range [0.0, 1.0] or near it, but hold values from -1.0 to"
                + " 1.0, which looks like -1..1; map them by images.div(2).add(0.5), or call"
                + " anyRange() if they are meant");
    unit.sampling().imageToImage(ramp(0, 1), 0.5).close();
  }

  /* --- noisy images and latents --- */

  static Stream<Object[]> noisyIn() {
    return Stream.of(
        new Object[] {"x_t", 9, (Use) (run, x) -> run.denoise(x, 9)},
        new Object[] {"x_t", 4, (Use) (run, x) -> run.denoise(x, 4)},
        new Object[] {"latents", 9, (Use) (run, x) -> run.decode(x)},
        new Object[] {
          "from", 9, (Use) (run, x) -> run.interpolateLatents(x.get(1), x.get(0).div(9), 0.5)
        },
        new Object[] {
          "to", 9, (Use) (run, x) -> run.interpolateLatents(x.get(0).div(9), x.get(1), 0.5)
        });
  }

  @ParameterizedTest
  @MethodSource("noisyIn")
  void noisyImages_farFromTheirLevel_refused(String name, int t, Use use) {
    NoiseLevels level = NoiseLevels.of(ddpm.schedule(), t);
    double bound = Math.hypot(level.signal(0), level.noise(0));
    NDArray wide = noise(6);
    NDArray second = name.equals("x_t") || name.equals("latents") ? wide.get(0) : wide.get(1);
    double spread = Math.sqrt(second.toType(DataType.FLOAT64, true).square().mean().getDouble());
    assertThatThrownBy(() -> use.of(sampling(), wide))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            String.format(
                Locale.ROOT,
                "%s must have the spread of x_t = %.4g x_0 + %.4g ε at timestep %.4g, a root mean"
                    + " square of at most %.4g, but that of image 0 is %.4g; pictures must be noised"
                    + " to that timestep, x_0 + σ ε divided by √(1 + σ²), or call anyRange() if it is"
                    + " meant",
                name,
                level.signal(0),
                level.noise(0),
                (double) t,
                bound,
                spread));
    use.of(sampling().anyRange(), wide).close();
    use.of(sampling(), noise(1.9)).close();
    use.of(sampling(), noise(0.1)).close();
  }

  @Test
  void noisyImages_theWidestImage_isNamed() {
    NDArray x = noise(1);
    x.set(new NDIndex("1"), x.get(1).mul(90));
    assertThatThrownBy(() -> sampling().denoise(x, 9))
        .hasMessageContaining(", but that of image 1 is ");
  }
}
