package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.WithVariance;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Single reverse steps of diffusers' DDPM scheduler. */
class GoldenStepsTest {

  private static final Golden golden = Golden.load("ddpm_steps.json");
  private static final int IMAGES = 2;

  static Stream<String> fixedVarianceCases() {
    return golden.keys().stream()
        .filter(key -> key.contains("|fixed_small") || key.contains("|fixed_large|"))
        .filter(key -> key.contains("|clip="));
  }

  @Test
  void cases_areAllThere() {
    assertThat(fixedVarianceCases()).hasSize(91);
    assertThat(learnedRangeCases()).hasSizeGreaterThan(20);
  }

  @ParameterizedTest
  @MethodSource("fixedVarianceCases")
  void step_float64_agrees(String key) {
    String[] parts = key.split("\\|");
    Schedule schedule = schedule(parts[0]);
    Variance variance = variance(parts[1]);
    Prediction prediction = prediction(parts[2]);
    boolean clip = parts[3].equals("clip=True");
    int t = Integer.parseInt(parts[4].substring(2));
    compare(key, schedule, variance, prediction, clip, t, golden.data("inputs", "model_output"));
  }

  static Stream<String> learnedRangeCases() {
    return golden.keys().stream().filter(key -> key.contains("|learned_range|"));
  }

  @ParameterizedTest
  @MethodSource("learnedRangeCases")
  void step_learnedRange_agrees(String key) {
    String[] parts = key.split("\\|");
    int t = Integer.parseInt(parts[4].substring(2));
    compare(
        key,
        schedule(parts[0]),
        Variance.LEARNED_RANGE,
        prediction(parts[2]),
        parts[3].equals("clip=True"),
        t,
        golden.data("inputs", "model_output"));
  }

  @Test
  void step_dynamicThresholding_agrees() {
    String key = "linear|fixed_small|epsilon|dynthresh(0.9,max3)|t=300";
    Diffusion diffusion =
        new Diffusion(
            Schedules.linear(1000), Prediction.EPSILON, Variance.FIXED_SMALL, DataRange.DEFAULT);
    compare(
        key,
        diffusion,
        300,
        golden.data("inputs", "model_output"),
        s -> s.dynamicThresholding(0.9, 3));
  }

  /**
   * No peer prints PREVIOUS_MEAN: the mean that the golden x̂_0 implies, given as the network's
   * output, must lead back to that x̂_0 and to the same step.
   */
  @ParameterizedTest
  @MethodSource("fixedVarianceCases")
  void step_previousMean_roundTrips(String key) {
    String[] parts = key.split("\\|");
    if (!parts[2].equals("sample") || !parts[3].equals("clip=False")) {
      return;
    }
    Schedule schedule = schedule(parts[0]);
    int t = Integer.parseInt(parts[4].substring(2));
    double[] x = golden.data("inputs", "sample");
    double[] x0 = golden.data(key, "pred_x0");
    double[] mean = new double[x.length];
    for (int i = 0; i < mean.length; i++) {
      mean[i] = schedule.posteriorMeanX0(t) * x0[i] + schedule.posteriorMeanXt(t) * x[i];
    }
    Variance variance = variance(parts[1]);
    compare(key, schedule, variance, Prediction.PREVIOUS_MEAN, false, t, mean);
  }

  private static void compare(
      String key,
      Schedule schedule,
      Variance variance,
      Prediction prediction,
      boolean clip,
      int t,
      double[] output) {
    compare(
        key,
        new Diffusion(schedule, prediction, variance, DataRange.DEFAULT),
        t,
        output,
        sampling -> sampling.clip(clip));
  }

  private static void compare(
      String key, Diffusion diffusion, int t, double[] output, UnaryOperator<Sampling> limit) {
    Schedule schedule = diffusion.schedule();
    SamplingPlan.Step row =
        Samplers.ddpm().plan(diffusion).steps().get(schedule.timesteps() - 1 - t);
    assertThat(row.timestep()).isEqualTo(t);
    double[][] x0 = new double[1][];
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            limit
                .apply(
                    Sampling.of(
                        DenoisingModel.of(
                            diffusion,
                            WithVariance.where(
                                diffusion.variance().isLearned(),
                                (x, levels, condition) -> {
                                  NDArray given = x.getManager().create(output, x.getShape());
                                  return diffusion.variance().isLearned()
                                      ? given.concat(
                                          x.getManager()
                                              .create(
                                                  golden.data("inputs", "learned_v"), x.getShape()),
                                          1)
                                      : given;
                                }))))
                .sampler(
                    (model, start) ->
                        new SamplingPlan(List.of(row), SamplingPlan.Memory.X0, 1, Level.CLEAN))
                .shape(3, 4, 4)
                .dataType(DataType.FLOAT64)
                .noise(
                    StandIns.recorded(
                        golden.data("inputs", "sample"), golden.data("inputs", "noise"), IMAGES))
                .listener(event -> x0[0] = Golden.values(event.predictedX0()))
                .generate(IMAGES)) {
      Golden.assertClose(key + " x0", x0[0], golden.data(key, "pred_x0"), 1e-9);
      Golden.assertClose(
          key + " previous",
          Golden.values(samples.toNDArray(manager)),
          golden.data(key, "prev_sample"),
          1e-9);
    }
  }

  private static Prediction prediction(String name) {
    return switch (name) {
      case "epsilon" -> Prediction.EPSILON;
      case "sample" -> Prediction.X0;
      case "v_prediction" -> Prediction.VELOCITY;
      default -> throw new IllegalArgumentException(name);
    };
  }

  /** fixed_small_log of diffusers is fixed_small by another road: it returns the deviation. */
  private static Variance variance(String name) {
    return name.equals("fixed_large") ? Variance.FIXED_LARGE : Variance.FIXED_SMALL;
  }

  private static Schedule schedule(String name) {
    return switch (name) {
      case "linear" -> Schedules.linear(1000);
      case "squaredcos_cap_v2" -> Schedules.cosine(1000);
      case "scaled_linear" -> Schedules.scaledLinear(1000, 1e-4, 0.02);
      default -> throw new IllegalArgumentException(name);
    };
  }
}
