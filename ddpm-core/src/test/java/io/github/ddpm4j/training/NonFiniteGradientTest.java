package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.spi.Ops;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A gradient that is not finite changes no weight, nor does a loss that is not; each alone. */
class NonFiniteGradientTest {

  private static final Shape IMAGE = new Shape(1, 4, 4);

  /** The error and √0, whose derivative is 0 · ∞. */
  private static final class Kinked implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      T root = ops.exp(ops.scale(ops.log(ops.scale(output, 0)), 0.5));
      return ops.meanPerImage(ops.add(ops.square(ops.subtract(output, target)), root));
    }
  }

  /** The error and e^100, which float32 does not hold, out of reach of gradients. */
  private static final class Steep implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      T beyond = ops.detach(ops.exp(ops.shift(ops.scale(output, 0), 100)));
      return ops.meanPerImage(ops.add(ops.square(ops.subtract(output, target)), beyond));
    }
  }

  @ParameterizedTest
  @CsvSource({"true, 1", "true, 2", "false, 1", "false, 2"})
  void fit_gradientNotFinite_weightsStay(boolean compiled, int accumulation) {
    assertStay(new Kinked(), "the gradient norm of step 1 is NaN", compiled, accumulation);
  }

  @ParameterizedTest
  @CsvSource({"true, 1", "true, 2", "false, 1", "false, 2"})
  void fit_lossNotFinite_weightsStay(boolean compiled, int accumulation) {
    assertStay(new Steep(), "the loss of step 1 is Infinity", compiled, accumulation);
  }

  private static void assertStay(Loss loss, String message, boolean compiled, int accumulation) {
    float[] values = new float[16];
    Arrays.fill(values, 0.25f);
    try (NDManager manager = NDManager.newBaseManager();
        AffineDenoiser network = new AffineDenoiser(compiled, IMAGE, values, values, 0.25f)) {
      ArrayDataset data =
          new ArrayDataset.Builder()
              .setData(manager.zeros(new Shape(4).addAll(IMAGE)).sub(0.5))
              .setSampling(2, false)
              .build();
      DivergenceException failure =
          catchThrowableOfType(
              DivergenceException.class,
              () ->
                  DDPM.builder()
                      .denoiser(network)
                      .build()
                      .training()
                      .loss(loss)
                      .batchSize(2)
                      .accumulation(accumulation)
                      .steps(3)
                      .seed(1)
                      .fit(data));
      assertThat(failure).isNotNull();
      assertThat(failure.step()).isOne();
      assertThat(failure).hasMessageStartingWith(message + " at timesteps");
      for (NDArray weight : network.weights().values()) {
        assertThat(weight.toFloatArray()).containsOnly(0.25f);
      }
    }
  }
}
