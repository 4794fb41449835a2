package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Pictures of another range than the one that they are compared in. */
class PictureChecksTest {

  private final NDManager manager = NDManager.newBaseManager();
  private final NDArray bytes =
      manager.arange(24).toType(DataType.FLOAT32, false).mul(11).reshape(new Shape(6, 1, 2, 2));
  private final NDArray good = bytes.div(127.5).sub(1);

  @AfterEach
  void close() {
    manager.close();
  }

  private static String message(String name) {
    return name
        + " must lie in the range [-1.0, 1.0], but hold values from 0.0 to 253.0, which looks like"
        + " 0..255; map them by images.div(127.5).sub(1), or clip them if they are meant";
  }

  @Test
  void judge_ofOtherRange_refuses() {
    assertThatThrownBy(() -> Judge.of(bytes, good)).hasMessage(message("held-out images"));
    assertThatThrownBy(() -> Judge.of(good, bytes)).hasMessage(message("training images"));
    Judge judge = Judge.of(good, good, 0, 1, 2, 3, 4, 5);
    assertThatThrownBy(() -> judge.judge(bytes)).hasMessage(message("generated images"));
    assertThatThrownBy(() -> judge.classesOf(bytes)).hasMessage(message("images"));
    assertThat(judge.judge(good.mul(40)).precision()).isLessThan(1); // a bad network, not a range
  }

  @Test
  void doctor_ofOtherRange_refuses() {
    TrainingDoctor doctor = DDPM.builder().build().trainingDoctor();
    assertThatThrownBy(() -> doctor.examine(bytes, good)).hasMessage(message("samples"));
    assertThatThrownBy(() -> doctor.examine(good, bytes)).hasMessage(message("training images"));
    assertThat(doctor.examine(good.mul(40), good).findings()).isNotEmpty();
    TrainingDoctor ofBytes = DDPM.builder().dataRange(0, 255).build().trainingDoctor();
    assertThat(ofBytes.examine(bytes, bytes).findings()).isNotEmpty();
  }
}
