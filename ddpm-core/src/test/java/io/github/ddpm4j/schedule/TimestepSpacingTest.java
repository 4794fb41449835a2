package io.github.ddpm4j.schedule;

import static io.github.ddpm4j.schedule.TimestepSpacing.LEADING;
import static io.github.ddpm4j.schedule.TimestepSpacing.LINSPACE;
import static io.github.ddpm4j.schedule.TimestepSpacing.TRAILING;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.Golden;
import java.util.Arrays;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TimestepSpacingTest {

  /** Every trajectory of the reference code, but those that shift their timesteps by an offset. */
  @ParameterizedTest
  @ValueSource(strings = {"ddim.json", "ddpm.json"})
  void timesteps_goldenTrajectories_agree(String file) {
    Golden trajectories = Golden.load(file);
    int compared = 0;
    for (String key : trajectories.keys()) {
      Golden trajectory = trajectories.at(key);
      if (!trajectory.has("timesteps")) {
        continue;
      }
      TimestepSpacing spacing =
          TimestepSpacing.valueOf(key.split("\\|", -1)[1].toUpperCase(Locale.ROOT));
      Golden config = trajectory.at("config");
      int offset = config.has("steps_offset") ? (int) config.number("steps_offset") : 0;
      int[] shifted =
          Arrays.stream(spacing.timesteps(1000, (int) trajectory.number("steps")))
              .map(t -> t + offset)
              .toArray();
      assertThat(shifted).as(key).containsExactly(trajectory.integers("timesteps"));
      compared++;
    }
    assertThat(compared).isGreaterThanOrEqualTo(15);
  }

  @ParameterizedTest
  @ValueSource(ints = {10, 50, 250})
  void trailing_lucidrainsDdimTimes_agree(int steps) {
    int[] times =
        Golden.load("lucidrains_schedules.json").integers("ddim_times_T1000_" + steps, "times");
    assertThat(times).hasSize(steps + 1).endsWith(-1);
    assertThat(TRAILING.timesteps(1000, steps)).containsExactly(Arrays.copyOf(times, steps));
  }

  /** Every list of the reference code: one count, several, and its names for DDIM. */
  @Test
  void sections_goldenRespacings_agree() {
    Golden respacings = Golden.load("improved_respace.json");
    assertThat(respacings.keys()).hasSize(6);
    for (String key : respacings.keys()) {
      int trainingSteps = Integer.parseInt(key.split("\\|", -1)[0]);
      String list = key.split("\\|", -1)[1];
      int[] descending =
          list.startsWith("ddim")
              ? LEADING.timesteps(trainingSteps, Integer.parseInt(list.substring(4)))
              : TimestepSpacing.sections(
                  trainingSteps,
                  Arrays.stream(list.split(",", -1)).mapToInt(Integer::parseInt).toArray());
      int[] ascending = respacings.integers(key, "timesteps");
      assertThat(descending).as(key).hasSameSizeAs(ascending);
      for (int i = 0; i < ascending.length; i++) {
        assertThat(descending[ascending.length - 1 - i]).as(key).isEqualTo(ascending[i]);
      }
    }
  }

  @Test
  void sections_edges_areDistinctAndInRange() {
    assertThat(TimestepSpacing.sections(10, 1)).containsExactly(0);
    assertThat(TimestepSpacing.sections(10, 1, 1, 1)).containsExactly(7, 4, 0);
    assertThat(TimestepSpacing.sections(10, 4, 1, 3)).containsExactly(9, 8, 7, 4, 3, 2, 1, 0);
    assertThat(TimestepSpacing.sections(3, 3)).containsExactly(2, 1, 0);
  }

  @Test
  void sections_badCounts_areRefused() {
    assertThatThrownBy(() -> TimestepSpacing.sections(300))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("sections need at least one count; sections(300, 50) is one of 50");
    for (int count : new int[] {-1, 0, 4}) {
      assertThatThrownBy(() -> TimestepSpacing.sections(10, 4, 3, count))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the count of a section must be at least 1 and at most its length, but section 3 of 3"
                  + " has 3 of the 10 timesteps, and its count was "
                  + count);
    }
    assertThatThrownBy(() -> TimestepSpacing.sections(0, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("trainingSteps must be at least 1, but was 0");
  }

  @Test
  void timesteps_tenOfThousand_areAsDocumented() {
    assertThat(LEADING.timesteps(1000, 10))
        .containsExactly(900, 800, 700, 600, 500, 400, 300, 200, 100, 0);
    assertThat(LINSPACE.timesteps(1000, 10))
        .containsExactly(999, 888, 777, 666, 555, 444, 333, 222, 111, 0);
    assertThat(TRAILING.timesteps(1000, 10))
        .containsExactly(999, 899, 799, 699, 599, 499, 399, 299, 199, 99);
  }

  /** Printed by numpy: 1.5 and 2.5 both round to 2. */
  @Test
  void timesteps_halves_roundToEven() {
    assertThat(LINSPACE.timesteps(8, 3)).containsExactly(7, 4, 0);
    assertThat(LINSPACE.timesteps(10, 7)).containsExactly(9, 8, 6, 4, 3, 2, 0);
    assertThat(TRAILING.timesteps(10, 4)).containsExactly(9, 7, 4, 1);
    assertThat(TRAILING.timesteps(5, 2)).containsExactly(4, 1);
  }

  @Test
  void timesteps_one_isTheDocumentedOne() {
    assertThat(LEADING.timesteps(1000, 1)).containsExactly(0);
    assertThat(LINSPACE.timesteps(1000, 1)).containsExactly(0);
    assertThat(TRAILING.timesteps(1000, 1)).containsExactly(999);
  }

  @ParameterizedTest
  @ValueSource(ints = {-3, 0, 1001})
  void timesteps_stepsOutOfRange_areRefused(int steps) {
    for (TimestepSpacing spacing : TimestepSpacing.values()) {
      assertThatThrownBy(() -> spacing.timesteps(1000, steps))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "steps must be at least 1 and at most the schedule's 1000 timesteps, but was "
                  + steps);
    }
  }

  @Test
  void timesteps_noTrainingSteps_areRefused() {
    assertThatThrownBy(() -> LEADING.timesteps(0, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("trainingSteps must be at least 1, but was 0");
  }
}
