package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.training.Recomputation;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Networks of other layouts train as those of the paper's do: in each way with the same losses. */
class LayoutTrainingTest {

  private static final int RECORDS = 8;
  private static final int STEPS = 3;

  @TempDir private Path folder;

  private record Run(List<Double> losses, List<Double> norms) {}

  @ParameterizedTest
  @ValueSource(strings = {"lucidrains_fourier", "edm_song", "others"})
  void fit_everyWay_sameLossesAndNorms(String name) {
    Run compiled = train(name, Execution.COMPILED, Precision.FLOAT32, Recomputation.none());

    assertThat(compiled.losses).hasSize(STEPS);
    assertThat(compiled.norms).allSatisfy(norm -> assertThat(norm).isPositive());
    assertClose(
        train(name, Execution.COMPILED, Precision.FLOAT32, Recomputation.everywhere()),
        compiled,
        STEPS,
        1e-5);
    assertClose(
        train(name, Execution.EAGER, Precision.FLOAT32, Recomputation.levels(0)),
        compiled,
        STEPS,
        1e-4);
    // Adam's first step has the size of the rate, whatever rounding made of a gradient near zero.
    assertClose(
        train(name, Execution.COMPILED, Precision.BFLOAT16, Recomputation.none()),
        compiled,
        1,
        1e-2);
  }

  private static void assertClose(Run actual, Run expected, int steps, double tolerance) {
    for (int i = 0; i < steps; i++) {
      double loss = expected.losses.get(i);
      double norm = expected.norms.get(i);
      assertThat(actual.losses.get(i)).isCloseTo(loss, within(tolerance * loss));
      assertThat(actual.norms.get(i)).isCloseTo(norm, within(tolerance * norm));
    }
  }

  private Run train(
      String name, Execution execution, Precision precision, Recomputation recomputation) {
    Run run = new Run(new ArrayList<>(), new ArrayList<>());
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = builder(name).execution(execution).precision(precision).build();
        TrainedModel trained =
            DDPM.builder()
                .timesteps(10)
                .denoiser(network)
                .build()
                .training()
                .batchSize(4)
                .steps(STEPS)
                .seed(5)
                .recomputation(recomputation)
                .listener(
                    event -> {
                      run.losses.add(event.loss());
                      run.norms.add(event.gradientNorm());
                    })
                .fit(images(manager))) {
      assertThat(trained.losses().steps()).isEqualTo(STEPS);
    }
    return run;
  }

  /** A model folder brings the layout back. */
  @ParameterizedTest
  @ValueSource(strings = {"lucidrains_fourier", "others"})
  void save_andLoad_sameNetwork(String name) throws Exception {
    try (UNet network = builder(name).build()) {
      DDPM.builder().timesteps(10).denoiser(network).build().save(folder);
      try (UNet loaded = UNet.load(folder)) {
        assertThat(loaded.config()).isEqualTo(network.config());
        assertThat(loaded.config().layout()).isEqualTo(network.config().layout());
        loaded
            .weights()
            .forEach((key, weight) -> assertThat(weight).isEqualTo(network.weight(key)));
      }
    }
  }

  private static UNetBuilder builder(String name) {
    UNetBuilder builder =
        name.equals("others") ? PeerNetworks.others() : PeerNetworks.builder(name);
    return builder.dropout(0.1);
  }

  private static ArrayDataset images(NDManager manager) {
    Random random = new Random(3);
    float[] values = new float[RECORDS * 3 * 8 * 8];
    for (int i = 0; i < values.length; i++) {
      values[i] = 2 * random.nextFloat() - 1;
    }
    float[] labels = new float[RECORDS];
    for (int i = 0; i < RECORDS; i++) {
      labels[i] = i % 5;
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(RECORDS, 3, 8, 8)))
        .optLabels(manager.create(labels))
        .setSampling(1, false)
        .build();
  }
}
