package io.github.ddpm4j.sampling;

import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * The noise of a plan's rows as increments of one Brownian path of each image, which does not
 * depend on the plan: plans of 20 and of 40 rows see the same noise, in larger and in smaller
 * pieces.
 *
 * <p>The exact solution of the reverse equation for a fixed x̂_0 (Lu et al. 2022b, section 5) from
 * level s to t adds, with λ = ln(α / σ),
 *
 * <pre>
 *   √2 σ_t ∫ e^(λ − λ_t) dω_λ = σ_t / √τ_t · (W(τ_t) − W(τ_s)),    dW = √2 e^λ dω_λ,    τ = e^(2λ)
 * </pre>
 *
 * <p>so that W is a Brownian motion in the signal-to-noise ratio τ = α² / σ². Its increments over
 * intervals that do not overlap are independent, of variance τ_t − τ_s, and
 *
 * <pre>
 *   z = (W(τ_t) − W(τ_s)) / √(τ_t − τ_s)
 * </pre>
 *
 * <p>is the N(0, 1) that the row takes, whatever factor it has. With it the noise of DDPM of the
 * small variance, of DDIM with η = 1, of Euler's ancestral method and of the stochastic solvers is
 * that integral exactly: where x̂_0 does not change, any number of rows gives one result.
 *
 * <p>A row that raises the noise (EDM's churn) does so before a step down to a next level, and
 * takes the increment of that step: with twice as many steps, each half of it.
 *
 * <p>W is a bridge that is halved in λ: its value in the middle m of [a, b] is
 *
 * <pre>
 *   W(m) = W(a) + (τ_m − τ_a) / (τ_b − τ_a) · (W(b) − W(a)) + √((τ_m − τ_a) (τ_b − τ_m) / (τ_b − τ_a)) z
 * </pre>
 *
 * <p>with a draw z of its own for every interval, so that W(τ) is a pure function of (noise, image,
 * τ). λ is rounded to 2⁻¹⁹ and kept in [−16, 16].
 */
final class NoisePath implements NoiseSource {

  /** Draws of the intervals, apart from those of rows and of known pixels. */
  private static final long FIRST_DRAW = 1L << 33;

  private static final double BOUND = 16;
  private static final int HALVINGS = 24;
  private static final long END = 1L << HALVINGS;

  private final NoiseSource source;
  private final List<Interval> rows;

  /** Where a row takes its increment; empty if it draws apart. */
  private record Interval(long from, long to) {
    boolean isEmpty() {
      return from == to;
    }
  }

  private NoisePath(NoiseSource source, List<Interval> rows) {
    this.source = source;
    this.rows = List.copyOf(rows);
  }

  /**
   * The noise of the rows of a plan; all other draws are those of the source.
   *
   * @param sampler whose plan it is, for messages
   * @throws IllegalArgumentException if rows with noise go over the same levels twice
   */
  static NoisePath along(SamplingPlan plan, Object sampler, NoiseSource source) {
    List<Interval> intervals = new ArrayList<>();
    long reached = 0;
    for (int i = 0; i < plan.steps().size(); i++) {
      long from = 0;
      long to = 0;
      if (plan.steps().get(i).noiseHigh() != 0) {
        from = place(plan.steps().get(i).level());
        to = place(plan.levelAfter(i));
        if (to < from) {
          to = i + 1 < plan.steps().size() ? place(plan.levelAfter(i + 1)) : from;
        }
        if (from < reached || to < from) {
          throw new IllegalArgumentException(
              "one path of noise goes down the levels once, but row "
                  + i
                  + " of "
                  + sampler
                  + " adds noise where rows before it did; leave noisePath out, or take a sampler"
                  + " that does not go back");
        }
        reached = to;
      }
      intervals.add(new Interval(from, to));
    }
    return new NoisePath(source, intervals);
  }

  @Override
  public void normal(long image, long draw, double[] target) {
    if (draw < 1 || draw > rows.size() || rows.get((int) (draw - 1)).isEmpty()) {
      source.normal(image, draw, target);
      return;
    }
    Interval row = rows.get((int) (draw - 1));
    double[] start = new double[target.length];
    value(image, row.from, start);
    value(image, row.to, target);
    double scale = 1 / Math.sqrt(ratio(row.to) - ratio(row.from));
    for (int i = 0; i < target.length; i++) {
      target[i] = scale * (target[i] - start[i]);
    }
  }

  /** The place of a level on the path, from 0 where there is no signal. */
  static long place(Level level) {
    double share = (level.lambda() + BOUND) / (2 * BOUND);
    return Math.round(END * Math.max(0, Math.min(1, share)));
  }

  /** τ at a place. */
  static double ratio(long place) {
    return place == 0 ? 0 : Math.exp(2 * (2 * BOUND * place / END - BOUND));
  }

  /** Fills {@code target} with W at a place. */
  void value(long image, long place, double[] target) {
    double[] z = new double[target.length];
    double[] left = new double[target.length];
    double[] right = new double[target.length];
    source.normal(image, FIRST_DRAW, right);
    times(right, Math.sqrt(ratio(END)));
    long from = 0;
    long to = END;
    long interval = 1;
    while (from < place && place < to) {
      long middle = (from + to) / 2;
      double before = ratio(middle) - ratio(from);
      double after = ratio(to) - ratio(middle);
      double share = before / (before + after);
      double deviation = Math.sqrt(share * after);
      source.normal(image, FIRST_DRAW + interval, z);
      boolean goesLeft = place < middle;
      double[] moved = goesLeft ? right : left;
      for (int i = 0; i < z.length; i++) {
        moved[i] = left[i] + share * (right[i] - left[i]) + deviation * z[i];
      }
      from = goesLeft ? from : middle;
      to = goesLeft ? middle : to;
      interval = 2 * interval + (goesLeft ? 0 : 1);
    }
    System.arraycopy(place == from ? left : right, 0, target, 0, target.length);
  }

  private static void times(double[] values, double factor) {
    for (int i = 0; i < values.length; i++) {
      values[i] *= factor;
    }
  }
}
