package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whole trajectories of diffusers, element by element. */
class GoldenTrajectoriesTest {

  private static final Golden ddim = Golden.load("ddim.json");
  private static final Golden ddpm = Golden.load("ddpm.json");
  private static final Golden inputs = Golden.load("inputs.json");
  private static final double[] start = inputs.data("x_T", "data");
  private static final double[] noise50 = inputs.data("noise50", "data");
  private static final double[] noise1000 = Golden.binary("noise1000.f64le.bin");
  private static final int IMAGES = 2;

  /** One golden case: its key, taken apart. */
  private record Case(Golden golden, List<String> parts) {
    static Case of(Golden file, String key) {
      return new Case(file.at(key), List.of(key.split("\\|")));
    }

    Schedule schedule() {
      return switch (parts.get(0)) {
        case "linear" -> Schedules.linear(1000);
        case "scaled_linear_sd" -> Schedules.scaledLinear(1000);
        case "squaredcos_cap_v2" -> Schedules.cosine(1000);
        default -> throw new IllegalArgumentException(parts.get(0));
      };
    }

    TimestepSpacing spacing() {
      return TimestepSpacing.valueOf(parts.get(1).toUpperCase(Locale.ROOT));
    }

    int steps() {
      return Integer.parseInt(parts.get(2));
    }

    boolean clip() {
      return parts.contains("clip=True");
    }

    String value(String name) {
      return parts.stream()
          .filter(part -> part.startsWith(name + "="))
          .map(part -> part.substring(name.length() + 1))
          .findFirst()
          .orElse("");
    }

    Prediction prediction() {
      return switch (value("pred")) {
        case "" -> Prediction.EPSILON;
        case "sample" -> Prediction.X0;
        case "v_prediction" -> Prediction.VELOCITY;
        default -> throw new IllegalArgumentException(parts.toString());
      };
    }

    Denoiser denoiser() {
      return StandIns.predicting(
          prediction(), value("model").equals("A") ? StandIns.modelA() : StandIns.modelG());
    }

    Variance variance() {
      return parts.contains("fixed_large") ? Variance.FIXED_LARGE : Variance.FIXED_SMALL;
    }

    Diffusion diffusion() {
      return new Diffusion(schedule(), prediction(), variance(), DataRange.DEFAULT);
    }
  }

  static Stream<String> ddimCases() {
    return ddim.keys().stream().filter(key -> key.contains("model="));
  }

  static Stream<String> ddpmCases() {
    return ddpm.keys().stream();
  }

  @Test
  void cases_areAllThere() {
    assertThat(ddimCases()).hasSize(18);
    assertThat(ddpmCases()).hasSize(15);
  }

  @ParameterizedTest
  @MethodSource("ddimCases")
  void ddim_float64_agrees(String key) {
    run(key, Case.of(ddim, key), ddimSampler(Case.of(ddim, key)), DataType.FLOAT64, 1e-9);
  }

  @ParameterizedTest
  @MethodSource("ddimCases")
  void ddim_float32_agrees(String key) {
    if (key.endsWith("model=G")) {
      run(key, Case.of(ddim, key), ddimSampler(Case.of(ddim, key)), DataType.FLOAT32, 1e-4);
    }
  }

  @ParameterizedTest
  @MethodSource("ddpmCases")
  void ddpm_float64_agrees(String key) {
    run(key, Case.of(ddpm, key), ddpmSampler(Case.of(ddpm, key)), DataType.FLOAT64, 1e-9);
  }

  @ParameterizedTest
  @MethodSource("ddpmCases")
  void ddpm_float32_agrees(String key) {
    if (key.endsWith("model=G")) {
      run(key, Case.of(ddpm, key), ddpmSampler(Case.of(ddpm, key)), DataType.FLOAT32, 1e-4);
    }
  }

  private static void run(
      String key, Case golden, Sampler sampler, DataType type, double tolerance) {
    NoiseSource noise =
        StandIns.recorded(start, golden.steps() == 1000 ? noise1000 : noise50, IMAGES);
    Sampling sampling =
        Sampling.of(DenoisingModel.of(golden.diffusion(), golden.denoiser()))
            .sampler(sampler)
            .shape(3, 4, 4)
            .clip(golden.clip())
            .dataType(type)
            .noise(noise);
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples = sampling.generate(IMAGES)) {
      Golden.assertClose(
          key + " " + type,
          Golden.values(samples.toNDArray(manager)),
          golden.golden().data("final"),
          tolerance);
    }
  }

  private static Sampler ddimSampler(Case golden) {
    DdimSampler sampler =
        Samplers.ddim(golden.steps())
            .spacing(golden.spacing())
            .eta(Double.parseDouble(golden.value("eta")))
            .rawEpsilon(true)
            .endAtFirstTimestep(golden.value("set_alpha_to_one").equals("False"));
    int[] expected = golden.golden().integers("timesteps");
    if (golden.value("steps_offset").equals("1")) {
      return sampler.timesteps(expected);
    }
    assertThat(timesteps(sampler.plan(golden.diffusion()))).isEqualTo(expected);
    return golden.spacing() == TimestepSpacing.LINSPACE ? fixedStride(sampler, golden) : sampler;
  }

  /**
   * diffusers takes t − 1000 / steps for the next timestep whatever the spacing. Only this
   * comparison does so: each row is that of a two-entry list.
   */
  private static Sampler fixedStride(DdimSampler sampler, Case golden) {
    return (diffusion, begin) -> {
      List<SamplingPlan.Step> rows = new ArrayList<>();
      for (int t : timesteps(sampler.plan(diffusion, begin))) {
        int next = t - 1000 / golden.steps();
        DdimSampler one = next < 0 ? sampler.timesteps(t) : sampler.timesteps(t, next);
        rows.add(one.plan(diffusion, begin).steps().get(0));
      }
      return new SamplingPlan(rows, SamplingPlan.Memory.X0, 1, Level.CLEAN);
    };
  }

  private static Sampler ddpmSampler(Case golden) {
    DdpmSampler sampler =
        golden.steps() == 1000
            ? Samplers.ddpm()
            : Samplers.ddpm(golden.steps()).spacing(golden.spacing());
    assertThat(timesteps(sampler.plan(golden.diffusion())))
        .isEqualTo(golden.golden().integers("timesteps"));
    return noiseInLastRow(sampler);
  }

  /** diffusers adds noise in the last row when its timestep is above 0; only here so do we. */
  private static Sampler noiseInLastRow(DdpmSampler sampler) {
    return (diffusion, begin) -> {
      SamplingPlan plan = sampler.plan(diffusion, begin);
      List<SamplingPlan.Step> rows = new ArrayList<>(plan.steps());
      SamplingPlan.Step last = rows.get(rows.size() - 1);
      if (last.timestep() > 0) {
        double clamped = 1e-20;
        double variance =
            diffusion.variance() == Variance.FIXED_SMALL
                ? clamped
                : diffusion.schedule().noise((int) last.timestep())
                    * diffusion.schedule().noise((int) last.timestep());
        rows.set(
            rows.size() - 1,
            new SamplingPlan.Step(
                last.level(),
                last.cX(),
                last.cX0(),
                last.cEps(),
                last.past(),
                Math.sqrt(variance)));
      }
      return new SamplingPlan(rows, plan.memory(), 1, Level.CLEAN);
    };
  }

  private static int[] timesteps(SamplingPlan plan) {
    return plan.steps().stream().mapToInt(step -> (int) step.timestep()).toArray();
  }

  @Test
  void timesteps_descend() {
    int[] t =
        timesteps(
            Samplers.ddim(50).plan(Case.of(ddim, ddimCases().toList().get(0)).diffusion(), 999));
    assertThat(Arrays.stream(t).boxed()).isSortedAccordingTo((a, b) -> b - a);
  }
}
