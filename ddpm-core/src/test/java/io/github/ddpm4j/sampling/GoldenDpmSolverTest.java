package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whole DPM-Solver trajectories of diffusers, element by element. */
class GoldenDpmSolverTest {

  private static final Golden golden = Golden.load("dpmsolver.json");
  private static final Golden inputs = Golden.load("inputs.json");
  private static final int IMAGES = 2;

  static Stream<String> cases() {
    return golden.keys().stream();
  }

  @Test
  void cases_areAllThere() {
    assertThat(cases()).hasSize(23);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void dpmSolver_float64_agrees(String key) {
    List<String> parts = List.of(key.split("\\|"));
    Golden expected = golden.at(key);
    Prediction prediction = parts.contains("pred=sample") ? Prediction.X0 : Prediction.EPSILON;
    Diffusion diffusion =
        new Diffusion(schedule(parts.get(0)), prediction, Variance.FIXED_SMALL, DataRange.DEFAULT);
    DpmSolverSampler sampler = sampler(parts);

    List<SamplingPlan.Step> rows = sampler.plan(diffusion).steps();
    assertThat(rows.stream().mapToInt(row -> (int) row.timestep()))
        .containsExactly(boxed(expected.integers("timesteps")));
    double[] sigmas = expected.data("sigmas");
    for (int i = 0; i < rows.size(); i++) {
      Golden.assertClose(
          "sigma " + i,
          new double[] {rows.get(i).noise() / rows.get(i).signal()},
          new double[] {sigmas[i]},
          1e-12);
    }

    Sampling sampling =
        Sampling.of(DenoisingModel.of(diffusion, denoiser(prediction, diffusion.schedule(), parts)))
            .sampler(sampler)
            .shape(3, 4, 4)
            .clip(false)
            .dataType(DataType.FLOAT64)
            .noise(
                StandIns.recorded(
                    inputs.data("x_T", "data"), inputs.data("noise50", "data"), IMAGES));
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples = sampling.generate(IMAGES)) {
      Golden.assertClose(
          key, Golden.values(samples.toNDArray(manager)), expected.data("final"), 1e-9);
    }
  }

  /** Model G of the golden data knows the timestep alone, so a rounded one is its level. */
  private static Denoiser denoiser(Prediction prediction, Schedule schedule, List<String> parts) {
    if (parts.contains("model=A")) {
      return StandIns.predicting(prediction, StandIns.modelA());
    }
    Denoiser model = StandIns.predicting(prediction, StandIns.modelG());
    return (x, levels, condition) -> {
      int[] timesteps =
          IntStream.range(0, levels.size()).map(i -> (int) levels.timestep(i)).toArray();
      return model.predict(x, NoiseLevels.of(schedule, timesteps), condition);
    };
  }

  private static Integer[] boxed(int[] values) {
    return Arrays.stream(values).boxed().toArray(Integer[]::new);
  }

  private static Schedule schedule(String name) {
    return switch (name) {
      case "linear" -> Schedules.linear(1000);
      case "scaled_linear_sd" -> Schedules.scaledLinear(1000);
      case "squaredcos_cap_v2" -> Schedules.cosine(1000);
      default -> throw new IllegalArgumentException(name);
    };
  }

  /** Order 3 of diffusers is the published one. */
  private static DpmSolverSampler sampler(List<String> parts) {
    int steps = Integer.parseInt(parts.get(2));
    DpmSolverSampler sampler =
        parts.get(3).equals("dpmsolver")
            ? Samplers.dpmSolver(steps)
            : Samplers.dpmSolverPlusPlus(steps);
    sampler =
        switch (parts.get(1)) {
          case "karras" -> sampler.spacing(NoiseSpacing.karras().wholeTimesteps(true));
          case "lu_lambdas" -> sampler.spacing(NoiseSpacing.uniformLogSnr().wholeTimesteps(true));
          default ->
              sampler.spacing(TimestepSpacing.valueOf(parts.get(1).toUpperCase(Locale.ROOT)));
        };
    for (String part : parts) {
      sampler =
          switch (part) {
            case "sde-dpmsolver++" -> sampler.stochastic(true);
            case "order=1" -> sampler.order(1);
            case "order=3" -> sampler.order(3).published(true);
            case "heun" -> sampler.heun(true);
            case "final=sigma_min" -> sampler.endAtFirstTimestep(true);
            case "lambda_min_clipped=-5.1" -> sampler.lambdaMin(-5.1);
            default -> sampler;
          };
    }
    return sampler;
  }
}
