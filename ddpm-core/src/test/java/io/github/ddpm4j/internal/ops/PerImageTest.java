package io.github.ddpm4j.internal.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PerImageTest {

  private NDManager manager;

  @BeforeEach
  void openManager() {
    manager = NDManager.newBaseManager();
  }

  @AfterEach
  void closeManager() {
    manager.close();
  }

  @Test
  void column_float64_hasRankAndTypeOfLike() {
    NDArray like = manager.zeros(new Shape(2, 3, 4, 4), DataType.FLOAT64);
    int before = manager.getManagedArrays().size();
    NDArray column = PerImage.column(like, 1.0 / 3, -2);
    assertThat(column.getShape()).isEqualTo(new Shape(2, 1, 1, 1));
    assertThat(column.getDataType()).isEqualTo(DataType.FLOAT64);
    assertThat(column.getDevice()).isEqualTo(like.getDevice());
    assertThat(column.toDoubleArray()).containsExactly(1.0 / 3, -2);
    assertThat(column.getManager()).isSameAs(manager);
    assertThat(manager.getManagedArrays()).hasSize(before + 1);
  }

  @Test
  void column_float32AndOwnManager_isRoundedAndAttachedThere() {
    NDArray like = manager.zeros(new Shape(2, 3));
    int before = manager.getManagedArrays().size();
    try (NDManager scope = manager.newSubManager()) {
      NDArray column = PerImage.column(scope, like, 1.0 / 3, 1e-3);
      assertThat(column.getShape()).isEqualTo(new Shape(2, 1));
      assertThat(column.toFloatArray()).containsExactly((float) (1.0 / 3), 1e-3f);
      assertThat(column.getManager()).isSameAs(scope);
    }
    assertThat(manager.getManagedArrays()).hasSize(before);
  }

  @Test
  void column_wrongNumberOfValues_isRefused() {
    NDArray like = manager.zeros(new Shape(3, 2));
    assertThatThrownBy(() -> PerImage.column(like, 1, 2))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("values must have one entry per image of the batch, that is 3, but had 2");
  }

  @Test
  void column_noImage_isRefused() {
    NDArray like = manager.zeros(new Shape(0, 2));
    assertThatThrownBy(() -> PerImage.column(like))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the batch must have a first dimension for the image and at least one more, but had"
                + " shape (0, 2); a single image needs expandDims(0)");
  }
}
