package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What make_flow.py took from diffusers' schedulers of flow matching. */
class FlowTrajectoriesTest {

  private static final Golden golden = Golden.load("flow.json");
  private static final int IMAGES = 2;

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void schedule_isTheTable(int shift) {
    Schedule schedule = Schedules.flow(1000, shift);
    double[] noises = IntStream.range(0, 1000).mapToDouble(schedule::noise).toArray();
    assertThat(noises).containsExactly(golden.data("table|" + shift), within(1e-15));
  }

  static Stream<String> cases() {
    return golden.keys().stream().filter(key -> key.matches("(euler|heun).*"));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void sampler_float64_agrees(String key) {
    List<String> parts = List.of(key.split("\\|"));
    int steps = Integer.parseInt(parts.get(3));
    Diffusion diffusion =
        new Diffusion(
            Schedules.flow(1000, Integer.parseInt(parts.get(1))),
            Prediction.FLOW,
            Variance.FIXED_SMALL,
            DataRange.DEFAULT);
    LevelSampler sampler =
        (parts.get(0).equals("heun") ? Samplers.heun(steps) : Samplers.euler(steps))
            .spacing(
                parts.get(2).equals("even") ? TimestepSpacing.TRAILING : TimestepSpacing.LINSPACE);
    assertThat(
            sampler.plan(diffusion).steps().stream()
                .mapToDouble(row -> Prediction.FLOW.networkTimestep(row.level()))
                .toArray())
        .containsExactly(golden.at(key).data("timesteps"), within(1e-9));
    Sampling sampling =
        Sampling.of(DenoisingModel.of(diffusion, StandIns.gaussianFlow(0.3, 0.25)))
            .sampler(sampler)
            .shape(1, 1, 2)
            .clip(false)
            .dataType(DataType.FLOAT64)
            .noise(StandIns.recorded(golden.data("x_T"), new double[0], IMAGES));
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples = sampling.generate(IMAGES)) {
      Golden.assertClose(
          key, Golden.values(samples.toNDArray(manager)), golden.at(key).data("final"), 1e-11);
    }
  }
}
