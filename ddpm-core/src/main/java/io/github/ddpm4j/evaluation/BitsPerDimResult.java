package io.github.ddpm4j.evaluation;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * The variational bound of a model on a set of images: an upper bound on the code length in bits
 * per dimension, with its breakdown into terms.
 *
 * <pre>
 *   total = L_T + Σ_{t=1}^{T−1} L_t + L_0
 *   rate  = L_T + Σ_{t=1}^{T−1} L_t         what it takes to send x_0 up to its levels
 *   L_0   = decoder                         what the exact levels take then
 * </pre>
 *
 * <p>with t as in the code. Values are means over the images; their standard errors account for
 * images, noise and, in a quick evaluation, timesteps. Immutable. Serializable, so that frameworks
 * can carry the results of parts between machines of one version of this library.
 */
public final class BitsPerDimResult implements Serializable {

  private static final long serialVersionUID = 1;

  /** What an evaluation gathers as it goes. */
  static final class Sums implements Serializable {

    private static final long serialVersionUID = 1;

    private final TimestepRanges ranges;
    private final @Nullable Long seed;
    private final Moments total;
    private final Moments prior;
    private final Moments rate;

    /** Of each range, the bits of its timesteps together. */
    private final List<Moments> bits;

    /** Of each range, the mean squared error of x̂_0 on a scale of 0 to 255. */
    private final List<Moments> squares;

    Sums(TimestepRanges ranges, @Nullable Long seed) {
      this(ranges, seed, new Moments(), new Moments(), new Moments(), none(ranges), none(ranges));
    }

    private Sums(
        TimestepRanges ranges,
        @Nullable Long seed,
        Moments total,
        Moments prior,
        Moments rate,
        List<Moments> bits,
        List<Moments> squares) {
      this.ranges = ranges;
      this.seed = seed;
      this.total = total;
      this.prior = prior;
      this.rate = rate;
      this.bits = bits;
      this.squares = squares;
    }

    private static List<Moments> none(TimestepRanges ranges) {
      List<Moments> none = new ArrayList<>();
      for (int i = 0; i < ranges.count(); i++) {
        none.add(new Moments());
      }
      return none;
    }

    /**
     * One image.
     *
     * @param ofPrior L_T
     * @param ofRanges the bits of each range
     * @param errors the mean squared error of x̂_0 in each range
     */
    void add(double ofPrior, double[] ofRanges, double[] errors) {
      double ofRate = ofPrior;
      for (int i = ofRanges.length - 1; i > 0; i--) {
        ofRate += ofRanges[i];
      }
      prior.add(ofPrior);
      rate.add(ofRate);
      total.add(ofRate + ofRanges[0]);
      for (int i = 0; i < ofRanges.length; i++) {
        bits.get(i).add(ofRanges[i]);
        squares.get(i).add(errors[i]);
      }
    }

    long images() {
      return total.count();
    }

    BitsPerDimResult result() {
      return new BitsPerDimResult(merge(new Sums(ranges, seed)));
    }

    /** New sums of all that both have seen. */
    private Sums merge(Sums other) {
      return new Sums(
          ranges,
          seed,
          total.merge(other.total),
          prior.merge(other.prior),
          rate.merge(other.rate),
          merge(bits, other.bits),
          merge(squares, other.squares));
    }

    private static List<Moments> merge(List<Moments> some, List<Moments> others) {
      List<Moments> all = new ArrayList<>();
      for (int i = 0; i < some.size(); i++) {
        all.add(some.get(i).merge(others.get(i)));
      }
      return all;
    }
  }

  /**
   * A mean over images.
   *
   * @param value the mean
   * @param standardError its standard error; NaN for a single image
   */
  public record Mean(double value, double standardError) {

    /** Such as {@code 3.7501 ± 0.0213}; the mean alone of a single image. */
    @Override
    public String toString() {
      return Double.isNaN(standardError)
          ? String.format(Locale.ROOT, "%.4f", value)
          : String.format(Locale.ROOT, "%.4f ± %.4f", value, standardError);
    }
  }

  /**
   * One step of the reverse process: a single timestep or, in a quick evaluation, a range from
   * which each image evaluates one uniformly drawn timestep.
   *
   * @param firstTimestep the least noisy timestep, 0-based
   * @param lastTimestep the noisiest timestep
   * @param bits the sum of L_t over the timesteps, in bits per dimension
   * @param rate the bits per dimension already sent when x_t of the last timestep is known
   * @param distortion the root mean squared error of the network's estimate x̂_0 from x_t, on a
   *     scale where the data range is 0 to 255
   */
  public record Step(
      int firstTimestep, int lastTimestep, Mean bits, double rate, double distortion) {}

  /** What was gathered. */
  private final Sums sums;

  private final transient List<Step> steps;

  private BitsPerDimResult(Sums sums) {
    this.sums = sums;
    List<Step> all = new ArrayList<>();
    double rate = sums.prior.mean();
    for (int i = sums.ranges.count() - 1; i >= 0; i--) {
      all.add(
          new Step(
              sums.ranges.first(i),
              sums.ranges.last(i),
              sums.bits.get(i).ofMean(),
              rate,
              Math.sqrt(sums.squares.get(i).mean())));
      rate += sums.bits.get(i).mean();
    }
    this.steps = Collections.unmodifiableList(all);
  }

  /**
   * The result again, whose steps follow from the sums.
   *
   * @return an equal result
   */
  private Object readResolve() {
    return new BitsPerDimResult(sums);
  }

  /**
   * The number of images.
   *
   * @return at least 1
   */
  public long images() {
    return sums.images();
  }

  /**
   * The seed of noise and timesteps.
   *
   * @return the seed, or empty when the run was given a {@link io.github.ddpm4j.noise.NoiseSource}
   */
  public OptionalLong seed() {
    return sums.seed == null ? OptionalLong.empty() : OptionalLong.of(sums.seed);
  }

  /**
   * The total bound.
   *
   * @return bits per dimension, that is, per channel of a pixel
   */
  public Mean total() {
    return sums.total.ofMean();
  }

  /**
   * L_T: the information about the images that remains after the last noising step. The same for
   * every model with the same schedule.
   *
   * @return bits per dimension
   */
  public Mean prior() {
    return sums.prior.ofMean();
  }

  /**
   * All but L_0: what the paper calls the rate.
   *
   * @return bits per dimension
   */
  public Mean rate() {
    return sums.rate.ofMean();
  }

  /**
   * L_0: the cost of the exact pixel values given everything but the last step. The paper calls it
   * distortion, measured in bits.
   *
   * @return bits per dimension
   */
  public Mean decoder() {
    return sums.bits.get(0).ofMean();
  }

  /**
   * The reverse process from noise to image: the bits of each step, and the distortion of x̂_0 at
   * each rate (Ho et al. 2020, section 4.3 and figure 5).
   *
   * @return an unmodifiable list, from timestep T − 1 to 0
   */
  public List<Step> steps() {
    return steps;
  }

  /**
   * Merges two results, as if their images had been evaluated together.
   *
   * @param other a result of the same model, over other images
   * @return the result over all images, with the seed of this one
   * @throws IllegalArgumentException if the two have different timestep ranges
   */
  public BitsPerDimResult merge(BitsPerDimResult other) {
    if (!sums.ranges.equals(other.sums.ranges)) {
      throw new IllegalArgumentException(
          "results can be merged if they visited the timesteps alike, but one has "
              + sums.ranges
              + " and the other "
              + other.sums.ranges
              + "; evaluate both with the same model and timesteps(...)");
    }
    return new BitsPerDimResult(sums.merge(other.sums));
  }

  /**
   * The bound, its parts and the number of images in one line.
   *
   * @return such as {@code 3.75 ± 0.02 bits/dim over 500 images (…)}
   */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%s bits/dim over %d image%s (rate %s, of which the prior %.2g; L_0 %s)",
        total(),
        images(),
        images() == 1 ? "" : "s",
        rate(),
        prior().value(),
        decoder());
  }
}
