package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Signals and vectors are images of height 1. */
class FlatDataTest {

  private static final int COUNT = 8;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private ArrayDataset dataset(Shape record, int values) {
    Random random = new Random(3);
    float[] numbers = new float[COUNT * values];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = 2 * random.nextFloat() - 1;
    }
    NDArray all = manager.create(numbers, new Shape(COUNT).addAll(record));
    return new ArrayDataset.Builder().setData(all).setSampling(2, true).build();
  }

  private static AffineDenoiser network(boolean compiled, Shape image) {
    int values = (int) image.size();
    return new AffineDenoiser(compiled, image, new float[values], new float[values], 0.5f);
  }

  private static double[] figures(boolean compiled, Shape image, ArrayDataset data) {
    try (AffineDenoiser network = network(compiled, image)) {
      DDPM ddpm = DDPM.builder().timesteps(5).denoiser(network).build();
      var training = ddpm.training().steps(3).learningRate(0.1).seed(1);
      training.validation(Validation.of(data).every(3)).fit(data).close();
      float[] learned = network.weights().get("scale").toFloatArray();
      return new double[] {
        learned[0], learned[1], ddpm.bitsPerDim().seed(1).of(data).total().value()
      };
    }
  }

  @ParameterizedTest
  @CsvSource({"true", "false"})
  void signalsAndVectors_areImagesOfHeight1(boolean compiled) {
    Shape signal = new Shape(2, 1, 3);
    assertThat(figures(compiled, signal, dataset(new Shape(2, 3), 6)))
        .containsExactly(figures(compiled, signal, dataset(signal, 6)));
    Shape vector = new Shape(3, 1, 1);
    assertThat(figures(compiled, vector, dataset(new Shape(3), 3)))
        .containsExactly(figures(compiled, vector, dataset(vector, 3)));
  }

  /** Neither another order of axes nor a picture whose rows are one below the other. */
  @Test
  void otherShapes_areRefused() {
    assertRefused(new Shape(3, 2), new Shape(2, 1, 3));
    assertRefused(new Shape(2, 4), new Shape(2, 2, 2));
    assertRefused(new Shape(6), new Shape(2, 1, 3));
  }

  private void assertRefused(Shape record, Shape image) {
    ArrayDataset data = dataset(record, (int) record.size());
    try (AffineDenoiser network = network(false, image)) {
      var training = DDPM.builder().timesteps(5).denoiser(network).build().training();
      assertThatIllegalArgumentException()
          .isThrownBy(() -> training.steps(1).seed(1).fit(data))
          .withMessageMatching(
              "training data \\(.*\\) must have shape \\(N, C, H, W\\) with \\(C, H, W\\) = "
                  + image.toString().replace("(", "\\(").replace(")", "\\)")
                  + ", but had "
                  + new Shape(2).addAll(record).toString().replace("(", "\\(").replace(")", "\\)"));
    }
  }
}
