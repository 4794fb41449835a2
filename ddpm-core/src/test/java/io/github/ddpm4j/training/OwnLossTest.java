package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.spi.Ops;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a run gives to losses of the user's own, and what it asks of them. */
class OwnLossTest {

  private static final Shape IMAGE = new Shape(1, 2, 3);
  private static final int BATCH = 8;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static AffineDenoiser network(boolean compiled) {
    float[] values = new float[(int) IMAGE.size()];
    Arrays.fill(values, 0.2f);
    return new AffineDenoiser(compiled, IMAGE, values, values, 0.3f);
  }

  private ArrayDataset data() {
    return new ArrayDataset.Builder()
        .setData(manager.full(new Shape(BATCH).addAll(IMAGE), 0.5f))
        .setSampling(1, false)
        .build();
  }

  /** One number per pixel, which would broadcast against the weights of the images. */
  private record PerPixel() implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.square(ops.subtract(output, target));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void lossOfTheWrongShape_networkThatTellsNone_isRefusedBeforeTheFirstStep(boolean compiled) {
    try (AffineDenoiser network = network(compiled).withoutShape()) {
      List<Long> steps = new ArrayList<>();
      assertThatThrownBy(
              () ->
                  DDPM.builder()
                      .denoiser(network)
                      .build()
                      .training()
                      .batchSize(BATCH)
                      .steps(2)
                      .loss(new PerPixel())
                      .listener(event -> steps.add(event.step()))
                      .fit(data()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "loss PerPixel[] must give one number per image, shape (N), but gave (2, 1, 2, 3) for 2"
                  + " images; end it with ops.meanPerImage(…)");
      assertThat(steps).isEmpty();
      assertThat(network.values("slope")).containsExactly(0.3f);
    }
  }

  /** The squared error of x̂_0, as x_t and the output make it; tells the spreads of its inputs. */
  private record OfX0(Consumer<double[]> saw) implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      throw new AssertionError("the inputs of training are all needed");
    }

    @Override
    public <T> T perImage(Ops<T> ops, Input<T> input) {
      T x0 =
          ops.add(
              ops.multiply(input.xt(), input.coefficient(Input.Coefficient.X0_OF_XT)),
              ops.multiply(input.output(), input.coefficient(Input.Coefficient.X0_OF_OUTPUT)));
      if (input.xt() instanceof NDArray xt && input.networkInput() instanceof NDArray scaled) {
        saw.accept(new double[] {spread(xt), spread(scaled)});
      }
      return ops.meanPerImage(ops.square(ops.subtract(x0, input.x0())));
    }

    private static double spread(NDArray array) {
      return Math.sqrt(array.square().mean().getFloat());
    }
  }

  /**
   * x̂_0 − x_0 = c_out (F − target): the loss by hand is that of the output, weighted by c_out².
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void ownLoss_underTheLevelsOfEdm_isAskedAtEveryLevel(boolean compiled) {
    List<double[]> saw = new ArrayList<>();
    double[] own = losses(compiled, new OfX0(saw::add), Weighting.uniform());
    double[] weighted =
        losses(
            compiled,
            Losses.simple(),
            (prediction, schedule, level) -> Math.pow(prediction.x0(schedule, level).second(), 2));
    assertThat(own[0]).isCloseTo(weighted[0], within(1e-6 * own[0]));
    if (!compiled) {
      // What the network sees has a spread of about 1, which x_t has not.
      double[] spreads = saw.get(saw.size() - 1);
      assertThat(spreads[1]).isCloseTo(1, within(0.3));
      assertThat(spreads[0]).isNotCloseTo(spreads[1], within(0.05));
    }
  }

  private double[] losses(boolean compiled, Loss loss, Weighting weighting) {
    try (AffineDenoiser network = network(compiled);
        TrainedModel result =
            DDPM.builder()
                .prediction(Prediction.edm(0.5))
                .denoiser(network)
                .build()
                .training()
                .batchSize(BATCH)
                .steps(3)
                .seed(2)
                .timestepSampler(TimestepSampler.logNormal(-1.2, 1.2))
                .loss(loss)
                .weighting(weighting)
                .fit(data())) {
      return result.losses().toArray();
    }
  }
}
