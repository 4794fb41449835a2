package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class DigitsTest {

  private static final Digits DIGITS = Digits.load();

  private static final int TRAINING_HASH = 1747908609;
  private static final int HELD_OUT_HASH = 467034113;

  @Test
  void load_splitsAllDigits() {
    assertThat(DIGITS.training().size()).isEqualTo(1297);
    assertThat(DIGITS.heldOut().size()).isEqualTo(500);
    assertThat(DIGITS.training().height()).isEqualTo(8);
    assertThat(DIGITS.training().width()).isEqualTo(8);
  }

  @Test
  void load_alwaysGivesTheSameSplit() {
    assertThat(IntStream.range(0, 20).map(DIGITS.training()::label).toArray())
        .containsExactly(0, 6, 8, 3, 3, 0, 2, 9, 5, 1, 2, 4, 9, 5, 8, 9, 3, 4, 0, 2);
    assertThat(Arrays.hashCode(all(DIGITS.training()))).isEqualTo(TRAINING_HASH);
    assertThat(Arrays.hashCode(all(DIGITS.heldOut()))).isEqualTo(HELD_OUT_HASH);
  }

  @Test
  void load_valuesAreEighthsInTheRange() {
    for (float value : all(DIGITS.training())) {
      assertThat(value).isBetween(-1f, 1f);
      assertThat(value * 8).isEqualTo(Math.round(value * 8));
    }
  }

  /** In 16 bits, so to half of a level. */
  @Test
  void pictures_areTheImages_andCanBeChanged() throws Exception {
    LabeledImages some = DIGITS.training().slice(0, 6);
    PictureDataset plain = some.pictures().setSampling(6, true).build();
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray images = some.toArray(manager);
      NDArray first = plain.first(manager, 6);
      assertThat(first.getShape()).isEqualTo(images.getShape());
      assertThat(first.sub(images).abs().max().getFloat()).isLessThanOrEqualTo(1.01f / 65535);
      assertThat(plain.get(manager, 3).getLabels().head().getLong()).isEqualTo(some.label(3));
      assertThat(plain.nameOf(3)).isEqualTo("image 3");

      PictureDataset flipped =
          some.pictures().setSampling(6, true).horizontalFlips().verticalFlips().build();
      assertThat(flipped.augmentation()).isEqualTo("seed 0: flips, vertical flips");
      try (Batch batch = flipped.getData(manager).iterator().next()) {
        for (int i = 0; i < 6; i++) {
          NDArray image = images.get((Long) batch.getIndices().get(i));
          NDArray seen = batch.getData().head().get(i);
          assertThat(
                  List.of(image, image.flip(1), image.flip(2), image.flip(1, 2)).stream()
                      .mapToDouble(one -> one.sub(seen).abs().max().getFloat())
                      .min()
                      .orElseThrow())
              .isLessThanOrEqualTo(1.01 / 65535);
        }
      }
      PictureDataset larger = some.pictures(16, 12).setSampling(6, true).build();
      assertThat(larger.imageShape()).isEqualTo(new Shape(1, 16, 12));
    }
    assertThatIllegalArgumentException()
        .isThrownBy(() -> some.pictures(0, 4))
        .withMessage("height and width must be at least 1, but were 0 and 4");
  }

  /** Twice as large, the mean of four pixels is about the one that they were. */
  @Test
  void pictures_ofAnotherSize_areResampled() throws IOException {
    LabeledImages some = DIGITS.training().slice(0, 6);
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray large = some.pictures(16, 16).setSampling(6, true).build().first(manager, 6);
      NDArray means = large.reshape(6, 1, 8, 2, 8, 2).mean(new int[] {5}).mean(new int[] {3});
      assertThat(means.sub(some.toArray(manager)).abs().mean().getFloat()).isLessThan(0.1f);
    }
  }

  @Test
  void load_everyClassIsHeldOut() {
    Map<Integer, Integer> counts = new TreeMap<>();
    for (int i = 0; i < DIGITS.heldOut().size(); i++) {
      counts.merge(DIGITS.heldOut().label(i), 1, Integer::sum);
    }

    assertThat(counts).hasSize(10).allSatisfy((label, n) -> assertThat(n).isBetween(30, 70));
  }

  @Test
  void toDataset_givesShuffledBatches() throws Exception {
    try (NDManager manager = NDManager.newBaseManager()) {
      ArrayDataset dataset = DIGITS.training().toDataset(manager, 100);

      int batches = 0;
      for (Batch batch : dataset.getData(manager)) {
        assertThat(batch.getData().singletonOrThrow().getShape())
            .isEqualTo(new Shape(100, 1, 8, 8));
        assertThat(batch.getData().singletonOrThrow().getDataType()).isEqualTo(DataType.FLOAT32);
        assertThat(batch.getLabels().singletonOrThrow().getShape()).isEqualTo(new Shape(100));
        batch.close();
        batches++;
      }
      assertThat(batches).isEqualTo(12);
      assertThat(dataset.size()).isEqualTo(1297);
    }
  }

  @Test
  void toArray_keepsTheOrder() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray array = DIGITS.heldOut().toArray(manager);

      assertThat(array.getShape()).isEqualTo(new Shape(500, 1, 8, 8));
      assertThat(array.get(7).toFloatArray()).isEqualTo(DIGITS.heldOut().pixels(7));
    }
  }

  @Test
  void slice_outside_isRefused() {
    assertThatThrownBy(() -> DIGITS.heldOut().slice(490, 501))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("a slice must be within [0, 500) and hold an image, but was [490, 501)");
    assertThatThrownBy(() -> DIGITS.heldOut().slice(3, 3))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("a slice must be within [0, 500) and hold an image, but was [3, 3)");
  }

  @Test
  void ofLabels_givesTheNextImageOfEach() {
    LabeledImages chosen = DIGITS.training().ofLabels(3, 6, 3, 3);

    assertThat(chosen.labels()).containsExactly(3, 6, 3, 3);
    int[] threes =
        IntStream.range(0, 1297).filter(i -> DIGITS.training().label(i) == 3).limit(3).toArray();
    assertThat(threes).startsWith(3, 4);
    assertThat(chosen.pixels(0)).isEqualTo(DIGITS.training().pixels(3));
    assertThat(chosen.pixels(1)).isEqualTo(DIGITS.training().pixels(1));
    assertThat(chosen.pixels(2)).isEqualTo(DIGITS.training().pixels(4));
    assertThat(chosen.pixels(3)).isEqualTo(DIGITS.training().pixels(threes[2]));
  }

  @Test
  void withLabel_givesAllOfIt() {
    LabeledImages sevens = DIGITS.heldOut().withLabel(7);

    int[] all = IntStream.range(0, 500).filter(i -> DIGITS.heldOut().label(i) == 7).toArray();
    assertThat(sevens.size()).isEqualTo(all.length).isPositive();
    assertThat(sevens.labels()).containsOnly(7);
    for (int i = 0; i < all.length; i++) {
      assertThat(sevens.pixels(i)).isEqualTo(DIGITS.heldOut().pixels(all[i]));
    }
    assertThatIllegalArgumentException()
        .isThrownBy(() -> DIGITS.heldOut().withLabel(10))
        .withMessage("there must be an image of the label, but none has 10");
  }

  @Test
  void ofLabels_thatAreNotThere_isRefused() {
    LabeledImages two = DIGITS.training().slice(0, 2);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> two.ofLabels(6, 6))
        .withMessage(
            "there must be an image for each label that is named, but none is left of label 6");
    assertThatIllegalArgumentException()
        .isThrownBy(two::ofLabels)
        .withMessage("ofLabels needs at least one label, but got none");
  }

  private static float[] all(LabeledImages images) {
    float[] all = new float[images.size() * 64];
    for (int i = 0; i < images.size(); i++) {
      System.arraycopy(images.pixels(i), 0, all, i * 64, 64);
    }
    return all;
  }
}
