package io.github.ddpm4j.process;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
}
