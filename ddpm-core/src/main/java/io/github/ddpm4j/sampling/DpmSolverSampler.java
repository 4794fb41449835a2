package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Multistep DPM-Solver (Lu et al. 2022a) and DPM-Solver++ (Lu et al. 2022b), orders 1 to 3.
 *
 * <p>With λ = ln(α / σ) of a level, h = λ_t − λ_s for the step from s to t, and m the estimate
 * stored by each network call, from which
 *
 * <pre>
 *   r_0 = h_0 / h,   r_1 = h_1 / h        (h_0, h_1: the steps before)
 *   D1_0 = (m_0 − m_1) / r_0,   D1_1 = (m_1 − m_2) / r_1
 *   D1   = D1_0 (order 2),   D1_0 + r_0 / (r_0 + r_1) · (D1_0 − D1_1) (order 3)
 *   D2   = (D1_0 − D1_1) / (r_0 + r_1)
 * </pre>
 *
 * are h and h² / 2 times the first and second derivatives of m with respect to λ, a step is
 *
 * <pre>
 *   DPM-Solver++, m = x̂_0 (2022b, algorithm 2):
 *     x' = σ_t/σ_s · x − α_t (e^−h − 1) m_0 + c_1 D1 + c_2 D2
 *     c_1 = −½ α_t (e^−h − 1) (midpoint)  or  α_t ((e^−h − 1)/h + 1) (Heun, and order 3)
 *     c_2 = −2 α_t ((e^−h − 1 + h)/h² − ½)
 *   stochastic (2022b, section 5):
 *     x' = σ_t/σ_s e^−h · x + α_t (1 − e^−2h) m_0 + c_1 D1 + c_2 D2 + σ_t √(1 − e^−2h) z
 *     c_1 = ½ α_t (1 − e^−2h)  or  α_t (1 − (1 − e^−2h)/(2h))
 *     c_2 = 2 α_t ((1 − e^−2h − 2h)/(2h)² + ½)
 *   DPM-Solver, m = ε̂ (2022a, section 3):
 *     x' = α_t/α_s · x − σ_t (e^h − 1) m_0 + c_1 D1 + c_2 D2
 *     c_1 = −½ σ_t (e^h − 1)  or  −σ_t ((e^h − 1)/h − 1)
 *     c_2 = −2 σ_t ((e^h − 1 − h)/h² − ½)
 * </pre>
 *
 * <p>The factor 2 in c_2 is missing from the published multistep code, which therefore has only
 * order 2; its stochastic variant also has −½ instead of +½. {@link #published(boolean)} reproduces
 * that code. The first steps are limited in order by the number of stored estimates; the step that
 * ends at the image has order 1. Immutable.
 */
public final class DpmSolverSampler extends LevelOptions<DpmSolverSampler> {

  private static final int DEFAULT_ORDER = 2;

  /** Below this many steps {@link #lowerOrderFinal} acts. */
  private static final int FEW_STEPS = 15;

  /**
   * Below this signal of the first level, {@link Form#EPSILON} multiplies errors by its inverse.
   */
  private static final double LEAST_SIGNAL = 0.001;

  private final Options options;

  private enum Form {
    EPSILON,
    X0,
    STOCHASTIC
  }

  private record Options(
      Form form,
      int order,
      boolean heun,
      boolean published,
      boolean lowerOrderFinal,
      boolean eulerAtFinal) {}

  private DpmSolverSampler(LevelGrid grid, Options options) {
    super(grid);
    this.options = options;
  }

  static DpmSolverSampler plusPlus(int steps) {
    return of(steps, Form.X0);
  }

  static DpmSolverSampler epsilon(int steps) {
    return of(steps, Form.EPSILON);
  }

  private static DpmSolverSampler of(int steps, Form form) {
    return new DpmSolverSampler(
        LevelGrid.of(steps, TimestepSpacing.LINSPACE, null, true),
        new Options(form, DEFAULT_ORDER, false, false, true, false));
  }

  @Override
  DpmSolverSampler with(LevelGrid changed) {
    return new DpmSolverSampler(changed, options);
  }

  private DpmSolverSampler with(Options changed) {
    return new DpmSolverSampler(grid(), changed);
  }

  /**
   * The order of the solver: 2 for guided sampling, 3 for unguided sampling.
   *
   * @param order 1, 2 (the default) or 3
   * @return a sampler of this order
   * @throws IllegalArgumentException if {@code order} is none of these
   */
  public DpmSolverSampler order(int order) {
    requireOrder(order);
    return with(
        new Options(
            options.form,
            order,
            options.heun,
            options.published,
            options.lowerOrderFinal,
            options.eulerAtFinal));
  }

  /**
   * The treatment of the derivative in steps of order 2.
   *
   * @param heun true for the exact integral, known as Heun; the default is the midpoint rule
   * @return a sampler with this setting
   */
  public DpmSolverSampler heun(boolean heun) {
    return with(
        new Options(
            options.form,
            options.order,
            heun,
            options.published,
            options.lowerOrderFinal,
            options.eulerAtFinal));
  }

  /**
   * Whether to solve the SDE, adding fresh noise at each step.
   *
   * @param stochastic true for SDE-DPM-Solver++; the default is false
   * @return a sampler with this setting
   * @throws IllegalArgumentException if true and this is the solver in ε
   */
  public DpmSolverSampler stochastic(boolean stochastic) {
    if (options.form == Form.EPSILON) {
      if (!stochastic) {
        return this;
      }
      throw new IllegalArgumentException("dpmSolver has no stochastic form; use dpmSolverPlusPlus");
    }
    return with(
        new Options(
            stochastic ? Form.STOCHASTIC : Form.X0,
            options.order,
            options.heun,
            options.published,
            options.lowerOrderFinal,
            options.eulerAtFinal));
  }

  /**
   * Whether steps of order 3 match the published code, for comparison.
   *
   * @param published true for the published coefficient; the default is that of the exact integral
   * @return a sampler with this setting
   */
  public DpmSolverSampler published(boolean published) {
    return with(
        new Options(
            options.form,
            options.order,
            options.heun,
            published,
            options.lowerOrderFinal,
            options.eulerAtFinal));
  }

  /**
   * Whether, with fewer than 15 steps, the last step has order 1 and the one before at most 2.
   *
   * @param lower true (the default) for more stable results with few steps
   * @return a sampler with this setting
   */
  public DpmSolverSampler lowerOrderFinal(boolean lower) {
    return with(
        new Options(
            options.form,
            options.order,
            options.heun,
            options.published,
            lower,
            options.eulerAtFinal));
  }

  /**
   * Whether the last step has order 1 regardless of the number of steps.
   *
   * @param euler true for order 1; the default is false. A step to the image always has order 1
   * @return a sampler with this setting
   */
  public DpmSolverSampler eulerAtFinal(boolean euler) {
    return with(
        new Options(
            options.form,
            options.order,
            options.heun,
            options.published,
            options.lowerOrderFinal,
            euler));
  }

  static void requireOrder(int order) {
    if (order < 1 || order > 3) {
      throw new IllegalArgumentException("order must be 1, 2 or 3, but was " + order);
    }
  }

  @Override
  SamplingPlan plan(Diffusion diffusion, List<Level> levels, boolean fromNoise) {
    if (options.form == Form.EPSILON) {
      requireSignal(levels.get(0));
    }
    int steps = levels.size() - 1;
    List<SamplingPlan.Step> rows = new ArrayList<>(steps);
    for (int i = 0; i < steps; i++) {
      rows.add(row(levels, i, orderOf(levels, i, fromNoise)));
    }
    Level end = levels.get(steps);
    return SamplingPlan.fromNoise(
        rows,
        options.form == Form.EPSILON ? SamplingPlan.Memory.EPSILON : SamplingPlan.Memory.X0,
        end);
  }

  /** Steps in ε̂ divide by the signal, and clipping x̂_0 does not hold what comes of it. */
  private static void requireSignal(Level first) {
    if (first.signal() == 0) {
      throw new IllegalArgumentException(
          "dpmSolver needs some signal in its first level, but timestep "
              + (int) first.timestep()
              + " has none; use dpmSolverPlusPlus");
    }
    if (first.signal() < LEAST_SIGNAL) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "dpmSolver divides by the signal of its first level, which must be at least %s, but"
                  + " timestep %d has %.2g; use dpmSolverPlusPlus, or leave out levels of next to no"
                  + " signal by lambdaMin(-5.1)",
              LEAST_SIGNAL,
              (int) first.timestep(),
              first.signal()));
    }
  }

  private int orderOf(List<Level> levels, int i, boolean fromNoise) {
    int left = levels.size() - 1 - i;
    boolean few = options.lowerOrderFinal && levels.size() - 1 < FEW_STEPS;
    int order = Math.min(options.order, 1 + LevelGrid.history(levels, i, fromNoise));
    if (left == 1 && (few || options.eulerAtFinal || levels.get(i + 1).noise() == 0)) {
      return 1;
    }
    return left == 2 && few ? Math.min(order, 2) : order;
  }

  private SamplingPlan.Step row(List<Level> levels, int i, int order) {
    Level s = levels.get(i);
    Level t = levels.get(i + 1);
    // 1. the plain transfer, which is DDIM or DDPM
    double ratio = s.ratioTo(t); // e^−h
    double cX;
    double c0;
    double freshNoise = 0;
    switch (options.form) {
      case X0 -> {
        cX = t.noise() / s.noise();
        c0 = t.signal() * (1 - ratio);
      }
      case STOCHASTIC -> {
        cX = t.noise() / s.noise() * ratio;
        c0 = t.signal() * (1 - ratio * ratio);
        freshNoise = t.noise() * Math.sqrt(1 - ratio * ratio);
      }
      case EPSILON -> {
        cX = t.signal() / s.signal();
        c0 = t.noise() - cX * s.noise();
      }
      default -> throw new AssertionError(options.form);
    }
    List<Double> past = List.of();
    // 2. what the derivatives add
    if (order > 1) {
      double h = t.lambda() - s.lambda();
      double r0 = (s.lambda() - levels.get(i - 1).lambda()) / h;
      double c1 = first(t, h, order);
      if (order == 2) {
        c0 += c1 / r0;
        past = List.of(-c1 / r0);
      } else {
        double r1 = (levels.get(i - 1).lambda() - levels.get(i - 2).lambda()) / h;
        double c2 = second(t, h);
        // c_1 D1 + c_2 D2 = d_0 D1_0 + d_1 D1_1
        double d0 = c1 + (c1 * r0 + c2) / (r0 + r1);
        double d1 = -(c1 * r0 + c2) / (r0 + r1);
        c0 += d0 / r0;
        past = List.of(-d0 / r0 + d1 / r1, -d1 / r1);
      }
    }
    boolean epsilon = options.form == Form.EPSILON;
    return new SamplingPlan.Step(s, cX, epsilon ? 0 : c0, epsilon ? c0 : 0, past, freshNoise);
  }

  /** c_1. */
  private double first(Level t, double h, int order) {
    boolean midpoint = order == 2 && !options.heun;
    return switch (options.form) {
      case X0 ->
          midpoint ? -0.5 * t.signal() * Math.expm1(-h) : t.signal() * (Math.expm1(-h) / h + 1);
      case STOCHASTIC ->
          midpoint
              ? -0.5 * t.signal() * Math.expm1(-2 * h)
              : t.signal() * (Math.expm1(-2 * h) / (2 * h) + 1);
      case EPSILON ->
          midpoint ? -0.5 * t.noise() * Math.expm1(h) : -t.noise() * (Math.expm1(h) / h - 1);
    };
  }

  /** c_2. */
  private double second(Level t, double h) {
    double factor = options.published ? 1 : 2;
    return switch (options.form) {
      case X0 -> -factor * t.signal() * ((Math.expm1(-h) + h) / (h * h) - 0.5);
      case STOCHASTIC ->
          factor
              * t.signal()
              * ((-Math.expm1(-2 * h) - 2 * h) / (4 * h * h) + (options.published ? -0.5 : 0.5));
      case EPSILON -> -factor * t.noise() * ((Math.expm1(h) - h) / (h * h) - 0.5);
    };
  }

  @Override
  public String toString() {
    String name = options.form == Form.EPSILON ? "dpm" : "dpm++";
    boolean named = options.form != Form.EPSILON && options.order > 1;
    String sde = options.form != Form.STOCHASTIC ? "" : named ? "-sde" : "sde";
    SamplerText text = grid().text(name + (named ? options.order + "m" : "") + sde);
    return (named ? text : text.number("order", options.order, DEFAULT_ORDER))
        .flag("heun", options.heun, false)
        .flag("published", options.published, false)
        .flag("lowerOrderFinal", options.lowerOrderFinal, true)
        .flag("eulerAtFinal", options.eulerAtFinal, false)
        .toString();
  }
}
