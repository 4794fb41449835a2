package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Sampler;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.data.OwnSampling;
import io.github.ddpm4j.model.TinyDenoiser;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The batch size and order that a dataset was built with. */
class OwnSamplingTest {

  private static final int SIZE = 2;

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(10).denoiser(network).build();

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private ArrayDataset.Builder images() {
    return new ArrayDataset.Builder()
        .setData(manager.randomNormal(new Shape(12, 1, SIZE, SIZE), DataType.FLOAT32).clip(-1, 1));
  }

  private Map<String, Object> trained(Training training, RandomAccessDataset dataset) {
    try (TrainedModel result = training.seed(1).fit(dataset)) {
      return result.ddpm().provenance();
    }
  }

  @Test
  void fit_batchSizeOfTheDataset_isUsedUnlessTheRunHasOne() {
    RandomAccessDataset threes = images().setSampling(3, true).build();
    assertThat(trained(ddpm.training().epochs(2), threes))
        .containsEntry("batchSize", 3L)
        .containsEntry("steps", 8L);
    assertThat(trained(ddpm.training().batchSize(4).epochs(2), threes))
        .containsEntry("batchSize", 4L)
        .containsEntry("steps", 6L);
  }

  @Test
  void fit_datasetInOrder_isRefusedUnlessTheRunHasABatchSize() {
    RandomAccessDataset ordered = images().setSampling(3, false).build();
    assertThatThrownBy(() -> ddpm.training().steps(1).fit(ordered))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the dataset was built to be read in order, by setSampling(3, false), but training"
                + " visits images in an order that is a function of the seed; build it with"
                + " setSampling(3, true), or call batchSize(3) on the training");
    assertThat(trained(ddpm.training().steps(1).batchSize(3), ordered))
        .containsEntry("batchSize", 3L);
  }

  /** Draws the first image again and again. */
  private static final class Weighted implements Sampler {
    @Override
    public Iterator<List<Long>> sample(RandomAccessDataset dataset) {
      return List.of(List.of(0L, 0L)).iterator();
    }

    @Override
    public int getBatchSize() {
      return 2;
    }
  }

  @Test
  void fit_samplerOfTheUsers_isRefused() {
    RandomAccessDataset weighted = images().setSampling(new Weighted()).build();
    for (Training training :
        List.of(ddpm.training().steps(1), ddpm.training().steps(1).batchSize(2))) {
      assertThatThrownBy(() -> training.fit(weighted))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the dataset has a Sampler of its own, "
                  + Weighted.class.getName()
                  + ", which training would not use: it visits every image once per epoch, in an"
                  + " order that is a function of the seed; build the dataset with"
                  + " setSampling(batchSize, true), or hand over a Dataset that is no"
                  + " RandomAccessDataset, whose batches are taken as they come");
    }
  }

  /** DJL tells them by no method: this fails if its fields have other names. */
  @Test
  void of_datasets_readsWhatTheyWereBuiltWith() throws Exception {
    RandomAccessDataset whole = images().setSampling(5, true, true).build();
    assertThat(OwnSampling.of(whole).orElseThrow().batchSize()).isEqualTo(5);
    assertThat(OwnSampling.of(whole.subDataset(0, 6)).orElseThrow().order())
        .isEqualTo(OwnSampling.Order.RANDOM);
  }
}
