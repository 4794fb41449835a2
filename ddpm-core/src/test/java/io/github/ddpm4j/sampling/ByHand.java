package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntToDoubleFunction;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A run in plain numbers, one image at a time: it knows of no batch, so that what an image gets
 * from another place in a batch, or from another batch, shows.
 *
 * <p>The network is f(x, t, c) = 0.3 x + 0.1 sin(2 x) + 0.2 sin(t / 100) + c, with c what
 * conditions add in a pixel: 0.1 (label + 1) + 0.15 vector + 0.1 image + 0.05 Σ_s (s + 1) token_s
 * of the context + 0.2 (x̂_0 of the row before). It may say a variance too, 0.5 sin(x + c).
 */
final class ByHand {

  /** An image after a row, and x̂_0 of the row. */
  record State(List<Double> x, List<Double> x0) {}

  /** w (out(c) − out(∅)) where the level lies in the interval; the run's own c where it is null. */
  @SuppressWarnings("ArrayRecordComponent")
  record Pull(double @Nullable [][] towards, double scale, double least, double greatest) {
    boolean isActive(double sigma) {
      return sigma > least && sigma <= greatest;
    }
  }

  /** What known pixels become after each row. */
  @SuppressWarnings("ArrayRecordComponent")
  record Known(double[][] images, double[][] mask) {}

  private ByHand() {}

  /* --- the network --- */

  /**
   * The network on arrays.
   *
   * @param conditionKinds what it looks at
   */
  record Network(Set<Kind> conditionKinds, boolean predictsVariance) implements Denoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      NDArray added = column(x, levels, i -> 0);
      if (condition.has(Kind.LABELS)) {
        added =
            added.add(
                column(x, levels, i -> 0.1 * (condition.label(i).orElse(Condition.ABSENT) + 1)));
      }
      if (condition.has(Kind.VECTORS)) {
        NDArray vectors = condition.array(Kind.VECTORS, x.getManager());
        added = added.add(vectors.toType(x.getDataType(), false).reshape(-1, 1, 1, 1).mul(0.15));
      }
      if (condition.has(Kind.IMAGES)) {
        NDArray images = condition.array(Kind.IMAGES, x.getManager());
        added = added.add(images.toType(x.getDataType(), false).mul(0.1));
      }
      if (condition.has(Kind.CONTEXTS)) {
        NDArray contexts =
            condition.array(Kind.CONTEXTS, x.getManager()).toType(x.getDataType(), false);
        NDArray places =
            x.getManager()
                .arange(1f, contexts.getShape().get(1) + 1f)
                .toType(x.getDataType(), false)
                .reshape(1, -1, 1);
        NDArray sums = contexts.mul(places).sum(new int[] {1, 2});
        added = added.add(sums.reshape(-1, 1, 1, 1).mul(0.05));
      }
      if (condition.has(Kind.PREVIOUS_X0)) {
        NDArray before = condition.array(Kind.PREVIOUS_X0, x.getManager());
        added = added.add(before.toType(x.getDataType(), false).mul(0.2));
      }
      NDArray said =
          x.mul(0.3)
              .add(x.mul(2).sin().mul(0.1))
              .add(column(x, levels, i -> 0.2 * Math.sin(levels.timestep(i) / 100)))
              .add(added);
      return predictsVariance ? said.concat(x.add(added).sin().mul(0.5), 1) : said;
    }

    private static NDArray column(NDArray x, NoiseLevels levels, IntToDoubleFunction value) {
      return PerImage.column(x, IntStream.range(0, levels.size()).mapToDouble(value).toArray());
    }
  }

  private static double said(double x, double timestep, double added) {
    return 0.3 * x + 0.1 * Math.sin(2 * x) + 0.2 * Math.sin(timestep / 100) + added;
  }

  /* --- the loop --- */

  /** The terms of a run that are the same in every use. */
  static final class Terms {
    final Diffusion diffusion;
    boolean selfConditions;
    boolean learnsVariance;

    /** What the conditions of each image add, by pixel; of none, 0. */
    double[][] own = {};

    /** What conditions that are never dropped add, and contexts in place of others. */
    double[][] always = {};

    boolean hasOwn;
    List<Pull> pulls = new ArrayList<>();
    double rescale;

    /** ∇ ln p(y | x) = signal · (0.25 − x), times this. */
    double slope;

    double slopeUpTo = Double.POSITIVE_INFINITY;

    /** What is done to x̂_0 of an image. */
    UnaryOperator<double[]> limit = x0 -> each(x0, v -> Math.max(-1, Math.min(1, v)));

    Terms(Diffusion diffusion) {
      this.diffusion = diffusion;
    }

    /** The same, of no guidance: as encoding has it. */
    Terms unguided() {
      Terms terms = new Terms(diffusion);
      terms.selfConditions = selfConditions;
      terms.learnsVariance = learnsVariance;
      terms.own = own;
      terms.always = always;
      terms.hasOwn = hasOwn;
      terms.limit = limit;
      return terms;
    }
  }

  static double[] each(double[] values, DoubleUnaryOperator change) {
    return Arrays.stream(values).map(change).toArray();
  }

  /** Takes image k through a plan; the states after each row. */
  static List<State> follow(
      Terms terms,
      SamplingPlan plan,
      NoiseSource noise,
      int image,
      double[] start,
      @Nullable Known known) {
    int size = start.length;
    double[] x = start.clone();
    double[] before = new double[size];
    List<double[]> past = new ArrayList<>();
    List<State> states = new ArrayList<>();
    for (int row = 0; row < plan.steps().size(); row++) {
      SamplingPlan.Step step = plan.steps().get(row);
      double[] added = terms.selfConditions ? each(before, v -> 0.2 * (float) v) : new double[size];
      if (terms.always.length > 0) {
        for (int i = 0; i < size; i++) {
          added[i] += terms.always[image][i];
        }
      }
      double[] epsilon = new double[size];
      double[] variance = new double[size];
      double[] x0 = asked(terms, step, image, x, added, epsilon, variance);
      double[] limited = terms.limit.apply(x0);
      double[] next = new double[size];
      double[] z = new double[size];
      noise.normal(image, row + 1, z);
      for (int i = 0; i < size; i++) {
        next[i] = step.cX() * x[i] + step.cX0() * limited[i] + step.cEps() * epsilon[i];
        for (int k = 0; k < step.past().size(); k++) {
          next[i] += step.past().get(k) * (step.past().get(k) == 0 ? 0 : past.get(k)[i]);
        }
        double deviation = step.noiseHigh();
        if (step.learnsVariance() && terms.learnsVariance) {
          double share = (variance[i] + 1) / 2;
          deviation =
              Math.hypot(
                  Math.pow(step.noiseLow(), 1 - share) * Math.pow(step.noiseHigh(), share),
                  step.noiseBeside());
        }
        next[i] += deviation * z[i];
      }
      if (known != null) {
        keep(known, plan, noise, image, row, next);
      }
      past.add(0, plan.memory() == SamplingPlan.Memory.EPSILON ? epsilon : limited);
      x = next;
      before = limited;
      states.add(new State(list(next), list(limited)));
    }
    return states;
  }

  private static List<Double> list(double[] values) {
    return Arrays.stream(values).boxed().toList();
  }

  /** x = m (signal · known + noise · z) + (1 − m) x at the level that the row led to. */
  private static void keep(
      Known known, SamplingPlan plan, NoiseSource noise, int image, int row, double[] x) {
    boolean last = row == plan.steps().size() - 1;
    double signal = last ? 1 : plan.levelAfter(row).signal();
    double deviation = last ? 0 : plan.levelAfter(row).noise();
    double[] z = new double[x.length];
    noise.normal(image, (1L << 32) + row, z);
    for (int i = 0; i < x.length; i++) {
      double mask = known.mask[image][i % known.mask[image].length];
      double at = signal * known.images[image][i] + deviation * z[i];
      x[i] = mask * at + (1 - mask) * x[i];
    }
  }

  /** x̂_0 before any limit; ε̂ and what the network says of the variance are filled in. */
  private static double[] asked(
      Terms terms,
      SamplingPlan.Step step,
      int image,
      double[] x,
      double[] added,
      double[] epsilon,
      double[] variance) {
    double signal = step.signal();
    double noise = step.noise();
    double sigma = noise / signal;
    double own = terms.hasOwn ? 1 : 0;
    for (Pull pull : terms.pulls) {
      own = pull.towards == null && pull.isActive(sigma) ? 0 : own;
    }
    double[] first = terms.hasOwn ? terms.own[image] : new double[x.length];
    double[] out = new double[x.length];
    double[] conditional = new double[x.length];
    boolean edm = terms.diffusion.prediction().sigmaData().isPresent();
    double data = terms.diffusion.prediction().sigmaData().orElse(1);
    double seenBy = edm ? 1 / Math.hypot(noise, signal * data) : 1;
    double told = edm ? Math.log(sigma) / 4 : step.timestep();
    for (int i = 0; i < x.length; i++) {
      double seen = seenBy * x[i];
      double free = said(seen, told, added[i]);
      conditional[i] = free + first[i];
      out[i] = free + own * first[i];
      for (Pull pull : terms.pulls) {
        if (pull.isActive(sigma)) {
          out[i] += pull.scale * (pull.towards == null ? first[i] : pull.towards[image][i]);
        }
      }
      variance[i] = 0.5 * Math.sin(seen + added[i] + first[i]);
    }
    double[] x0 = x0(terms, step, x, out);
    for (int i = 0; i < x.length; i++) {
      epsilon[i] =
          switch (terms.diffusion.prediction().name()) {
            case "EPSILON" -> out[i];
            case "VELOCITY" -> noise * x[i] + signal * out[i];
            default -> (x[i] - signal * x0[i]) / noise;
          };
    }
    if (terms.rescale > 0) {
      double[] toBe = velocity(step, x, x0(terms, step, x, conditional));
      double[] v = velocity(step, x, x0);
      double factor = terms.rescale * deviation(toBe) / deviation(v) + 1 - terms.rescale;
      for (int i = 0; i < x.length; i++) {
        epsilon[i] = noise * x[i] + signal * factor * v[i];
      }
    }
    double slope = sigma <= terms.slopeUpTo ? terms.slope : 0;
    if (terms.rescale > 0 || slope != 0) {
      for (int i = 0; i < x.length; i++) {
        epsilon[i] -= slope * noise * signal * (0.25 - x[i]);
        x0[i] = (x[i] - noise * epsilon[i]) / signal;
      }
    }
    return x0;
  }

  private static double[] velocity(SamplingPlan.Step step, double[] x, double[] x0) {
    double[] v = new double[x.length];
    // v = signal · ε − noise · x_0
    Arrays.setAll(v, i -> (step.signal() * x[i] - x0[i]) / step.noise());
    return v;
  }

  private static double deviation(double[] values) {
    double mean = Arrays.stream(values).average().orElseThrow();
    return Math.sqrt(Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum() / values.length);
  }

  private static double[] x0(Terms terms, SamplingPlan.Step step, double[] x, double[] out) {
    double signal = step.signal();
    double noise = step.noise();
    double data = terms.diffusion.prediction().sigmaData().orElse(1);
    double sigma = noise / signal;
    double[] x0 = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      x0[i] =
          switch (terms.diffusion.prediction().name()) {
            case "EPSILON" -> (x[i] - noise * out[i]) / signal;
            case "X0" -> out[i];
            case "VELOCITY" -> signal * x[i] - noise * out[i];
            // c_skip y + c_out F of y = x / signal (Karras et al. 2022, table 1)
            default ->
                data * data / (sigma * sigma + data * data) * (x[i] / signal)
                    + sigma * data / Math.hypot(sigma, data) * out[i];
          };
    }
    return x0;
  }
}
