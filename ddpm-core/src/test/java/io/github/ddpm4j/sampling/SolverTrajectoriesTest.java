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
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Trajectories that make_solvers.py took from diffusers, element by element. */
class SolverTrajectoriesTest {

  private static final Golden golden = Golden.load("solvers.json");
  private static final int IMAGES = 2;

  static Stream<String> cases() {
    return golden.keys().stream().filter(key -> key.contains("model="));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void solver_float64_agrees(String key) {
    List<String> parts = List.of(key.split("\\|"));
    Diffusion diffusion =
        new Diffusion(
            Schedules.linear(1000), Prediction.EPSILON, Variance.FIXED_SMALL, DataRange.DEFAULT);
    Sampler sampler = sampler(parts, Integer.parseInt(parts.get(parts.size() - 2)));
    assertThat(
            sampler.plan(diffusion).steps().stream()
                .mapToDouble(SamplingPlan.Step::timestep)
                .toArray())
        .containsExactly(golden.at(key).data("timesteps"), within(1e-9));

    Sampling sampling =
        Sampling.of(
                DenoisingModel.of(
                    diffusion, parts.contains("model=A") ? StandIns.modelA() : StandIns.modelG()))
            .sampler(sampler)
            .shape(1, 1, 2)
            .clip(false)
            .dataType(DataType.FLOAT64)
            .noise(StandIns.recorded(golden.data("x_T"), golden.data("noise"), IMAGES));
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples = sampling.generate(IMAGES)) {
      Golden.assertClose(
          key, Golden.values(samples.toNDArray(manager)), golden.at(key).data("final"), 1e-9);
    }
  }

  private static Sampler sampler(List<String> parts, int steps) {
    int order =
        parts.stream()
            .filter(part -> part.startsWith("order="))
            .mapToInt(part -> part.charAt(6) - '0')
            .findFirst()
            .orElse(0);
    boolean end = parts.contains("sigma_min");
    return switch (parts.get(0)) {
      case "euler" -> spaced(Samplers.euler(steps), parts, false);
      case "eulerAncestral" -> spaced(Samplers.eulerAncestral(steps), parts, false);
      case "heun" -> spaced(Samplers.heun(steps), parts, false);
      case "ddimInversion" -> Samplers.ddimInversion(steps);
      case "plms" -> Samplers.plms(steps);
      case "uniPc" ->
          spaced(Samplers.uniPc(steps), parts, true)
              .order(order)
              .bh1(parts.contains("bh1"))
              .endAtFirstTimestep(end);
      case "dpmSolver" ->
          Samplers.dpmSolver(steps).order(order).published(true).endAtFirstTimestep(end);
      case "dpmSolverPlusPlus" ->
          Samplers.dpmSolverPlusPlus(steps).order(order).published(true).stochastic(true);
      default -> throw new IllegalArgumentException(parts.get(0));
    };
  }

  private static <S extends LevelOptions<S>> S spaced(
      S sampler, List<String> parts, boolean whole) {
    return switch (parts.get(1)) {
      case "karras" -> sampler.spacing(NoiseSpacing.karras().wholeTimesteps(whole));
      case "exponential" -> sampler.spacing(NoiseSpacing.uniformLogSnr().wholeTimesteps(whole));
      default -> sampler.spacing(TimestepSpacing.valueOf(parts.get(1).toUpperCase(Locale.ROOT)));
    };
  }
}
