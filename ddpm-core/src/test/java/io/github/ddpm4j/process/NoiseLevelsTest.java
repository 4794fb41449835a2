package io.github.ddpm4j.process;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.List;
import org.junit.jupiter.api.Test;

class NoiseLevelsTest {

  @Test
  void of_schedule_hasItsSignalAndNoise() {
    Schedule schedule = Schedules.cosine(100);
    NoiseLevels levels = NoiseLevels.of(schedule, 0, 99, 50);
    assertThat(levels.size()).isEqualTo(3);
    int[] t = {0, 99, 50};
    for (int i = 0; i < t.length; i++) {
      assertThat(levels.timestep(i)).isEqualTo(t[i]);
      assertThat(levels.signal(i)).isEqualTo(schedule.signal(t[i]));
      assertThat(levels.noise(i)).isEqualTo(schedule.noise(t[i]));
    }
    assertThat(levels).hasToString("NoiseLevels[timesteps=[0.0, 99.0, 50.0]]");
  }

  @Test
  void of_arrays_areCopied() {
    double[] values = {0.5};
    NoiseLevels levels = NoiseLevels.of(values, values, values);
    values[0] = 7;
    assertThat(levels.timestep(0)).isEqualTo(0.5);
    assertThat(levels.signal(0)).isEqualTo(0.5);
    assertThat(levels.noise(0)).isEqualTo(0.5);
  }

  @Test
  void of_badInput_isRefused() {
    double[] one = {1};
    assertThatThrownBy(() -> NoiseLevels.of(one, new double[2], one))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "noise levels need one timestep, signal and noise per image, but there are 1, 2 and 1");
    assertThatThrownBy(() -> NoiseLevels.of(new double[0], new double[0], new double[0]))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "noise levels need one timestep, signal and noise per image, but there are 0, 0 and 0");
    double[] bad = {Double.NaN};
    assertThatThrownBy(() -> NoiseLevels.of(bad, one, one))
        .hasMessage("timestep of image 0 must be finite, but was NaN");
    assertThatThrownBy(() -> NoiseLevels.of(one, bad, one))
        .hasMessage("signal of image 0 must be finite, but was NaN");
    assertThatThrownBy(() -> NoiseLevels.of(one, one, bad))
        .hasMessage("noise of image 0 must be finite, but was NaN");
    assertThatThrownBy(() -> NoiseLevels.of(Schedules.linear(10), 10))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("t must be at least 0 and less than 10, but was 10");
  }

  @Test
  void concat_keepsTheOrder() {
    NoiseLevels first =
        NoiseLevels.of(new double[] {3, 2.5}, new double[] {0.1, 0.2}, new double[] {0.3, 0.4});
    NoiseLevels second = NoiseLevels.of(new double[] {7}, new double[] {0.5}, new double[] {0.6});
    NoiseLevels both = NoiseLevels.concat(List.of(first, second));
    assertThat(both.size()).isEqualTo(3);
    assertThat(both.timestep(1)).isEqualTo(2.5);
    assertThat(both.timestep(2)).isEqualTo(7);
    assertThat(both.signal(1)).isEqualTo(0.2);
    assertThat(both.signal(2)).isEqualTo(0.5);
    assertThat(both.noise(0)).isEqualTo(0.3);
    assertThat(both.noise(2)).isEqualTo(0.6);
  }

  /** Eq. 4 image by image in plain Java, and over any operations alike. */
  @Test
  void noised_mixedLevels_isEquation4() {
    try (NDManager manager = NDManager.newBaseManager()) {
      Schedule schedule = Schedules.linear(100);
      NoiseLevels levels = NoiseLevels.of(schedule, 0, 42, 99);
      Shape shape = new Shape(3, 2);
      NDArray x0 = manager.create(new double[] {1, -2, 3, 0.5, -0.25, 7}, shape);
      NDArray epsilon = manager.create(new double[] {0.1, 0.2, -0.3, 4, 5, -6}, shape);
      int before = manager.getManagedArrays().size();
      NDArray xt = levels.noised(x0, epsilon);
      assertThat(manager.getManagedArrays()).hasSize(before + 1);
      for (int i = 0; i < 6; i++) {
        double expected =
            levels.signal(i / 2) * x0.toDoubleArray()[i]
                + levels.noise(i / 2) * epsilon.toDoubleArray()[i];
        assertThat(xt.toDoubleArray()[i]).isEqualTo(expected);
      }
      assertThat(levels.combine(level -> new LinearForm(2, -1), "x0", x0, "noise", epsilon))
          .isEqualTo(x0.mul(2).sub(epsilon));
      assertThatThrownBy(() -> NoiseLevels.of(schedule, 1, 2).noised(x0, epsilon))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("t must have one entry per image of x0, that is 3, but had 2");
      assertThatThrownBy(() -> levels.noised(x0, manager.zeros(shape)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "noise must have the data type of x0, float64, but had float32; convert one of them"
                  + " with toType");
    }
  }

  @Test
  void of_oneLevel_isThatOfEveryImage() {
    Level level = new Level(3.5, 0.6, 0.8);
    NoiseLevels levels = NoiseLevels.of(level, 2);
    assertThat(levels.size()).isEqualTo(2);
    assertThat(levels.level(1)).isEqualTo(level);
    assertThat(levels.each(Level::noise)).containsExactly(0.8, 0.8);
    assertThatThrownBy(() -> NoiseLevels.of(level, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("noise levels need at least one image, but have none");
  }
}
