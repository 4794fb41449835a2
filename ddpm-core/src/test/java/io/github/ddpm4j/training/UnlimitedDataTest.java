package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.RandomAccessDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Models of what has no range, such as latents. */
class UnlimitedDataTest {

  private static final int SIZE = 4;
  private static final int IMAGES = 20;

  private static final String OUTSIDE =
      "training data (images 11, 17, 16, 6, 0, 12, 2, 14, 15, 9, 7, 3, 10, 13, 8, 19, … of the"
          + " dataset) must lie in the data range [-1.0, 1.0], but holds values from -3.0 to 3.0;"
          + " scale them to the range, or set dataRange(min, max) when building DDPM";

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1);

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private DDPM ddpm(boolean clip) {
    return DDPM.builder().timesteps(50).clip(clip).denoiser(network).build();
  }

  private RandomAccessDataset data(float last) {
    float[] values = new float[IMAGES * SIZE * SIZE];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % 2 == 0 ? 3 : -3;
    }
    values[values.length - 1] = last;
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(IMAGES, 1, SIZE, SIZE)))
        .setSampling(IMAGES, true)
        .build();
  }

  private static Training training(DDPM ddpm) {
    return ddpm.training().steps(2).seed(1);
  }

  @Test
  void fit_modelWithoutClipping_takesAnyValues() {
    Validation held = Validation.of(data(-3)).images(IMAGES).every(1);
    try (TrainedModel trained = training(ddpm(false)).anyRange().validation(held).fit(data(-3))) {
      assertThat(trained.validations()).hasSize(3);
      assertThat(trained.ddpm().metadata()).containsEntry("pretrained.x0Limit", "none");
      try (Samples samples =
              trained.ddpm().sampling().sampler(Samplers.ddim(5)).seed(1).generate(4);
          Samples clipped =
              trained.ddpm().sampling().clip(true).sampler(Samplers.ddim(5)).seed(1).generate(4)) {
        assertThat(samples.toNDArray(manager).abs().max().getFloat()).isGreaterThan(1);
        assertThat(clipped.toNDArray(manager).abs().max().getFloat()).isLessThanOrEqualTo(1);
      }
    }
  }

  @Test
  void fit_modelThatClips_refusesThemWhateverIsMeant() {
    assertThatThrownBy(() -> training(ddpm(true)).anyRange().fit(data(-3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(OUTSIDE);
  }

  @Test
  void fit_modelWithoutClipping_refusesThemUnlessMeant() {
    assertThatThrownBy(() -> training(ddpm(false)).fit(data(-3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(OUTSIDE);
  }

  @Test
  void fit_modelWithoutClipping_refusesBrokenValues() {
    assertThatThrownBy(() -> training(ddpm(false)).anyRange().fit(data(Float.NaN)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "training data (image 19 of the dataset) must be finite, but holds NaN or infinity;"
                + " look for broken images");
  }
}
