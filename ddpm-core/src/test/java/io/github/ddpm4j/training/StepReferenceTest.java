package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.TrainingResult;
import io.github.ddpm4j.noise.CounterRandom;
import io.github.ddpm4j.ops.Script;
import io.github.ddpm4j.prediction.LinearForm;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.training.Adam.EpsilonPlacement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.commons.rng.UniformRandomProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Whole training steps - noising, loss, gradients, clipping, Adam, average - against the same
 * written out in {@code double}, over 100 steps.
 */
class StepReferenceTest {

  private static final int STEPS = 100;
  private static final int BATCH = 3;
  private static final Shape IMAGE = new Shape(2, 3, 4);
  private static final int PIXELS = 24;
  private static final long SEED = 11;
  private static final int WARMUP = 10;

  record Case(
      boolean compiled,
      Script.Type type,
      Adam adam,
      int accumulation,
      double clip,
      Prediction prediction,
      double emaDecay) {}

  static Stream<Case> cases() {
    Adam torch = Adam.adamW(0.05);
    Adam coarse = new Adam(0.8, 0.95, 1e-2, 0.02, EpsilonPlacement.BEFORE_CORRECTION);
    Adam coarseTorch = new Adam(0.8, 0.95, 1e-2, 0, EpsilonPlacement.AFTER_CORRECTION);
    return Stream.of(
        new Case(true, Script.Type.FLOAT32, Adam.PAPER, 1, 1, Prediction.EPSILON, 0.9),
        new Case(true, Script.Type.FLOAT32, torch, 1, 0.05, Prediction.EPSILON, 0.9999),
        new Case(true, Script.Type.FLOAT32, coarse, 1, Double.POSITIVE_INFINITY, Prediction.X0, 0),
        new Case(true, Script.Type.FLOAT32, coarseTorch, 1, 0.2, Prediction.VELOCITY, 0.5),
        new Case(true, Script.Type.FLOAT32, torch, 3, 0.1, Prediction.PREVIOUS_MEAN, 0.99),
        new Case(
            true,
            Script.Type.FLOAT32,
            coarse,
            2,
            Double.POSITIVE_INFINITY,
            Prediction.EPSILON,
            0.9),
        new Case(true, Script.Type.BFLOAT16, torch, 1, 0.05, Prediction.EPSILON, 0.9),
        new Case(true, Script.Type.BFLOAT16, torch, 3, 0.1, Prediction.VELOCITY, 0.99),
        new Case(
            true, Script.Type.BFLOAT16, coarse, 1, Double.POSITIVE_INFINITY, Prediction.EPSILON, 0),
        new Case(false, Script.Type.FLOAT32, Adam.PAPER, 1, 1, Prediction.EPSILON, 0.9),
        new Case(false, Script.Type.FLOAT32, torch, 3, 0.1, Prediction.PREVIOUS_MEAN, 0.99),
        new Case(false, Script.Type.FLOAT32, coarse, 1, 0.2, Prediction.VELOCITY, 0.5));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void fit_followsTheReference(Case c) {
    float[] image = floats(new Random(1), 1);
    float[] scale = floats(new Random(2), 0.5);
    float[] shift = floats(new Random(3), 0.5);
    float slope = 0.3f;
    Reference reference = new Reference(c, image, scale, shift, slope);
    List<Double> losses = new ArrayList<>();
    List<Double> norms = new ArrayList<>();
    try (AffineDenoiser network =
            new AffineDenoiser(c.compiled, c.type, IMAGE, scale, shift, slope);
        NDManager manager = NDManager.newBaseManager()) {
      float[] images = new float[BATCH * PIXELS];
      for (int i = 0; i < BATCH; i++) {
        System.arraycopy(image, 0, images, i * PIXELS, PIXELS);
      }
      ArrayDataset data =
          new ArrayDataset.Builder()
              .setData(manager.create(images, new Shape(BATCH).addAll(IMAGE)))
              .setSampling(1, false)
              .build();
      DDPM ddpm = DDPM.builder().denoiser(network).prediction(c.prediction).build();
      reference.run(ddpm.schedule());
      try (TrainingResult result =
          ddpm.training()
              .batchSize(BATCH)
              .accumulation(c.accumulation)
              .steps(STEPS)
              .optimizer(c.adam)
              .learningRate(0.01)
              .warmup(WARMUP)
              .gradientClip(c.clip)
              .ema(c.emaDecay)
              .seed(SEED)
              .listener(
                  event -> {
                    losses.add(event.loss());
                    norms.add(event.gradientNorm());
                  })
              .fit(data)) {
        double tolerance = c.type == Script.Type.FLOAT32 ? 2e-5 : 2e-2;
        Golden.assertClose("losses", doubles(losses), reference.losses, tolerance);
        Golden.assertClose("gradient norms", doubles(norms), reference.norms, tolerance);
        Golden.assertClose("weights", weights(network), reference.w, tolerance);
        AffineDenoiser averaged = (AffineDenoiser) result.ddpm().denoiser().orElseThrow();
        Golden.assertClose("averages", weights(averaged), reference.average, tolerance);
        assertThat(reference.w).isNotEqualTo(reference.start);
        if (c.clip < 1) {
          assertThat(Arrays.stream(reference.norms).filter(norm -> norm > c.clip).count())
              .as("steps that were clipped")
              .isPositive();
        }
      }
    }
  }

  @Test
  void fit_frozenWeight_refused() {
    try (AffineDenoiser network =
            new AffineDenoiser(true, IMAGE, new float[PIXELS], new float[PIXELS], 0);
        NDManager manager = NDManager.newBaseManager()) {
      network.weights().values().stream()
          .skip(1)
          .findFirst()
          .orElseThrow()
          .setRequiresGradient(false);
      ArrayDataset data =
          new ArrayDataset.Builder()
              .setData(manager.zeros(new Shape(BATCH).addAll(IMAGE)))
              .setSampling(1, false)
              .build();
      DDPM ddpm = DDPM.builder().denoiser(network).build();

      assertThatThrownBy(() -> ddpm.training().batchSize(BATCH).steps(1).fit(data))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "all weights must require gradients to be trained, but shift does not; call"
                  + " freezeParameters(false) or setRequiresGradient(true)");
    }
  }

  private static double[] doubles(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).toArray();
  }

  private static double[] weights(AffineDenoiser network) {
    double[] all = new double[2 * PIXELS + 1];
    int i = 0;
    for (String name : network.weights().keySet()) {
      for (float value : network.values(name)) {
        all[i++] = value;
      }
    }
    return all;
  }

  private static float[] floats(Random random, double scale) {
    float[] values = new float[PIXELS];
    for (int i = 0; i < PIXELS; i++) {
      values[i] = (float) (scale * (2 * random.nextDouble() - 1));
    }
    return values;
  }

  /** Scale, shift and slope in one row. */
  private static final class Reference {
    final double[] losses = new double[STEPS];
    final double[] norms = new double[STEPS];
    final double[] w = new double[2 * PIXELS + 1];
    final double[] average;
    final double[] start;
    private final Case c;
    private final float[] image;

    Reference(Case c, float[] image, float[] scale, float[] shift, float slope) {
      this.c = c;
      this.image = image;
      for (int p = 0; p < PIXELS; p++) {
        w[p] = scale[p];
        w[PIXELS + p] = shift[p];
      }
      w[2 * PIXELS] = slope;
      average = w.clone();
      start = w.clone();
    }

    void run(Schedule schedule) {
      double[] m = new double[w.length];
      double[] v = new double[w.length];
      for (int s = 1; s <= STEPS; s++) {
        double[] g = new double[w.length];
        for (int i = 0; i < c.accumulation; i++) {
          losses[s - 1] += batch(schedule, (long) (s - 1) * c.accumulation + i, g);
        }
        double norm = Math.sqrt(Arrays.stream(g).map(x -> x * x).sum());
        norms[s - 1] = norm;
        double rate = 0.01 * Math.min(1, (double) s / WARMUP);
        double shrink = Math.min(1, c.clip / norm);
        Adam adam = c.adam;
        double correction = 1 - Math.pow(adam.beta2(), s);
        double decay = Math.min(c.emaDecay, (1.0 + s) / (10.0 + s));
        for (int k = 0; k < w.length; k++) {
          double gradient = shrink * g[k];
          m[k] = adam.beta1() * m[k] + (1 - adam.beta1()) * gradient;
          v[k] = adam.beta2() * v[k] + (1 - adam.beta2()) * gradient * gradient;
          double mean = m[k] / (1 - Math.pow(adam.beta1(), s));
          w[k] -= rate * adam.weightDecay() * w[k];
          w[k] -=
              adam.epsilonPlacement() == EpsilonPlacement.AFTER_CORRECTION
                  ? rate * mean / (Math.sqrt(v[k] / correction) + adam.epsilon())
                  : rate * Math.sqrt(correction) * mean / (Math.sqrt(v[k]) + adam.epsilon());
          average[k] = decay * average[k] + (1 - decay) * w[k];
        }
      }
    }

    /** Adds the gradient of one batch, and returns its share of the loss. */
    private double batch(Schedule schedule, long pass, double[] g) {
      UniformRandomProvider draw =
          CounterRandom.of(SEED, CounterRandom.Stream.TIMESTEPS).at(pass, 0);
      double share = 1.0 / (BATCH * PIXELS * c.accumulation);
      double loss = 0;
      for (int n = 0; n < BATCH; n++) {
        int t = draw.nextInt(schedule.timesteps());
        double[] epsilon = new double[PIXELS];
        CounterRandom.of(SEED, CounterRandom.Stream.TRAINING_NOISE).normal(pass, n, epsilon);
        LinearForm form = c.prediction.target(schedule, t, schedule.signal(t), schedule.noise(t));
        double time = t / AffineDenoiser.TIME_UNIT;
        for (int p = 0; p < PIXELS; p++) {
          double x = schedule.signal(t) * image[p] + schedule.noise(t) * epsilon[p];
          double target = form.first() * image[p] + form.second() * epsilon[p];
          double error = w[p] * x + w[PIXELS + p] + w[2 * PIXELS] * time - target;
          loss += share * error * error;
          g[p] += 2 * share * error * x;
          g[PIXELS + p] += 2 * share * error;
          g[2 * PIXELS] += 2 * share * error * time;
        }
      }
      return loss;
    }
  }
}
