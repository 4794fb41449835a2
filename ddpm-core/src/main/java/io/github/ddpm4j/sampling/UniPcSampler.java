package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * UniPC (Zhao et al. 2023, algorithms 5 to 8, in x̂_0): a multistep predictor whose result is
 * corrected with the network's next output, at no extra network call.
 *
 * <p>For the step from s to t of order p, with λ = ln(α / σ), h = λ_t − λ_s, m_k the denoised
 * estimate x̂_0 from k calls ago, r_k = (λ_{s−k} − λ_s) / h and D_k = (m_k − m_0) / r_k,
 *
 * <pre>
 *   predictor   x_t  = σ_t/σ_s · x − α_t (e^−h − 1) m_0 − α_t B Σ_{k&lt;p} ρ_k D_k
 *   corrector   x_t* = σ_t/σ_s · x − α_t (e^−h − 1) m_0 − α_t B (Σ_{k&lt;p} ρ*_k D_k + ρ*_p (m_t − m_0))
 *   B = −h (bh1)  or  e^−h − 1 (bh2)
 * </pre>
 *
 * <p>ρ and ρ* solve Σ_k r_k^(i−1) ρ_k = b_i for i below p and up to p, where b_i = i! φ_{i+1}(−h) ·
 * (−h) / B; ρ = ½ for the predictor of order 2 and ρ* = ½ for the corrector of order 1. The
 * corrector's change x_t* − x_t is linear in the estimates, so it is part of the row of the next
 * predictor. The step that ends at the image has order 1. Immutable.
 */
public final class UniPcSampler extends LevelOptions<UniPcSampler> {

  private static final int DEFAULT_ORDER = 2;

  private final int order;
  private final boolean bh1;
  private final boolean lowerOrderFinal;

  private UniPcSampler(LevelGrid grid, int order, boolean bh1, boolean lowerOrderFinal) {
    super(grid);
    this.order = order;
    this.bh1 = bh1;
    this.lowerOrderFinal = lowerOrderFinal;
  }

  static UniPcSampler of(int steps) {
    return new UniPcSampler(
        LevelGrid.of(steps, TimestepSpacing.LINSPACE, null, true), DEFAULT_ORDER, false, true);
  }

  @Override
  UniPcSampler with(LevelGrid changed) {
    return new UniPcSampler(changed, order, bh1, lowerOrderFinal);
  }

  /**
   * The order of the predictor; the corrector's is one higher.
   *
   * @param order 1, 2 (the default) or 3
   * @return a sampler of this order
   * @throws IllegalArgumentException if {@code order} is none of these
   */
  public UniPcSampler order(int order) {
    DpmSolverSampler.requireOrder(order);
    return new UniPcSampler(grid(), order, bh1, lowerOrderFinal);
  }

  /**
   * The function B that scales the differences.
   *
   * @param bh1 true for B = −h, intended for unguided sampling with few steps; the default is e^−h
   *     − 1
   * @return a sampler with this setting
   */
  public UniPcSampler bh1(boolean bh1) {
    return new UniPcSampler(grid(), order, bh1, lowerOrderFinal);
  }

  /**
   * Whether the order decreases to 1 over the last steps.
   *
   * @param lower true (the default) for more stable results with few steps
   * @return a sampler with this setting
   */
  public UniPcSampler lowerOrderFinal(boolean lower) {
    return new UniPcSampler(grid(), order, bh1, lower);
  }

  @Override
  SamplingPlan plan(Diffusion diffusion, List<Level> levels, boolean fromNoise) {
    int steps = levels.size() - 1;
    List<SamplingPlan.Step> rows = new ArrayList<>(steps);
    for (int i = 0; i < steps; i++) {
      rows.add(row(levels, i, fromNoise));
    }
    Level end = levels.get(steps);
    return SamplingPlan.fromNoise(rows, SamplingPlan.Memory.X0, end);
  }

  private int orderOf(List<Level> levels, int i, boolean fromNoise) {
    int left = levels.size() - 1 - i;
    if (levels.get(i + 1).noise() == 0) {
      return 1;
    }
    int possible = Math.min(order, 1 + LevelGrid.history(levels, i, fromNoise));
    return lowerOrderFinal ? Math.min(possible, left) : possible;
  }

  private SamplingPlan.Step row(List<Level> levels, int i, boolean fromNoise) {
    Level s = levels.get(i);
    Level t = levels.get(i + 1);
    double cX = t.noise() / s.noise();
    // 1. the predictor
    int predicting = orderOf(levels, i, fromNoise);
    double[] estimates = new double[order + 2];
    estimates[0] = t.signal() * (1 - s.ratioTo(t));
    if (predicting > 1) {
      Step step = new Step(levels, i, predicting);
      addDifferences(estimates, 0, step.ratios, step.predictor(), -step.scale);
    }
    // 2. the correction of x, which stands where the step before ended
    if (i > 0 && levels.get(i - 1).signal() > 0 && cX > 0) {
      int corrected = orderOf(levels, i - 1, fromNoise);
      Step step = new Step(levels, i - 1, corrected);
      double[] predictor = step.predictor();
      double[] corrector = step.corrector();
      double[] change = new double[corrected - 1];
      Arrays.setAll(change, k -> predictor[k] - corrector[k]);
      addDifferences(estimates, 1, step.ratios, change, cX * step.scale);
      double newest = cX * step.scale * corrector[corrected - 1];
      estimates[0] -= newest;
      estimates[1] += newest;
    }
    int depth = estimates.length;
    while (depth > 1 && estimates[depth - 1] == 0) {
      depth--;
    }
    return new SamplingPlan.Step(
        s, cX, estimates[0], 0, Arrays.stream(estimates, 1, depth).boxed().toList(), 0);
  }

  /** Adds scale · Σ weights_k (m_k − m_0) / r_k, where m_0 is the estimate of so many calls ago. */
  private static void addDifferences(
      double[] estimates, int newest, double[] ratios, double[] weights, double scale) {
    for (int k = 0; k < weights.length; k++) {
      double factor = scale * weights[k] / ratios[k];
      estimates[newest + k + 1] += factor;
      estimates[newest] -= factor;
    }
  }

  /** The coefficients of one step from a level to the next. */
  private final class Step {
    /** r_1 … r_{p−1}, and 1 for the end of the step. */
    private final double[] ratios;

    private final double[] b;

    /** α_t B. */
    private final double scale;

    Step(List<Level> levels, int i, int order) {
      double lambda = levels.get(i).lambda();
      double h = levels.get(i + 1).lambda() - lambda;
      double base = bh1 ? -h : Math.expm1(-h);
      scale = levels.get(i + 1).signal() * base;
      ratios = new double[order];
      Arrays.setAll(
          ratios, k -> k == order - 1 ? 1 : (levels.get(i - k - 1).lambda() - lambda) / h);
      b = new double[order];
      double phi = Math.expm1(-h) / -h - 1;
      double factorial = 1;
      for (int k = 0; k < order; k++) {
        b[k] = phi * factorial / base;
        factorial *= k + 2;
        phi = phi / -h - 1 / factorial;
      }
    }

    double[] predictor() {
      return ratios.length == 2 ? new double[] {0.5} : solve(ratios.length - 1);
    }

    double[] corrector() {
      return ratios.length == 1 ? new double[] {0.5} : solve(ratios.length);
    }

    /** Solves Σ_k r_k^i ρ_k = b_i for i below size, a Vandermonde system, by elimination. */
    private double[] solve(int size) {
      double[][] rows = new double[size][size + 1];
      for (int i = 0; i < size; i++) {
        for (int k = 0; k < size; k++) {
          rows[i][k] = Math.pow(ratios[k], i);
        }
        rows[i][size] = b[i];
      }
      for (int pivot = 0; pivot < size; pivot++) {
        for (int i = pivot + 1; i < size; i++) {
          double factor = rows[i][pivot] / rows[pivot][pivot];
          for (int k = pivot; k <= size; k++) {
            rows[i][k] -= factor * rows[pivot][k];
          }
        }
      }
      double[] solution = new double[size];
      for (int i = size - 1; i >= 0; i--) {
        double rest = rows[i][size];
        for (int k = i + 1; k < size; k++) {
          rest -= rows[i][k] * solution[k];
        }
        solution[i] = rest / rows[i][i];
      }
      return solution;
    }
  }

  @Override
  public String toString() {
    return grid()
        .text("unipc")
        .number("order", order, DEFAULT_ORDER)
        .flag("bh1", bh1, false)
        .flag("lowerOrderFinal", lowerOrderFinal, true)
        .toString();
  }
}
