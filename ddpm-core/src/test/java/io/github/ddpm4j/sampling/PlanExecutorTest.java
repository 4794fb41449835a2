package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The loop executes what the record of a row says, memory of earlier calls included. */
class PlanExecutorTest {

  private static final int ROWS = 6;
  private static final int DEPTH = 3;

  @ParameterizedTest
  @EnumSource(SamplingPlan.Memory.class)
  void run_anyTable_isTheSumThatTheRowSays(SamplingPlan.Memory memory) {
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(1);
    List<SamplingPlan.Step> rows = new ArrayList<>();
    for (int i = 0; i < ROWS; i++) {
      List<Double> past =
          random.doubles(Math.min(i, DEPTH), -1, 1).boxed().toList(); // as far back as there is
      rows.add(
          new SamplingPlan.Step(
              new Level(i + 0.5, random.nextDouble(0.5, 1), random.nextDouble()),
              random.nextDouble(-1, 1),
              random.nextDouble(-1, 1),
              i % 2 == 0 ? random.nextDouble(-1, 1) : 0,
              past,
              i % 3 == 0 ? random.nextDouble() : 0));
    }
    SamplingPlan plan = new SamplingPlan(rows, memory, 2, Level.CLEAN);

    double x = 2 * z(0);
    List<Double> calls = new ArrayList<>();
    for (int i = 0; i < ROWS; i++) {
      SamplingPlan.Step row = rows.get(i);
      double epsilon = 0.3 * x + row.timestep();
      double raw = (x - row.noise() * epsilon) / row.signal();
      double x0 = Math.max(-1, Math.min(1, raw));
      double next = row.cX() * x + row.cX0() * x0 + row.cEps() * epsilon;
      for (int k = 0; k < row.past().size(); k++) {
        next += row.past().get(k) * calls.get(i - 1 - k);
      }
      calls.add(memory == SamplingPlan.Memory.X0 ? x0 : epsilon);
      x = next + row.noiseHigh() * z(i + 1);
    }

    Diffusion diffusion =
        new Diffusion(
            Schedules.linear(10), Prediction.EPSILON, Variance.FIXED_LARGE, DataRange.DEFAULT);
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            Sampling.of(
                    DenoisingModel.of(
                        diffusion, (in, levels, condition) -> in.mul(0.3).add(levels.timestep(0))))
                .sampler((model, start) -> plan)
                .noise((image, draw, target) -> target[0] = z(draw))
                .shape(1, 1, 1)
                .dataType(DataType.FLOAT64)
                .generate(1)) {
      assertThat(samples.toNDArray(manager).toDoubleArray()[0]).isCloseTo(x, within(1e-12));
    }
  }

  private static double z(long draw) {
    return Math.sin(draw + 1.0);
  }

  /** A plan that looks back keeps as many batches as it looks back, not one per row. */
  @Test
  void run_planWithMemory_doesNotGrow() {
    List<SamplingPlan.Step> rows = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      rows.add(
          new SamplingPlan.Step(
              new Level(500, 0.5, 0.5), 0.5, 0.1, 0.1, i < 2 ? List.of() : List.of(0.1, 0.1), 0));
    }
    List<Integer> held = new ArrayList<>();
    Diffusion diffusion =
        new Diffusion(
            Schedules.linear(1000), Prediction.EPSILON, Variance.FIXED_LARGE, DataRange.DEFAULT);
    try (Samples samples =
        Sampling.of(DenoisingModel.of(diffusion, StandIns.modelG()))
            .sampler(
                (model, start) -> new SamplingPlan(rows, SamplingPlan.Memory.X0, 1, Level.CLEAN))
            .shape(1, 4, 4)
            .seed(1)
            .listener(event -> held.add(event.x().getManager().getManagedArrays().size()))
            .generate(2)) {
      assertThat(samples.size()).isEqualTo(2);
    }
    assertThat(held.get(99)).isEqualTo(held.get(10));
  }
}
