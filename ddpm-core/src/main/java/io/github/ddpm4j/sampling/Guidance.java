package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.description.History;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.torch.Collecting;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Answer;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Guidance: steers samples towards a condition more strongly than the conditional model does, or
 * away from what a worse model would draw.
 *
 * <pre>{@code
 * ddpm.sampling().condition(Condition.labels(7)).guidance(Guidance.classifierFree(3)).generate(1)
 * }</pre>
 *
 * <p>Classifier-free guidance (Ho and Salimans 2022) extrapolates from the unconditional to the
 * conditional prediction; autoguidance (Karras et al. 2024) from that of a worse model to that of
 * the run's, with or without a condition; classifier guidance (Dhariwal and Nichol 2021, algorithm
 * 2) adds the classifier's gradient. {@link #posterior} and {@link #dps} lead to pictures that fit
 * a {@link Measurement}:
 *
 * <pre>
 *   out' = out(∅) + Σ_i w_i (out(c_i) − out(∅))
 *   x̂_0' = x̂_0,2 + w (x̂_0 − x̂_0,2)
 *   ε̂'   = ε̂ − s · noise · ∇_x ln p(y | x_t)
 * </pre>
 *
 * <p>It works with every {@link io.github.ddpm4j.prediction.Prediction}, since the types are
 * linearly related. The unconditional and conditional predictions share one network call with a
 * correspondingly larger batch; what has no weight is not asked, such as the unconditional one at
 * scale 1 and the conditional one at scale 0. A learned variance is that of the run's own condition
 * or, without one, of the first that guidance leads towards; at scale 0 it is the unconditional.
 * Immutable.
 */
public final class Guidance {

  /** A deviation of less than this share of the root mean square is that of rounding. */
  private static final double FLAT = 1e-6;

  /** The default number of iterations of {@link #posterior(Measurement)}: {@value}. */
  public static final int DEFAULT_ITERATIONS = 5;

  private static final Guidance NONE =
      new Guidance(List.of(), List.of(), List.of(), List.of(), 0, false);

  /**
   * The function whose gradient guides sampling: ln p(y | x_t), or any other differentiable score
   * of noisy images.
   */
  @FunctionalInterface
  public interface LogProbability {

    /**
     * Scores noisy images. Called with gradients recorded, so the result must be computed from
     * {@code x} with operations that DJL can differentiate.
     *
     * @param x the noisy images, shape (N, C, H, W); not to be closed
     * @param levels the noise level of each image
     * @return one number per image, shape (N)
     */
    NDArray of(NDArray x, NoiseLevels levels);
  }

  /** Ratios of noise to signal: above the least, up to the greatest. */
  record Interval(double least, double greatest) {
    private static final Interval ALL = new Interval(0, Double.POSITIVE_INFINITY);

    boolean holds(double ratio) {
      return ratio > least && ratio <= greatest;
    }
  }

  /** w (out(c) − out(∅)), with the run's own c where it is null. */
  record Pull(@Nullable Condition towards, double scale, Interval interval) {}

  private record Slope(LogProbability logProbability, double scale, Interval interval) {}

  /** (w − 1) (out(c) − out_2(c)). */
  record Contrast(SecondModel model, double scale, Interval interval) {}

  /** What was measured; by Chung et al.'s step where there are no iterations. */
  private record View(Measurement measurement, int iterations, double scale, Interval interval) {}

  private final List<Pull> pulls;
  private final List<Contrast> contrasts;
  private final List<Slope> slopes;
  private final List<View> views;
  private final double rescale;

  private final boolean evenUnlearned;

  private Guidance(
      List<Pull> pulls,
      List<Contrast> contrasts,
      List<Slope> slopes,
      List<View> views,
      double rescale,
      boolean evenUnlearned) {
    this.pulls = List.copyOf(pulls);
    this.contrasts = List.copyOf(contrasts);
    this.slopes = List.copyOf(slopes);
    this.views = List.copyOf(views);
    this.rescale = rescale;
    this.evenUnlearned = evenUnlearned;
  }

  /**
   * No guidance: the network's prediction under the run's condition.
   *
   * @return the shared instance
   */
  public static Guidance none() {
    return NONE;
  }

  /**
   * Classifier-free guidance towards the run's condition. The network must have been trained with
   * condition dropout ({@code conditionDropout}): one whose provenance says otherwise is refused,
   * unless the scale is 1 or {@link #evenUnlearned} is called.
   *
   * @param scale w: 0 is unconditional, 1 is conditional without guidance, larger values guide more
   *     strongly. It is 1 more than the w of {@link #extrapolating}
   * @return the guidance
   * @throws IllegalArgumentException if {@code scale} is not finite
   * @see #extrapolating
   */
  public static Guidance classifierFree(double scale) {
    return new Guidance(
        List.of(new Pull(null, requireScale(scale), Interval.ALL)),
        List.of(),
        List.of(),
        List.of(),
        0,
        false);
  }

  /**
   * Classifier-free guidance by the w of Ho and Salimans 2022 and of TeaPearce's
   * Conditional_Diffusion_MNIST: the same as {@code classifierFree(1 + w)}.
   *
   * <pre>
   *   out' = (1 + w) · out(c) − w · out(∅)
   * </pre>
   *
   * @param w 0 is conditional without guidance, larger values guide more strongly, −1 is
   *     unconditional. The MNIST script draws with 0, 0.5 and 2
   * @return the guidance
   * @throws IllegalArgumentException if {@code w} is not finite
   * @see #classifierFree
   */
  public static Guidance extrapolating(double w) {
    return classifierFree(1 + w);
  }

  /**
   * Guidance towards, or away from, a condition other than the run's (Liu et al. 2022,
   * "Compositional Visual Generation", eq. 11). A condition of the run counts beside it: with the
   * scale of {@link #classifierFree} if that is combined with it, otherwise as the network learned
   * it, with w = 1.
   *
   * @param condition c, with one entry per image of the run or one entry for all; its arrays are
   *     borrowed
   * @param scale w; negative values guide away from it
   * @return the guidance
   * @throws IllegalArgumentException if the condition is {@link Condition#none()}, or {@code scale}
   *     is not finite
   */
  public static Guidance towards(Condition condition, double scale) {
    if (condition.isNone()) {
      throw new IllegalArgumentException(
          "guidance towards a condition needs one, but it was Condition.none(); use"
              + " classifierFree(scale) for the condition of the run");
    }
    return new Guidance(
        List.of(new Pull(condition, requireScale(scale), Interval.ALL)),
        List.of(),
        List.of(),
        List.of(),
        0,
        false);
  }

  /**
   * Autoguidance (Karras et al. 2024, "Guiding a diffusion model with a bad version of itself", eq.
   * 5): leads away from what a worse model of the same images predicts, which is where both err and
   * the worse one errs more. It needs no condition; where the run has one, both models are asked
   * under it.
   *
   * <pre>
   *   x̂_0' = x̂_0,2 + w (x̂_0 − x̂_0,2)
   * </pre>
   *
   * <p>The worse model is best an earlier snapshot of the same training, or a smaller network that
   * was trained for less, with the same kind of flaws: {@code autoguidance(snapshot.model(), 2)}.
   * It may predict something else and have another schedule: it is asked at the level of the same
   * noise / signal, which its schedule must have. Each network is asked once a step, for all images
   * of a batch and of runs that {@linkplain SamplingRun#advance advance} together.
   *
   * <p>Combined {@linkplain #and with} other guidance, each adds what it adds alone:
   *
   * <pre>
   *   out' = out(∅) + s (out(c) − out(∅)) + (w − 1) (out(c) − out_2(c))     with classifierFree(s)
   * </pre>
   *
   * <p>with c the condition of the run or, without one, the first that guidance leads {@link
   * #towards}. A learned variance is that of the run's model alone.
   *
   * @param worse the worse model, such as {@code ddpm.model()}; borrowed: its owner closes it,
   *     after the runs that it guides
   * @param scale w: 1 is no guidance, and asks the worse model nothing; 2 is a usual beginning
   * @return the guidance. A run refuses it whose model has the same network, another data range,
   *     image shape or device, or levels of noise beyond the schedule of the worse model
   * @throws IllegalArgumentException if {@code scale} is not finite
   */
  public static Guidance autoguidance(DenoisingModel worse, double scale) {
    Objects.requireNonNull(worse, "worse");
    return new Guidance(
        List.of(),
        List.of(new Contrast(new SecondModel(worse), requireScale(scale), Interval.ALL)),
        List.of(),
        List.of(),
        0,
        false);
  }

  /**
   * Guidance by the gradient of any differentiable function, such as a classifier's. The network
   * need not be conditional.
   *
   * <p>It uses DJL's gradient collector, of which there is one per process: such runs, and threads
   * that train an uncompiled network, wait for one another here. A collector of your own that is
   * open meanwhile makes the step fail.
   *
   * @param logProbability ln p(y | x_t), of noisy images
   * @param scale s; 1 samples from p(x) p(y | x), larger values sharpen p(y | x)
   * @return the guidance
   * @throws IllegalArgumentException if {@code scale} is not finite
   */
  public static Guidance classifier(LogProbability logProbability, double scale) {
    Objects.requireNonNull(logProbability, "logProbability");
    return new Guidance(
        List.of(),
        List.of(),
        List.of(new Slope(logProbability, requireScale(scale), Interval.ALL)),
        List.of(),
        0,
        false);
  }

  /**
   * Posterior sampling by moment matching (Rozet et al. 2024, "Learning diffusion priors from
   * observations by expectation maximization", section 4.2): draws pictures that fit a measurement,
   * and as much as its noise says, with {@value #DEFAULT_ITERATIONS} iterations. See {@link
   * #posterior(Measurement, int)}.
   *
   * @param measurement what was measured
   * @return the guidance
   */
  public static Guidance posterior(Measurement measurement) {
    return posterior(measurement, DEFAULT_ITERATIONS);
  }

  /**
   * Posterior sampling by moment matching: what a measurement says of noisy images takes into
   * account how far the clean image may be from x̂_0.
   *
   * <pre>
   *   p(y | x) ≈ N(y; A x̂_0, σ_y² I + A V Aᵀ),    V = σ² / α · ∂x̂_0 / ∂x      (eqs. 10 and 11)
   *   ε̂' = ε̂ − noise · ∇_x ln p(y | x)
   * </pre>
   *
   * <p>For a Gaussian prior and a linear A it is exact: with more steps, the images come to have
   * the mean and covariance of the posterior. V is the network's derivative, which is less exact
   * than its prediction; at high levels, where it is multiplied by σ² / α, networks that predict ε
   * say little of use. {@code interval(0, 3)} leaves those levels out; the network then begins
   * freely.
   *
   * <p>x̂_0 is that of the run's model under the run's condition, without other guidance, which may
   * be added. A step asks the network twice, once of them with gradients, and goes back through it
   * once more than there are iterations, one batch of a run at a time: as with {@link #classifier},
   * such runs and eager training wait for one another.
   *
   * @param measurement what was measured
   * @param iterations of the conjugate gradients that solve the system, at least 1: as many as
   *     there are different eigenvalues solve it exactly, fewer lead less strongly
   * @return the guidance. A run refuses it if the measurement is of other pictures
   * @throws IllegalArgumentException if there are no iterations
   */
  public static Guidance posterior(Measurement measurement, int iterations) {
    Objects.requireNonNull(measurement, "measurement");
    if (iterations < 1) {
      throw new IllegalArgumentException(
          "moment matching needs at least 1 iteration, but was given " + iterations);
    }
    return by(new View(measurement, iterations, 1, Interval.ALL));
  }

  /**
   * Diffusion posterior sampling (Chung et al. 2023, algorithm 1): after each step, the images move
   * down the slope of their distance from the measurement.
   *
   * <pre>
   *   x' ← x' − ζ ∇_x ‖r‖ = x' + ζ Jᵀ Aᵀ r / ‖r‖      r = y − A(x̂_0(x)), J = ∂x̂_0 / ∂x
   * </pre>
   *
   * <p>So the move is ζ ‖Jᵀ Aᵀ r / ‖r‖‖, whatever the length of r: it is long where much of x̂_0
   * depends on x and is measured, and short where little does. It takes x̂_0 for the clean image
   * and makes no use of σ_y: however noisy the measurement is, the images come to fit it to about
   * ζ, with less spread than the posterior has, and the more steps there are, the more they do. It
   * needs no more of the network than a gradient, and works with few steps where {@link #posterior}
   * does not. Meant for {@link Samplers#ddpm} and {@link Samplers#ddim}.
   *
   * @param measurement what was measured; its deviation is not used
   * @param step ζ, at least 0: .1 to 1 in the paper, for 1,000 steps
   * @return the guidance. A run refuses it if the measurement is of other pictures
   * @throws IllegalArgumentException if {@code step} is negative or not finite
   */
  public static Guidance dps(Measurement measurement, double step) {
    Objects.requireNonNull(measurement, "measurement");
    if (!(step >= 0) || Double.isInfinite(step)) {
      throw new IllegalArgumentException(
          "the step of diffusion posterior sampling must be finite and at least 0, but was "
              + step);
    }
    return by(new View(measurement, 0, step, Interval.ALL));
  }

  private static Guidance by(View view) {
    return new Guidance(List.of(), List.of(), List.of(), List.of(view), 0, false);
  }

  /**
   * Limits guidance to an interval of noise levels (Kynkäänniemi et al. 2024). Outside it, the
   * network is evaluated only under the run's condition, without the enlarged batch. Where guidance
   * {@link #towards} another condition is still inside its own interval, {@link #classifierFree}
   * outside its interval contributes with w = 1, and so does a condition of the run that no {@link
   * #classifierFree} leads towards.
   *
   * @param least the lower bound of noise / signal, exclusive; 0 is the clean image
   * @param greatest the upper bound, inclusive; may be infinite
   * @return this guidance within the interval
   * @throws IllegalArgumentException unless {@code 0 <= least < greatest}
   */
  public Guidance interval(double least, double greatest) {
    if (!(least >= 0 && least < greatest)) {
      throw new IllegalArgumentException(
          "a guidance interval needs 0 <= least < greatest in terms of noise / signal, but was "
              + least
              + " to "
              + greatest);
    }
    Interval own = new Interval(least, greatest);
    return new Guidance(
        pulls.stream().map(p -> new Pull(p.towards, p.scale, own)).toList(),
        contrasts.stream().map(c -> new Contrast(c.model, c.scale, own)).toList(),
        slopes.stream().map(s -> new Slope(s.logProbability, s.scale, own)).toList(),
        views.stream().map(v -> new View(v.measurement, v.iterations, v.scale, own)).toList(),
        rescale,
        evenUnlearned);
  }

  /**
   * Counters the increase in contrast caused by strong classifier-free guidance (Lin et al. 2024,
   * section 3.4, eq. 15 and 16): the guided velocity v̂ of an image, which the paper's network
   * predicts, is rescaled towards the standard deviation of the conditional one, over all pixels
   * and channels of the image.
   *
   * <pre>
   *   v̂'' = φ · v̂' · std(v̂(c)) / std(v̂') + (1 − φ) · v̂',    v̂ = signal · ε̂ − noise · x̂_0
   * </pre>
   *
   * <p>It acts on v̂ whatever the network predicts, so that the images do not depend on that. c is
   * the condition of the run or, without one, the one that guidance leads {@link #towards}; none
   * with {@link #autoguidance} alone. A v̂' without deviation, such as that of a single pixel, is
   * left as it is.
   *
   * @param share φ, from 0 (the default) for no rescaling to 1 for full rescaling; 0.7 in the paper
   * @return this guidance, rescaled. A run without a condition refuses it if it leads towards
   *     conditions other than exactly one
   * @throws IllegalArgumentException if {@code share} is outside [0, 1], or is above 0 and this
   *     guidance neither leads towards a condition nor away from a worse model
   */
  public Guidance rescale(double share) {
    if (!(share >= 0 && share <= 1)) {
      throw new IllegalArgumentException(
          "the share of rescaling must lie in [0, 1], but was " + share);
    }
    if (share > 0 && pulls.isEmpty() && contrasts.isEmpty()) {
      throw new IllegalArgumentException(
          "rescaling takes the deviation of a condition's prediction, but this guidance leads towards"
              + " none; call rescale on classifierFree(scale), on towards(condition, scale) or on a"
              + " sum with one of these");
    }
    return new Guidance(pulls, contrasts, slopes, views, share, evenUnlearned);
  }

  /**
   * Combines this guidance with another.
   *
   * @param other the other guidance
   * @return the sum of both
   * @throws IllegalArgumentException if both rescale by different shares
   */
  public Guidance and(Guidance other) {
    if (rescale != other.rescale && rescale != 0 && other.rescale != 0) {
      throw new IllegalArgumentException(
          "guidance that is combined can be rescaled by one share, but has "
              + rescale
              + " and "
              + other.rescale
              + "; set rescale on the sum");
    }
    return new Guidance(
        Stream.concat(pulls.stream(), other.pulls.stream()).toList(),
        Stream.concat(contrasts.stream(), other.contrasts.stream()).toList(),
        Stream.concat(slopes.stream(), other.slopes.stream()).toList(),
        Stream.concat(views.stream(), other.views.stream()).toList(),
        Math.max(rescale, other.rescale),
        evenUnlearned || other.evenUnlearned);
  }

  /**
   * Takes a network whose provenance says that it never saw an image without its condition. By
   * default it is refused where the unconditional prediction counts, which for such a network says
   * nothing. For networks that learned it in another way: from data of which some have no
   * condition, or before this library trained them on.
   *
   * @return this guidance, for any network
   */
  public Guidance evenUnlearned() {
    return new Guidance(pulls, contrasts, slopes, views, rescale, true);
  }

  /**
   * Refuses a network that is known not to have learned what it is asked.
   *
   * @param own the condition of the run
   * @param provenance how the weights were made; empty if it is unknown
   */
  void requireLearned(Condition own, Map<String, Object> provenance) {
    if (!evenUnlearned && asksFree(own) && History.neverDroppedConditions(provenance)) {
      throw new IllegalArgumentException(
          "guidance asks the network without a condition, which it did not learn: the provenance of"
              + " the model has no conditionDropout; train with conditionDropout(0.1), use"
              + " classifierFree(1), or call evenUnlearned() on the guidance if it learned that in"
              + " another way");
    }
  }

  /** Whether the network is asked without a condition at any level of noise. */
  private boolean asksFree(Condition own) {
    return pulls.stream()
        // what is active changes only where an interval ends
        .map(Pull::interval)
        .flatMap(
            in ->
                Stream.of(
                    Math.max(in.least, Double.MIN_VALUE),
                    Math.nextUp(in.least),
                    Math.min(in.greatest, Double.MAX_VALUE),
                    Math.min(Math.nextUp(in.greatest), Double.MAX_VALUE)))
        .anyMatch(ratio -> mixture(own, ratio).asksFree());
  }

  /** Refuses contexts beside which nothing stands for none, where the network is asked so. */
  private void requireUnconditional(Condition own) {
    for (Condition condition : own.isNone() ? conditions() : List.of(own)) {
      Condition dropped = condition.dropped();
      for (int i = 0; i < dropped.size().orElse(0); i++) {
        if (condition.has(Condition.Kind.CONTEXTS)
            && !dropped.isPresent(Condition.Kind.CONTEXTS, i)) {
          throw new IllegalArgumentException(
              "guidance asks the network without a condition, but nothing stands for none beside"
                  + " the context of image "
                  + i
                  + "; give the encoded empty text, or one to stay away from, by"
                  + " Condition.contexts(contexts, unconditional)");
        }
      }
    }
  }

  /** Refuses conditions that do not fit a run of {@code count} images. */
  void requireFit(Condition own, int count) {
    if (asksFree(own)) {
      requireUnconditional(own);
    }
    long leads = pulls.stream().filter(pull -> pull.towards != null && pull.scale > 0).count();
    if (rescale > 0
        && own.isNone()
        && leads != 1
        && !pulls.isEmpty()
        && pulls.stream().allMatch(p -> p.towards != null)) {
      throw new IllegalArgumentException(
          "rescaled guidance takes the deviation of one condition's prediction, but the run has no"
              + " condition and guidance leads towards "
              + leads
              + "; call condition(...) with the one that counts, or leave rescale out");
    }
    for (Pull pull : pulls) {
      if (pull.towards == null && own.isNone()) {
        throw new IllegalArgumentException(
            "classifier-free guidance needs a condition to lead to, but the run has none; call"
                + " condition(...)");
      }
      if (pull.towards != null) {
        requireNoEstimate("the condition of guidance", pull.towards);
        int size = pull.towards.size().orElse(1);
        if (size != 1 && size != count) {
          throw new IllegalArgumentException(
              "the condition of guidance must be of 1 image or of all "
                  + count
                  + " of the run, but is of "
                  + size);
        }
      }
    }
  }

  static void requireNoEstimate(String name, Condition condition) {
    if (condition.has(Condition.Kind.PREVIOUS_X0)) {
      throw new IllegalArgumentException(
          "sampling makes the previous x̂_0 itself, but "
              + name
              + " was "
              + condition
              + "; leave it out");
    }
  }

  /** How many predictions each row of a plan takes for each image. */
  int[] predictions(Condition own, SamplingPlan plan) {
    return plan.steps().stream().mapToInt(step -> mixture(own, step.level()).size()).toArray();
  }

  private Mixture mixture(Condition own, Level level) {
    return mixture(own, level.sigma());
  }

  private Mixture mixture(Condition own, double ratio) {
    return Mixture.of(
        pulls.stream().filter(pull -> pull.interval.holds(ratio)).toList(),
        contrasts.stream().filter(contrast -> contrast.interval.holds(ratio)).toList(),
        !own.isNone(),
        rescale > 0);
  }

  /**
   * What is asked about the same images: the network under each condition, in one call, and those
   * of second models.
   *
   * @param own the condition of the images
   * @param firstImage the index of the first in the run
   * @param images how many there are
   * @param level how noisy the images are
   */
  List<Mixture.Asked> questions(Condition own, long firstImage, int images, Level level) {
    return mixture(own, level)
        .questions(
            own,
            towards -> {
              boolean shared = towards.size().orElse(1) == 1;
              return towards.select(
                  IntStream.range(0, images)
                      .map(i -> shared ? 0 : Math.toIntExact(firstImage + i))
                      .toArray());
            });
  }

  /**
   * The guided answer.
   *
   * @param answers the answers to {@link #questions}, of the same images, which stand at one level,
   *     all as the network of the run would put them
   * @param own the condition of the images
   */
  Answer combine(List<Answer> answers, Condition own, Diffusion diffusion) {
    Answer first = answers.get(0);
    Level level = first.levels().level(0);
    Mixture mixture = mixture(own, level);
    NDArray guided = first.prediction();
    if (!mixture.isPlain()) {
      guided = mixture.sum(answers.stream().map(Answer::prediction).toList());
      if (rescale > 0) {
        guided = rescaled(first.withPrediction(guided), first, diffusion);
      }
    }
    for (Slope slope : slopes) {
      if (slope.interval.holds(level.sigma()) && level.signal() > 0) {
        guided = guided.add(shift(slope, first, diffusion));
      }
    }
    return first.withPrediction(guided);
  }

  /**
   * The answer led to what was measured, and by how much the images move after the row.
   *
   * @param guided the answer after all other guidance
   * @param condition what the network is asked under
   * @param firstImage the index in the run of the first image
   */
  Chain.Guided measured(Answer guided, DenoisingModel model, Condition condition, long firstImage) {
    NDArray x = guided.x();
    NoiseLevels levels = guided.levels();
    Level level = levels.level(0);
    NDArray prediction = guided.prediction();
    NDArray move = null;
    for (View view : views) {
      if (!view.interval.holds(level.sigma()) || level.signal() == 0) {
        continue;
      }
      Measurement of = view.measurement;
      if (view.iterations > 0) {
        NDArray score =
            MeasuredScore.matched(of, model, x, levels, condition, firstImage, view.iterations);
        LinearForm epsilon =
            model.diffusion().prediction().epsilon(model.diffusion().schedule(), level);
        prediction = prediction.add(scaled(score, -level.noise() / epsilon.second()));
      } else {
        NDArray closer = MeasuredScore.closer(of, model, x, levels, condition, firstImage);
        NDArray own = scaled(closer, view.scale);
        move = move == null ? own : move.add(own);
      }
    }
    return new Chain.Guided(guided.withPrediction(prediction), move);
  }

  /**
   * v̂' = v̂ (φ std(v̂_c) / std(v̂) + 1 − φ), as a change of what the network says instead of v̂.
   */
  private NDArray rescaled(Answer guided, Answer conditional, Diffusion diffusion) {
    Level level = guided.levels().level(0);
    LinearForm form = diffusion.prediction().velocity(diffusion.schedule(), level);
    NDArray velocity = guided.velocity();
    NDArray deviation = deviation(velocity);
    NDArray change = deviation(conditional.velocity()).div(deviation).sub(1).mul(rescale);
    // where nothing deviates, there is nothing to rescale
    NDArray size = rootMeanSquare(velocity);
    NDArray flat = deviation.lte(size.mul(FLAT));
    NDArray kept = NDArrays.where(flat, change.zerosLike(), change);
    return guided.prediction().add(scaled(velocity.mul(kept), 1 / form.second()));
  }

  /** The standard deviation over the pixels of each image, (N, 1, …). */
  private static NDArray deviation(NDArray images) {
    return rootMeanSquare(images.sub(mean(images)));
  }

  private static NDArray rootMeanSquare(NDArray images) {
    return mean(images.square()).sqrt();
  }

  private static NDArray mean(NDArray images) {
    long[] shape = images.getShape().getShape().clone();
    NDArray rows = images.reshape(shape[0], -1);
    Arrays.fill(shape, 1, shape.length, 1);
    return rows.mean(new int[] {1}).reshape(shape);
  }

  /** −s · noise · ∇_x ln p(y | x), as a change of what the network says instead of ε̂. */
  private static NDArray shift(Slope slope, Answer answer, Diffusion diffusion) {
    NDArray gradient = gradient(slope.logProbability, answer.x(), answer.levels());
    Level level = answer.levels().level(0);
    LinearForm epsilon = diffusion.prediction().epsilon(diffusion.schedule(), level);
    return scaled(gradient, -slope.scale * level.noise() / epsilon.second());
  }

  private static NDArray gradient(LogProbability of, NDArray x, NoiseLevels levels) {
    try (Collecting collecting = Collecting.begin(x.getManager());
        GradMode recording = GradMode.on();
        NDArray leaf = x.duplicate()) {
      leaf.setRequiresGradient(true);
      NDArray value = Given.returned(of.of(leaf, levels), "the log probability");
      if (value.size() != levels.size()) {
        throw new IllegalStateException(
            "the log probability must be one number per image, "
                + levels.size()
                + ", but had shape "
                + value.getShape());
      }
      collecting.backward(value.sum());
      try (NDArray gradient = leaf.getGradient()) {
        NDArray copy = gradient.duplicate();
        copy.attach(x.getManager());
        return copy;
      }
    }
  }

  static NDArray scaled(NDArray array, double factor) {
    double[] each = new double[Math.toIntExact(array.getShape().get(0))];
    Arrays.fill(each, factor);
    return array.mul(PerImage.column(array, each));
  }

  private static double requireScale(double scale) {
    if (!Double.isFinite(scale)) {
      throw new IllegalArgumentException("guidance scale must be finite, but was " + scale);
    }
    return scale;
  }

  /** The conditions that it leads to beside the run's own. */
  List<Condition> conditions() {
    return pulls.stream().map(Pull::towards).flatMap(Stream::ofNullable).toList();
  }

  /** The second models that it leads away from. */
  List<SecondModel> secondModels() {
    return contrasts.stream().map(Contrast::model).toList();
  }

  /** What was measured that it leads to. */
  List<Measurement> measurements() {
    return views.stream().map(View::measurement).toList();
  }

  /** Refuses second models that are not of the run's images. */
  void requireBeside(DenoisingModel run) {
    secondModels().forEach(second -> second.requireBeside(run));
  }

  /** Refuses what second models would refuse in the first row of a plan, or in a later one. */
  void requireUsable(
      Diffusion run, SamplingPlan plan, Shape images, DataType type, Condition condition) {
    for (Contrast contrast : contrasts) {
      contrast.model.requireUsable(images, type, condition);
      plan.steps().stream()
          .map(SamplingPlan.Step::level)
          .filter(level -> contrast.scale != 1 && contrast.interval.holds(level.sigma()))
          .forEach(level -> contrast.model.requireUsable(run, level));
    }
  }

  /** All of its numbers; what it leads to is not among them. */
  String settings() {
    return Stream.of(
                pulls.stream()
                    .map(
                        p ->
                            List.of(
                                p.towards == null ? "own" : "other",
                                p.scale,
                                p.interval.least,
                                p.interval.greatest)),
                contrasts.stream()
                    .map(c -> List.of("second", c.scale, c.interval.least, c.interval.greatest)),
                slopes.stream()
                    .map(
                        s -> List.of("classifier", s.scale, s.interval.least, s.interval.greatest)),
                views.stream()
                    .map(
                        v ->
                            List.of(
                                "measured",
                                v.iterations,
                                v.scale,
                                v.measurement.deviation(),
                                v.interval.least,
                                v.interval.greatest)))
            .flatMap(parts -> parts)
            .toList()
        + " "
        + rescale;
  }

  /** As a caller writes it, where that is short. */
  String text() {
    if (pulls.isEmpty() && contrasts.isEmpty() && slopes.isEmpty() && views.isEmpty()) {
      return "none";
    }
    Guidance plain = pulls.isEmpty() ? NONE : classifierFree(pulls.get(0).scale);
    return plain.settings().equals(settings())
        ? "classifierFree(" + pulls.get(0).scale + ")"
        : settings();
  }

  @Override
  public String toString() {
    return "Guidance["
        + pulls.size()
        + " towards conditions, "
        + contrasts.size()
        + " away from second models, "
        + slopes.size()
        + " by classifiers, "
        + views.size()
        + " by measurements, rescale "
        + rescale
        + "]";
  }
}
