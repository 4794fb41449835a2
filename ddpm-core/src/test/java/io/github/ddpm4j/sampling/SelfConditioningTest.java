package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.SamplingPlan;
import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A network that sees x̂_0 of the step before gets the one of its own images, and no other. */
class SelfConditioningTest {

  private static final Diffusion DIFFUSION =
      new Diffusion(
          Schedules.linear(100), Prediction.EPSILON, Variance.FIXED_SMALL, DataRange.DEFAULT);

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /**
   * ε = 0.3 x + 0.2 · (x̂_0 of the step before) − 0.1 · label; refuses other kinds as UNet does.
   */
  private record Strict(Set<Kind> conditionKinds) implements Denoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      for (Kind kind : Kind.values()) {
        if (condition.has(kind) && !conditionKinds.contains(kind)) {
          throw new IllegalArgumentException("not built for " + kind);
        }
      }
      NDArray sum = x.mul(0.3);
      if (condition.has(Kind.PREVIOUS_X0)) {
        NDArray before = condition.array(Kind.PREVIOUS_X0, x.getManager());
        sum = sum.add(before.toType(x.getDataType(), false).mul(0.2));
      }
      if (condition.has(Kind.LABELS)) {
        double[] shift =
            IntStream.range(0, levels.size())
                .mapToDouble(i -> -0.1 * condition.label(i).orElse(0))
                .toArray();
        sum = sum.add(PerImage.column(x, shift));
      }
      return sum;
    }
  }

  private static Sampling sampling(Denoiser network, long seed) {
    return Sampling.of(DenoisingModel.of(DIFFUSION, network))
        .sampler(Samplers.ddim(10))
        .shape(1, 2, 2)
        .batchSize(2)
        .seed(seed);
  }

  private double[] pixels(Samples samples) {
    try (samples;
        NDArray array = samples.toNDArray(manager)) {
      return Golden.values(array);
    }
  }

  /** The same chain with plain numbers, guided by w towards a label. */
  private static double[] byHand(long seed, int images, double label, double w) {
    double[] all = new double[images * 4];
    for (int image = 0; image < images; image++) {
      double[] x = new double[4];
      NoiseSource.seeded(seed).normal(image, 0, x);
      double[] before = new double[4];
      for (SamplingPlan.Step row : Samplers.ddim(10).plan(DIFFUSION).steps()) {
        for (int i = 0; i < 4; i++) {
          double epsilon = 0.3 * x[i] + 0.2 * before[i] - w * 0.1 * label;
          double raw = (x[i] - row.noise() * epsilon) / row.signal();
          before[i] = Math.max(-1, Math.min(1, raw));
          x[i] = row.cX() * x[i] + row.cX0() * before[i];
        }
      }
      System.arraycopy(x, 0, all, image * 4, 4);
    }
    return all;
  }

  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      names = {"FLOAT32", "FLOAT64"})
  void generate_seesTheEstimateOfTheStepBefore(DataType type) {
    Denoiser network = new Strict(EnumSet.of(Kind.PREVIOUS_X0));
    double[] found = pixels(sampling(network, 3).dataType(type).generate(3));
    Golden.assertClose("self-conditioned, " + type, found, byHand(3, 3, 0, 0), 1e-5);
  }

  @Test
  void guided_bothHalvesSeeTheGuidedEstimate() {
    Denoiser network = new Strict(EnumSet.of(Kind.LABELS, Kind.PREVIOUS_X0));
    double[] found =
        pixels(
            sampling(network, 3)
                .condition(Condition.labels(2))
                .guidance(Guidance.classifierFree(1.7))
                .generate(3));
    Golden.assertClose("self-conditioned and guided", found, byHand(3, 3, 2, 1.7), 1e-5);
  }

  /** A run before its first step has no estimate, while another has. */
  @Test
  void advance_withAndWithoutEstimate_equalLoneRuns() {
    Denoiser network = new Strict(EnumSet.of(Kind.PREVIOUS_X0));
    try (SamplingRun first = sampling(network, 3).start(2);
        SamplingRun second = sampling(network, 4).start(1)) {
      first.next();
      first.next();
      while (first.hasNext()) {
        SamplingRun.advance(List.of(first, second));
      }
      Golden.assertClose("begun before", pixels(first.finish()), byHand(3, 2, 0, 0), 1e-5);
      Golden.assertClose("begun after", pixels(second.finish()), byHand(4, 1, 0, 0), 1e-5);
    }
  }

  @Test
  void save_midChain_keepsTheEstimate(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.safetensors");
    Denoiser network = new Strict(EnumSet.of(Kind.PREVIOUS_X0));
    double[] whole = pixels(sampling(network, 3).generate(3));
    try (SamplingRun run = sampling(network, 3).start(3);
        SamplingRun other = sampling(network, 3).start(3)) {
      for (int i = 0; i < 4; i++) {
        run.next();
      }
      run.save(file);
      assertThat(pixels(other.restore(file).finish())).isEqualTo(whole);
    }
  }

  @Test
  void condition_withAnEstimate_isRefused() {
    Denoiser network = new Strict(EnumSet.of(Kind.PREVIOUS_X0));
    NDArray estimate = manager.ones(new ai.djl.ndarray.types.Shape(1, 1, 2, 2));
    assertThatThrownBy(
            () -> sampling(network, 3).condition(Condition.previousX0(estimate)).start(3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "sampling makes the previous x̂_0 itself, but the condition was Condition of 1 images by"
                + " previous x̂_0 (1, 2, 2); leave it out");
  }
}
