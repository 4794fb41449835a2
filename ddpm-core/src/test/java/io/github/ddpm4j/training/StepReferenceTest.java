package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.AdamOptimizer.EpsilonPlacement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.commons.rng.UniformRandomProvider;
import org.apache.commons.rng.sampling.distribution.ZigguratSampler;
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
      DataType type,
      AdamOptimizer adam,
      int accumulation,
      double clip,
      Prediction prediction,
      double emaDecay,
      Options options) {

    Case(
        boolean compiled,
        DataType type,
        AdamOptimizer adam,
        int accumulation,
        double clip,
        Prediction prediction,
        double emaDecay) {
      this(compiled, type, adam, accumulation, clip, prediction, emaDecay, Options.NONE);
    }

    static Case of(boolean compiled, int accumulation, Prediction prediction, Options options) {
      return new Case(
          compiled,
          DataType.FLOAT32,
          AdamOptimizer.PAPER,
          accumulation,
          1,
          prediction,
          0.9,
          options);
    }
  }

  /** What the objective is besides the mean of squares at timesteps drawn evenly. */
  record Options(
      int timesteps,
      Weighting weighting,
      TimestepSampler sampler,
      double offset,
      double perturbation) {

    static final Options NONE =
        new Options(1000, Weighting.uniform(), TimestepSampler.uniform(), 0, 0);
    static final Options MIN_SNR =
        new Options(1000, Weighting.minSnr(5), TimestepSampler.uniform(), 0, 0);
    static final Options NOISES =
        new Options(1000, Weighting.uniform(), TimestepSampler.uniform(), 0.3, 0.2);
    static final Options SECOND_MOMENT =
        new Options(7, Weighting.p2(1, 0.5), TimestepSampler.lossSecondMoment(2, 0.01), 0, 0);
    static final Options LOG_NORMAL =
        new Options(1000, Weighting.truncatedSnr(), TimestepSampler.logNormal(-1.2, 1.2), 0, 0);
    static final Options LOGIT_NORMAL =
        new Options(500, Weighting.minSnr(5), TimestepSampler.logitNormal(0.3, 1.1), 0, 0.1);
  }

  static Stream<Case> cases() {
    AdamOptimizer torch = AdamOptimizer.adamW(0.05);
    AdamOptimizer coarse =
        new AdamOptimizer(0.8, 0.95, 1e-2, 0.02, EpsilonPlacement.BEFORE_CORRECTION);
    AdamOptimizer coarseTorch =
        new AdamOptimizer(0.8, 0.95, 1e-2, 0, EpsilonPlacement.AFTER_CORRECTION);
    return Stream.of(
        new Case(true, DataType.FLOAT32, AdamOptimizer.PAPER, 1, 1, Prediction.EPSILON, 0.9),
        new Case(true, DataType.FLOAT32, torch, 1, 0.05, Prediction.EPSILON, 0.9999),
        new Case(true, DataType.FLOAT32, coarse, 1, Double.POSITIVE_INFINITY, Prediction.X0, 0),
        new Case(true, DataType.FLOAT32, coarseTorch, 1, 0.2, Prediction.VELOCITY, 0.5),
        new Case(true, DataType.FLOAT32, torch, 3, 0.1, Prediction.PREVIOUS_MEAN, 0.99),
        new Case(
            true, DataType.FLOAT32, coarse, 2, Double.POSITIVE_INFINITY, Prediction.EPSILON, 0.9),
        new Case(true, DataType.BFLOAT16, torch, 1, 0.05, Prediction.EPSILON, 0.9),
        new Case(true, DataType.BFLOAT16, torch, 3, 0.1, Prediction.VELOCITY, 0.99),
        new Case(
            true, DataType.BFLOAT16, coarse, 1, Double.POSITIVE_INFINITY, Prediction.EPSILON, 0),
        new Case(true, DataType.FLOAT16, torch, 1, 0.05, Prediction.EPSILON, 0.9),
        new Case(
            true, DataType.FLOAT16, coarse, 2, Double.POSITIVE_INFINITY, Prediction.VELOCITY, 0),
        new Case(false, DataType.FLOAT32, AdamOptimizer.PAPER, 1, 1, Prediction.EPSILON, 0.9),
        new Case(false, DataType.FLOAT32, torch, 3, 0.1, Prediction.PREVIOUS_MEAN, 0.99),
        new Case(false, DataType.FLOAT32, coarse, 1, 0.2, Prediction.VELOCITY, 0.5),
        Case.of(true, 1, Prediction.EPSILON, Options.MIN_SNR),
        Case.of(false, 2, Prediction.VELOCITY, Options.MIN_SNR),
        Case.of(true, 2, Prediction.EPSILON, Options.NOISES),
        Case.of(false, 1, Prediction.VELOCITY, Options.NOISES),
        Case.of(true, 1, Prediction.EPSILON, Options.SECOND_MOMENT),
        Case.of(true, 3, Prediction.PREVIOUS_MEAN, Options.SECOND_MOMENT),
        Case.of(false, 1, Prediction.X0, Options.SECOND_MOMENT),
        Case.of(true, 2, Prediction.VELOCITY, Options.LOG_NORMAL),
        Case.of(true, 1, Prediction.edm(0.5), Options.LOG_NORMAL),
        Case.of(true, 2, Prediction.edm(0.5), Options.NONE),
        Case.of(false, 1, Prediction.edm(0.5), Options.LOG_NORMAL),
        Case.of(false, 1, Prediction.X0, Options.LOG_NORMAL),
        Case.of(true, 1, Prediction.FLOW, Options.NONE),
        Case.of(true, 2, Prediction.FLOW, Options.LOGIT_NORMAL),
        Case.of(false, 1, Prediction.FLOW, Options.LOGIT_NORMAL));
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
      DDPM ddpm =
          DDPM.builder()
              .schedule(
                  c.prediction == Prediction.FLOW
                      ? Schedules.flow(c.options.timesteps, 3)
                      : Schedules.linear(c.options.timesteps))
              .denoiser(network)
              .prediction(c.prediction)
              .build();
      reference.run(ddpm.schedule());
      try (TrainedModel result =
          ddpm.training()
              .batchSize(BATCH)
              .weighting(c.options.weighting)
              .timestepSampler(c.options.sampler)
              .offsetNoise(c.options.offset)
              .inputPerturbation(c.options.perturbation)
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
        double tolerance = c.type == DataType.FLOAT32 ? 2e-5 : 2e-2;
        Golden.assertClose("losses", doubles(losses), reference.losses, tolerance);
        Golden.assertClose("gradient norms", doubles(norms), reference.norms, tolerance);
        Golden.assertClose("weights", weights(network), reference.w, tolerance);
        AffineDenoiser averaged = (AffineDenoiser) result.ddpm().denoiser().orElseThrow();
        Golden.assertClose("averages", weights(averaged), reference.average, tolerance);
        assertThat(reference.w).isNotEqualTo(reference.start);
        assertThat(reference.learned).isEqualTo(c.options.equals(Options.SECOND_MOMENT));
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

    /** The losses of each timestep, and those of the step that is being done. */
    private final Map<Integer, List<Double>> history = new HashMap<>();

    private final Map<Integer, List<Double>> told = new HashMap<>();
    boolean learned;
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
      for (int t = 0; t < c.options.timesteps; t++) {
        history.put(t, new ArrayList<>());
      }
    }

    void run(Schedule schedule) {
      double[] m = new double[w.length];
      double[] v = new double[w.length];
      for (int s = 1; s <= STEPS; s++) {
        double[] g = new double[w.length];
        for (int i = 0; i < c.accumulation; i++) {
          losses[s - 1] += batch(schedule, (long) (s - 1) * c.accumulation + i, g);
        }
        told.forEach((t, values) -> history.get(t).addAll(values));
        told.clear();
        double norm = Math.sqrt(Arrays.stream(g).map(x -> x * x).sum());
        norms[s - 1] = norm;
        double rate = 0.01 * Math.min(1, (double) s / WARMUP);
        double shrink = Math.min(1, c.clip / norm);
        AdamOptimizer adam = c.adam;
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
      ZigguratSampler.NormalizedGaussian normal = ZigguratSampler.NormalizedGaussian.of(draw);
      double loss = 0;
      for (int n = 0; n < BATCH; n++) {
        double t;
        double signal;
        double noise;
        double importance = 1;
        if (c.options.equals(Options.LOG_NORMAL)) {
          double least = 1 / Math.sqrt(schedule.snr(0));
          double sigma = Math.max(least, Math.exp(-1.2 + 1.2 * normal.sample()));
          t = timestepOf(schedule, sigma);
          signal = 1 / Math.sqrt(1 + sigma * sigma);
          noise = sigma * signal;
        } else {
          double[] p = probabilities(schedule.timesteps());
          int drawn;
          if (c.options.equals(Options.LOGIT_NORMAL)) {
            double odds = Math.exp(0.3 + 1.1 * normal.sample());
            drawn = (int) Math.floor(schedule.timesteps() * odds / (1 + odds));
          } else if (p.length == 0) {
            drawn = draw.nextInt(schedule.timesteps());
          } else {
            drawn = pick(p, draw.nextDouble());
          }
          importance = p.length == 0 ? 1 : 1 / (p.length * p[drawn]);
          t = drawn;
          signal = schedule.signal(drawn);
          noise = schedule.noise(drawn);
        }
        double weight =
            c.options.weighting.factor(c.prediction, schedule, new Level(t, signal, noise));
        double[] epsilon = drawn(CounterRandom.Stream.TRAINING_NOISE, pass, n, PIXELS);
        double[] offset = drawn(CounterRandom.Stream.OFFSET_NOISE, pass, n, 2);
        double[] further = drawn(CounterRandom.Stream.INPUT_PERTURBATION, pass, n, PIXELS);
        LinearForm form = c.prediction.target(schedule, new Level(t, signal, noise));
        boolean edm = c.prediction.sigmaData().isPresent();
        double seen = edm ? 1 / Math.sqrt(noise * noise + 0.25 * signal * signal) : 1;
        double ofFlow = 1000 * noise / (noise + signal);
        double asked = c.prediction == Prediction.FLOW ? ofFlow : t;
        double time = (edm ? Math.log(noise / signal) / 4 : asked) / AffineDenoiser.TIME_UNIT;
        double own = 0;
        for (int p = 0; p < PIXELS; p++) {
          double e = epsilon[p] + c.options.offset * offset[p / (PIXELS / 2)];
          double xt = signal * image[p] + noise * (e + c.options.perturbation * further[p]);
          double x = seen * xt;
          double target = form.first() * image[p] + form.second() * e;
          double error = w[p] * x + w[PIXELS + p] + w[2 * PIXELS] * time - target;
          own += weight * error * error / PIXELS;
          double slope = 2 * weight * importance * error / (BATCH * PIXELS * c.accumulation);
          g[p] += slope * x;
          g[PIXELS + p] += slope;
          g[2 * PIXELS] += slope * time;
        }
        loss += importance * own / (BATCH * c.accumulation);
        told.computeIfAbsent((int) t, key -> new ArrayList<>()).add(own);
      }
      return loss;
    }

    private static double[] drawn(CounterRandom.Stream stream, long pass, int place, int count) {
      double[] values = new double[count];
      CounterRandom.of(SEED, stream).normal(pass, place, values);
      return values;
    }

    private static int pick(double[] p, double uniform) {
      double sum = 0;
      for (int t = 0; t < p.length; t++) {
        sum += p[t];
        if (uniform < sum) {
          return t;
        }
      }
      return p.length - 1;
    }

    /** p_t of the last two losses of each timestep; none until all have them. */
    private double[] probabilities(int timesteps) {
      if (!c.options.equals(Options.SECOND_MOMENT)
          || IntStream.range(0, timesteps).anyMatch(t -> history.get(t).size() < 2)) {
        return new double[0];
      }
      learned = true;
      double[] p = new double[timesteps];
      for (int t = 0; t < timesteps; t++) {
        List<Double> all = history.get(t);
        double last = all.get(all.size() - 1);
        double before = all.get(all.size() - 2);
        p[t] = Math.sqrt((last * last + before * before) / 2);
      }
      double sum = Arrays.stream(p).sum();
      return Arrays.stream(p).map(x -> 0.99 * x / sum + 0.01 / timesteps).toArray();
    }

    private static double timestepOf(Schedule schedule, double sigma) {
      int t = 0;
      while (-Math.log(schedule.snr(t + 1)) / 2 < Math.log(sigma)) {
        t++;
      }
      double below = -Math.log(schedule.snr(t)) / 2;
      return t + (Math.log(sigma) - below) / (-Math.log(schedule.snr(t + 1)) / 2 - below);
    }
  }
}
