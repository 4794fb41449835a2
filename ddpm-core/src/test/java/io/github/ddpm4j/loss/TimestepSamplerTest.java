package io.github.ddpm4j.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.apache.commons.rng.UniformRandomProvider;
import org.junit.jupiter.api.Test;

class TimestepSamplerTest {

  private static final Schedule SCHEDULE = Schedules.linear(1000);

  private static UniformRandomProvider random(long pass) {
    return CounterRandom.of(1, CounterRandom.Stream.TIMESTEPS).at(pass, 0);
  }

  private static NoiseLevels levels(Schedule schedule) {
    return NoiseLevels.of(schedule, IntStream.range(0, schedule.timesteps()).toArray());
  }

  @Test
  void uniform_drawsAreThoseOfTheGenerator() {
    NoiseLevels drawn = TimestepSampler.uniform().begin(SCHEDULE).draw(50, random(3));
    UniformRandomProvider same = random(3);
    for (int i = 0; i < 50; i++) {
      int t = same.nextInt(1000);
      assertThat(drawn.timestep(i)).isEqualTo(t);
      assertThat(drawn.signal(i)).isEqualTo(SCHEDULE.signal(t));
      assertThat(drawn.noise(i)).isEqualTo(SCHEDULE.noise(t));
    }
  }

  /** 40,000 draws: within 4.5 standard errors of mean and deviation. */
  @Test
  void logNormal_draws_haveItsMeanAndDeviation() {
    TimestepSampler.Draws draws = TimestepSampler.logNormal(-1.2, 0.8).begin(SCHEDULE);
    int count = 40_000;
    NoiseLevels drawn = draws.draw(count, random(0));
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < count; i++) {
      double logSigma = Math.log(drawn.noise(i) / drawn.signal(i));
      sum += logSigma;
      squares += (logSigma + 1.2) * (logSigma + 1.2);
      assertThat(drawn.signal(i) * drawn.signal(i) + drawn.noise(i) * drawn.noise(i))
          .isCloseTo(1, within(1e-12));
      assertThat(draws.weight(drawn, i)).isEqualTo(1);
      assertThat(SCHEDULE.timestepOf(drawn.noise(i) / drawn.signal(i)))
          .isCloseTo(drawn.timestep(i), within(1e-9));
    }
    assertThat(sum / count).isCloseTo(-1.2, within(4.5 * 0.8 / 200));
    assertThat(Math.sqrt(squares / count)).isCloseTo(0.8, within(4.5 * 0.8 / 200 / Math.sqrt(2)));
  }

  @Test
  void logNormal_beyondTheSchedule_movedToItsEnds() {
    NoiseLevels drawn = TimestepSampler.logNormal(0, 50).begin(SCHEDULE).draw(200, random(0));
    double[] timesteps = IntStream.range(0, 200).mapToDouble(drawn::timestep).toArray();
    assertThat(timesteps).contains(0, 999);
    for (int i = 0; i < 200; i++) {
      double sigma = drawn.noise(i) / drawn.signal(i);
      assertThat(sigma).isBetween(0.0100005, 157.4073);
    }
  }

  /** The middle halves, thirds and tenths of the schedule have the normal's probabilities. */
  @Test
  void logitNormal_draws_haveTheirDistribution() {
    int count = 40_000;
    TimestepSampler.Draws draws = TimestepSampler.logitNormal(0.4, 0.8).begin(SCHEDULE);
    NoiseLevels drawn = draws.draw(count, random(0));
    for (int border : new int[] {100, 333, 500, 750, 950}) {
      long below = Arrays.stream(drawn.timesteps()).filter(t -> t < border).count();
      double u = border / 1000.0;
      double expected = normalIntegral((Math.log(u / (1 - u)) - 0.4) / 0.8);
      assertThat((double) below / count)
          .as("share below %d", border)
          .isCloseTo(expected, within(4.5 * Math.sqrt(expected * (1 - expected) / count)));
    }
    for (int i = 0; i < count; i++) {
      int t = (int) drawn.timestep(i);
      assertThat(drawn.level(i)).isEqualTo(Level.of(SCHEDULE, t));
      assertThat(draws.weight(drawn, i)).isEqualTo(1);
    }
  }

  @Test
  void logitNormal_farOut_staysInTheSchedule() {
    NoiseLevels drawn = TimestepSampler.logitNormal(0, 300).begin(SCHEDULE).draw(100, random(0));
    assertThat(drawn.timesteps()).contains(0, 999);
  }

  /** Continuous times of a shifted flow are log-normal levels. */
  @Test
  void logNormal_ofAFlow_isLogitNormalInItsTime() {
    Schedule flow = Schedules.flow(1000, 3);
    NoiseLevels drawn =
        TimestepSampler.logNormal(Math.log(3), 1).begin(flow).draw(20_000, random(0));
    double sum = 0;
    for (int i = 0; i < drawn.size(); i++) {
      assertThat(drawn.signal(i) + drawn.noise(i)).isCloseTo(1, within(1e-12));
      double u = drawn.noise(i) / (drawn.noise(i) + 3 * drawn.signal(i)); // before the shift
      sum += Math.log(u / (1 - u));
    }
    assertThat(sum / drawn.size()).isCloseTo(0, within(4.5 / Math.sqrt(drawn.size())));
  }

  /** Φ(z), by the trapezoidal rule. */
  private static double normalIntegral(double z) {
    int steps = 20_000;
    double width = (z + 10) / steps;
    double sum = 0;
    for (int i = 0; i <= steps; i++) {
      double x = -10 + i * width;
      sum += Math.exp(-x * x / 2) * (i == 0 || i == steps ? 0.5 : 1);
    }
    return sum * width / Math.sqrt(2 * Math.PI);
  }

  /** Weights and probabilities against the definition, the same losses told in between. */
  @Test
  void lossSecondMoment_enoughLosses_drawsByThem() {
    int steps = 5;
    Schedule schedule = Schedules.linear(steps);
    TimestepSampler.Draws draws = TimestepSampler.lossSecondMoment(2, 0.01).begin(schedule);
    NoiseLevels all = levels(schedule);
    double[][] losses = {{9, 9, 9, 9, 9}, {1, 2, 3, 4, 0}, {3, 2, 1, 0, 0}};
    assertThat(draws.learns()).isTrue();
    for (int i = 0; i < 2; i++) {
      assertThat(draws.weight(all, 3)).as("before each timestep has 2 losses").isEqualTo(1);
      draws.learn(all, losses[i]);
    }
    draws.learn(all, losses[2]);

    double[] p = new double[steps];
    double sum = 0;
    for (int t = 0; t < steps; t++) {
      p[t] = Math.sqrt((losses[1][t] * losses[1][t] + losses[2][t] * losses[2][t]) / 2);
      sum += p[t];
    }
    for (int t = 0; t < steps; t++) {
      p[t] = 0.99 * p[t] / sum + 0.01 / steps;
      assertThat(draws.weight(all, t)).isCloseTo(1 / (steps * p[t]), within(1e-12));
    }
    assertThat(Arrays.stream(p).sum()).isCloseTo(1, within(1e-12));
    int count = 50_000;
    NoiseLevels drawn = draws.draw(count, random(7));
    double[] frequency = new double[steps];
    double weighted = 0;
    for (int i = 0; i < count; i++) {
      frequency[(int) drawn.timestep(i)] += 1.0 / count;
      weighted += draws.weight(drawn, i) * drawn.timestep(i) / count;
    }
    for (int t = 0; t < steps; t++) {
      assertThat(frequency[t])
          .as("frequency of %s", t)
          .isCloseTo(p[t], within(4.5 * Math.sqrt(p[t] / count)));
    }
    // The weighted mean is that of timesteps drawn evenly; the rare timestep 4 has a weight of 100.
    assertThat(weighted).isCloseTo(2, within(0.25));
  }

  @Test
  void lossSecondMoment_tooFewLosses_drawsEvenly() {
    TimestepSampler.Draws draws = TimestepSampler.lossSecondMoment().begin(SCHEDULE);
    draws.learn(NoiseLevels.of(SCHEDULE, 3, 3, 4), new double[] {1, 2, 3});
    NoiseLevels drawn = draws.draw(20, random(2));
    UniformRandomProvider same = random(2);
    for (int i = 0; i < 20; i++) {
      assertThat(drawn.timestep(i)).isEqualTo(same.nextInt(1000));
    }
  }

  @Test
  void lossSecondMoment_allLosses0_drawsEvenly() {
    Schedule schedule = Schedules.linear(4);
    TimestepSampler.Draws draws = TimestepSampler.lossSecondMoment(1, 0.001).begin(schedule);
    draws.learn(levels(schedule), new double[4]);
    for (int t = 0; t < 4; t++) {
      assertThat(draws.weight(levels(schedule), t)).isCloseTo(1, within(1e-12));
    }
  }

  @Test
  void names_areThoseOfTheFactories() {
    assertThat(TimestepSampler.uniform()).hasToString("uniform");
    assertThat(TimestepSampler.lossSecondMoment()).hasToString("lossSecondMoment(10, 0.001)");
    assertThat(TimestepSampler.logNormal(-1.2, 1.2)).hasToString("logNormal(-1.2, 1.2)");
    assertThat(TimestepSampler.logitNormal(0, 1)).hasToString("logitNormal(0.0, 1.0)");
    assertThat(TimestepSampler.uniform()).isEqualTo(TimestepSampler.uniform());
  }

  @Test
  void settingsOutside_areRefused() {
    assertThatThrownBy(() -> TimestepSampler.lossSecondMoment(0, 0.1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("history must be at least 1, but was 0");
    assertThatThrownBy(() -> TimestepSampler.lossSecondMoment(1, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "uniformProbability must be in (0, 1], but was 0.0; without it a timestep whose losses"
                + " were 0 would never be drawn again");
    assertThatThrownBy(() -> TimestepSampler.logNormal(Double.NaN, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("mean must be finite, but was NaN");
    assertThatThrownBy(() -> TimestepSampler.logNormal(0, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("deviation must be positive and finite, but was 0.0");
  }
}
