package io.github.ddpm4j.evaluation;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.evaluation.BitsPerDimResult.Sums;
import io.github.ddpm4j.internal.bound.VariationalBound;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.PictureRange;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.internal.random.Seeds;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.Answer;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.IntToDoubleFunction;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Evaluates the variational bound on the negative log likelihood in bits per dimension (Ho et al.
 * 2020, eq. 5 and section 4.3), set up fluently: {@code ddpm.bitsPerDim().seed(1).of(dataset)}.
 *
 * <pre>
 *   −log₂ p(x_0) ≤ L_T + Σ_{t=1}^{T−1} L_t + L_0
 *
 *   L_T = KL(q(x_T | x_0) ‖ N(0, I))
 *   L_t = KL(q(x_{t−1} | x_t, x_0) ‖ p(x_{t−1} | x_t))
 *   L_0 = −log₂ p(x_0 | x_1), of pixels of {@link #levels} values
 * </pre>
 *
 * <p>with t as in the code. Each term is estimated with independent noise per image and timestep, a
 * function of (seed, image, timestep) only, so the result does not depend on the batch size. An
 * image takes T network calls, or the number set by {@link #timesteps}. The network runs in the
 * type of {@link #dataType}; everything else is computed in float64.
 *
 * <p>The image values must be quantized to {@link #levels} evenly spaced levels over the data
 * range; otherwise bits per dimension mean little. A run can be executed repeatedly and gives the
 * same result if a seed was set. Not thread-safe: set up a run on one thread. Memory does not grow
 * with the number of images.
 *
 * <p>Interrupting the thread stops a run before the next network call with a {@link
 * CancellationException}; the interrupt flag stays set and native memory is freed.
 */
public final class BitsPerDim {

  /** The default batch size: {@value}. */
  public static final int DEFAULT_BATCH_SIZE = 64;

  private static final Logger logger = LoggerFactory.getLogger(BitsPerDim.class);

  /** The scale on which distortion is reported, whatever the data range: {@value}. */
  private static final double DISTORTION_SCALE = 255;

  /** How far from a level a value may be, as a share of the distance of two levels. */
  private static final double LEVEL_TOLERANCE = 0.01;

  private final DenoisingModel model;
  private final Diffusion diffusion;
  private final Denoiser denoiser;
  private int batchSize = DEFAULT_BATCH_SIZE;
  private boolean clip = true;
  private boolean anyRange;
  private int timesteps;
  private long images = Long.MAX_VALUE;
  private long firstImage;
  private int levels = VariationalBound.DEFAULT_LEVELS;
  private boolean approximateIntegral;
  private DataType dataType = DataType.FLOAT32;
  private @Nullable Long seed;
  private @Nullable NoiseSource noise;
  private @Nullable BiFunction<NDArray, NDList, Condition> condition;
  private final List<Consumer<BitsPerDimResult>> listeners = new ArrayList<>();

  private BitsPerDim(DenoisingModel model) {
    this.model = model;
    this.diffusion = model.diffusion();
    this.denoiser = model.denoiser();
  }

  /**
   * Sets up a run with the defaults, as {@code ddpm.bitsPerDim()} does.
   *
   * @param model the model; the run does not close its network
   * @return a run
   */
  public static BitsPerDim of(DenoisingModel model) {
    return new BitsPerDim(model);
  }

  /**
   * The number of images per network call. It affects memory and speed, not the result. A dataset
   * that is not a {@link ai.djl.training.dataset.RandomAccessDataset} has its own batch size.
   *
   * @param batchSize at least 1; the default is {@value #DEFAULT_BATCH_SIZE}
   * @return this run
   * @throws IllegalArgumentException if {@code batchSize} is less than 1
   */
  public BitsPerDim batchSize(int batchSize) {
    this.batchSize = Math.toIntExact(positive("batchSize", batchSize));
    return this;
  }

  /**
   * Limits the evaluation to the first images of the data.
   *
   * @param images the maximum number of images, at least 1; the default is all
   * @return this run
   * @throws IllegalArgumentException if {@code images} is less than 1
   */
  public BitsPerDim images(long images) {
    this.images = positive("images", images);
    return this;
  }

  /**
   * The index of the first image, if the data is part of a larger set: results of parts that are
   * evaluated separately and {@linkplain BitsPerDimResult#merge merged} equal that of the whole
   * set.
   *
   * @param firstImage at least 0; the default is 0
   * @return this run
   * @throws IllegalArgumentException if {@code firstImage} is negative
   */
  public BitsPerDim firstImage(long firstImage) {
    if (firstImage < 0) {
      throw new IllegalArgumentException("firstImage must be at least 0, but was " + firstImage);
    }
    this.firstImage = firstImage;
    return this;
  }

  /**
   * Computes a quick estimate from this many timesteps per image instead of all. Timestep 0 is
   * always included; the others are divided into ranges that widen with t, and for each range every
   * image evaluates one uniformly drawn timestep, whose term represents the range. The estimate is
   * unbiased, and its standard error includes the variance from drawing timesteps.
   *
   * @param timesteps the network calls per image, from 2 to the schedule's number of timesteps; the
   *     default is all of them
   * @return this run
   * @throws IllegalArgumentException if {@code timesteps} is out of range
   */
  public BitsPerDim timesteps(int timesteps) {
    int all = diffusion.schedule().timesteps();
    if (timesteps < Math.min(2, all) || timesteps > all) {
      throw new IllegalArgumentException(
          "timesteps must be from "
              + Math.min(2, all)
              + " to the schedule's "
              + all
              + ", but was "
              + timesteps
              + "; leave it out to visit all");
    }
    this.timesteps = timesteps;
    return this;
  }

  /**
   * Whether x̂_0 is clipped to the data range, as in the authors' evaluation.
   *
   * @param clip the default is true
   * @return this run
   */
  public BitsPerDim clip(boolean clip) {
    this.clip = clip;
    return this;
  }

  /**
   * Evaluates also images that lie wholly in [0, 1] where the data range is [−1, 1]. By default
   * they are refused if the first batch has {@value PictureRange#IMAGES} images or more, and else
   * logged as a warning, since nearly always they were to be mapped to it.
   *
   * @return this run
   */
  public BitsPerDim anyRange() {
    this.anyRange = true;
    return this;
  }

  /**
   * The number of levels of a pixel value, evenly spaced over the data range.
   *
   * @param levels at least 2; the default is 256, pictures of 8 bits
   * @return this run
   * @throws IllegalArgumentException if {@code levels} is less than 2
   */
  public BitsPerDim levels(int levels) {
    this.levels = VariationalBound.over(0, 1).levels(levels).levels();
    return this;
  }

  /**
   * Approximates the Gaussian integral of L_0 as the authors' code and its successors do, for
   * comparison with published results:
   *
   * <pre>
   *   Φ(z) ≈ ½ (1 + tanh(√(2/π) (z + 0.044715 z³)))
   * </pre>
   *
   * @return this run
   */
  public BitsPerDim approximateIntegral() {
    this.approximateIntegral = true;
    return this;
  }

  /**
   * The data type of the network's inputs.
   *
   * @param dataType FLOAT32, the default, or FLOAT64 if the denoiser supports it
   * @return this run
   * @throws IllegalArgumentException if it is another type
   */
  public BitsPerDim dataType(DataType dataType) {
    Objects.requireNonNull(dataType, "dataType");
    if (dataType != DataType.FLOAT32 && dataType != DataType.FLOAT64) {
      throw new IllegalArgumentException(
          "dataType of an evaluation must be FLOAT32 or FLOAT64, but was " + dataType);
    }
    this.dataType = dataType;
    return this;
  }

  /**
   * The seed of noise and timesteps. If unset, a random seed is drawn, logged at INFO level and
   * recorded in {@link BitsPerDimResult#seed()}.
   *
   * @param seed any number
   * @return this run
   */
  public BitsPerDim seed(long seed) {
    this.seed = seed;
    return this;
  }

  /**
   * The noise source, instead of a seed.
   *
   * @param noise the source, whose draw t for an image gives its x_t
   * @return this run
   */
  public BitsPerDim noise(NoiseSource noise) {
    this.noise = Objects.requireNonNull(noise, "noise");
    return this;
  }

  /**
   * Sets the function that computes the conditioning of a batch, for the conditional bound. By
   * default, the dataset's labels are the classes if the network has classes and the data has
   * labels; otherwise every condition is absent.
   *
   * @param condition computes the condition from clean images and labels; its arrays are borrowed
   * @return this run
   */
  public BitsPerDim condition(BiFunction<NDArray, NDList, Condition> condition) {
    this.condition = Objects.requireNonNull(condition, "condition");
    return this;
  }

  /**
   * Adds a listener. Can be called several times.
   *
   * @param listener receives the result over the images so far after every batch, including the
   *     last
   * @return this run
   */
  public BitsPerDim listener(Consumer<BitsPerDimResult> listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
    return this;
  }

  /**
   * Evaluates the images of a dataset, once and in order.
   *
   * @param dataset the images, float32 or float64 in the data range, shape (N, C, H, W), as the
   *     first array of the data of its batches
   * @return the result
   * @throws IllegalArgumentException if there are no images, or they have the wrong shape, type or
   *     range
   * @throws IllegalStateException if the denoiser returns NaN or the wrong shape
   * @throws java.io.UncheckedIOException if the dataset cannot be read
   * @throws CancellationException if the thread is interrupted
   */
  public BitsPerDimResult of(Dataset dataset) {
    Run run = new Run();
    // Read on the CPU, where the indices of datasets must be; batches move to the network.
    try (NDManager reading = Machine.newManager(Device.cpu())) {
      EvaluationData.visit(dataset, reading, batchSize, images, denoiser.imageShape(), run::add);
    }
    return run.sums.result();
  }

  /**
   * Evaluates images.
   *
   * @param images the images, float32 or float64 in the data range, shape (N, C, H, W), on any
   *     device; not closed
   * @return the result
   * @throws IllegalArgumentException if there are no images, or they have the wrong shape, type or
   *     range
   * @throws IllegalStateException as {@link #of(Dataset)}
   * @throws CancellationException if the thread is interrupted
   */
  public BitsPerDimResult of(NDArray images) {
    Given.open(images, "images");
    Shape shape = images.getShape();
    if (shape.dimension() == 0 || shape.get(0) == 0) {
      throw new IllegalArgumentException(
          "images must have shape (N, C, H, W) with at least one image, but had " + shape);
    }
    long count = Math.min(this.images, shape.get(0));
    Run run = new Run();
    for (long first = 0; first < count; first += batchSize) {
      // What a condition makes of the part goes with it.
      try (NDManager scope = images.getManager().newSubManager();
          NDArray part = images.get(first + ":" + Math.min(count, first + batchSize))) {
        part.attach(scope);
        run.add(part, new NDList());
      }
    }
    return run.sums.result();
  }

  private static long positive(String name, long value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, but was " + value);
    }
    return value;
  }

  /** One execution. */
  private final class Run {
    private final Schedule schedule = diffusion.schedule();
    private final DataRange range = diffusion.dataRange();

    /** That of the terms: no bit depends on the scale of a channel, so each may go to [−1, 1]. */
    private final DataRange scale = range.isPerChannel() ? DataRange.DEFAULT : range;

    private final VariationalBound bound = bound();
    private final TimestepRanges ranges =
        timesteps == 0 || timesteps == schedule.timesteps()
            ? TimestepRanges.all(schedule.timesteps())
            : TimestepRanges.widening(schedule.timesteps(), timesteps);
    private final CounterRandom drawing;
    private final NoiseSource source;
    private final Sums sums;
    private boolean warned;

    Run() {
      boolean given = noise != null && ranges.count() == schedule.timesteps();
      long value = given && seed == null ? 0 : Seeds.orDrawn(seed, logger, "evaluating");
      drawing = CounterRandom.of(value, CounterRandom.Stream.EVALUATION_TIMESTEPS);
      CounterRandom seeded = CounterRandom.of(value, CounterRandom.Stream.EVALUATION_NOISE);
      source = noise == null ? seeded::normal : noise;
      sums = new Sums(ranges, noise == null ? value : null);
    }

    private VariationalBound bound() {
      VariationalBound exact = VariationalBound.over(scale.min(), scale.max()).levels(levels);
      return approximateIntegral ? exact.withApproximateIntegral() : exact;
    }

    /** A batch: neither the images nor the labels are kept. */
    void add(NDArray images, NDList labels) {
      Images.Extent extent =
          EvaluationData.require(images, sums.images(), denoiser.imageShape(), range);
      int count = Math.toIntExact(images.getShape().get(0));
      if (sums.images() == 0 && !anyRange) {
        PictureRange.within(extent, range).ifPresent(usual -> ofAPart(usual, extent, count));
      }
      long first = firstImage + sums.images();
      try (GradMode inference = GradMode.off();
          NDManager batch = Machine.newManager(denoiser.device().orElse(images.getDevice()))) {
        NDArray x0 = Images.copy(batch, images, DataType.FLOAT64);
        warnOfOtherLevels(x0);
        Condition of = conditionOf(images, labels, count);
        int[][] visited = new int[count][];
        for (int i = 0; i < count; i++) {
          visited[i] = ranges.draw(drawing, first + i);
        }
        double[][] bits = new double[count][ranges.count()];
        double[][] errors = new double[count][ranges.count()];
        for (int range = ranges.count() - 1; range >= 0; range--) {
          int column = range;
          int[] t = Arrays.stream(visited).mapToInt(own -> own[column]).toArray();
          double[][] terms = terms(batch, x0, t, first, of);
          for (int i = 0; i < count; i++) {
            bits[i][range] = terms[0][i] * ranges.size(range);
            errors[i][range] = terms[1][i];
          }
        }
        double[] prior =
            VariationalBound.prior(
                    EagerOps.inference(), x0, schedule.alphaBar(schedule.timesteps() - 1))
                .toDoubleArray();
        for (int i = 0; i < count; i++) {
          sums.add(prior[i], bits[i], errors[i]);
        }
      }
      BitsPerDimResult soFar = sums.result();
      listeners.forEach(listener -> listener.accept(soFar));
    }

    private void ofAPart(PictureRange usual, Images.Extent extent, int count) {
      String message =
          "images must fill the data range "
              + range
              + ", but the first hold values from "
              + extent.least()
              + " to "
              + extent.greatest()
              + ", which looks like "
              + usual
              + "; map them by "
              + usual.mapping(range)
              + ", or call anyRange() on the evaluation if they are meant";
      if (count >= PictureRange.IMAGES) {
        throw new IllegalArgumentException(message);
      }
      logger.warn(message);
    }

    private Condition conditionOf(NDArray images, NDList labels, int count) {
      Condition of;
      if (condition != null) {
        of = Given.returned(condition.apply(images, labels), "the function of condition(...)");
      } else if (denoiser.conditionKinds().contains(Condition.Kind.LABELS) && !labels.isEmpty()) {
        of = Condition.labels(labels.head());
      } else {
        of = Condition.none();
      }
      if (of.size().orElse(count) != count) {
        throw new IllegalArgumentException(
            "the condition of a batch of "
                + count
                + " images must be of as many, but was of "
                + of.size().getAsInt());
      }
      return of;
    }

    /** Of each image the term of its timestep, and the squared error of x̂_0. */
    private double[][] terms(
        NDManager batch, NDArray x0, int[] t, long first, Condition condition) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException(
            "the evaluation was interrupted after "
                + sums.images()
                + " images; those that were done are lost, unless a listener has kept their result");
      }
      try (NDManager step = batch.newSubManager()) {
        // Results go where the array on the left is: what a step makes ends with it.
        x0.attach(step);
        try {
          return terms(x0, t, first, condition);
        } finally {
          x0.attach(batch);
        }
      }
    }

    private double[][] terms(NDArray x0, int[] t, long first, Condition condition) {
      EagerOps ops = EagerOps.inference();
      Shape shape = x0.getShape();
      // 1. x_t, as the network sees it
      NDArray z =
          ((NoiseSource)
                  (image, draw, target) ->
                      source.normal(image, t[Math.toIntExact(image - first)], target))
              .array(x0.getManager(), first, 0, shape, DataType.FLOAT64);
      NoiseLevels levels = NoiseLevels.of(schedule, t);
      NDArray x = levels.noised(x0, z).toType(dataType, false);
      NDArray output = model.output(x, levels, condition);
      // 2. x̂_0 and the variance
      Answer answer =
          model.answer(
              x.toType(DataType.FLOAT64, false), levels, output.toType(DataType.FLOAT64, false));
      NDArray estimate = answer.x0();
      if (clip) {
        estimate = ChannelRanges.clip(estimate, range);
      }
      Variance variance = diffusion.variance();
      double[] least = each(t, i -> variance.leastLogVariance(schedule, i));
      double[] greatest = each(t, i -> variance.greatestLogVariance(schedule, i));
      NDArray logVariance = column(x0, i -> (least[i] + greatest[i]) / 2);
      if (answer.variance().isPresent()) {
        NDArray ofV = column(x0, i -> (greatest[i] - least[i]) / 2);
        logVariance = answer.variance().get().mul(ofV).add(logVariance);
      }
      NDArray posterior = column(x0, i -> schedule.posteriorLogVarianceClipped(t[i]));
      NDArray truth = x0;
      if (range.isPerChannel()) {
        NDArray one = column(x0, i -> 1);
        truth = ChannelRanges.toUnit(ops, x0, one, range);
        estimate = ChannelRanges.toUnit(ops, estimate, one, range);
        logVariance = ChannelRanges.logVarianceOfUnit(ops, logVariance, x0, one, range);
        posterior = ChannelRanges.logVarianceOfUnit(ops, posterior, x0, one, range);
      }
      // 3. the term; both means hold the same multiple of x_t, which is left out where it cancels
      NDArray fromX0 = column(x0, i -> schedule.posteriorMeanX0(t[i]));
      NDArray bits;
      if (t[0] == 0) {
        bits = bound.decoder(ops, truth, estimate, logVariance);
      } else {
        bits =
            VariationalBound.kl(
                ops, truth.mul(fromX0), posterior, estimate.mul(fromX0), logVariance);
      }
      double shown = DISTORTION_SCALE / (scale.max() - scale.min());
      double[] errors =
          ops.meanPerImage(ops.square(estimate.sub(truth))).mul(shown * shown).toDoubleArray();
      double[] values = bits.toDoubleArray();
      for (int i = 0; i < values.length; i++) {
        if (Double.isNaN(values[i]) || Double.isNaN(errors[i])) {
          throw new IllegalStateException(
              "the bits of image "
                  + (first + i)
                  + " at timestep "
                  + t[i]
                  + " are NaN; look at what the denoiser returns there");
        }
      }
      return new double[][] {values, errors};
    }

    private NDArray column(NDArray like, IntToDoubleFunction value) {
      double[] values = new double[Math.toIntExact(like.getShape().get(0))];
      Arrays.setAll(values, value);
      return PerImage.column(like, values);
    }

    private double[] each(int[] t, IntToDoubleFunction coefficient) {
      return Arrays.stream(t).mapToDouble(coefficient).toArray();
    }

    private void warnOfOtherLevels(NDArray x0) {
      if (warned) {
        return;
      }
      warned = true;
      double steps = (levels - 1) / 2.0;
      try (NDArray unit = ChannelRanges.toUnit(x0, range);
          NDArray places = unit.add(1).muli(steps);
          NDArray nearest = places.round();
          NDArray distances = places.sub(nearest).abs();
          NDArray greatest = distances.max()) {
        if (greatest.getDouble() > LEVEL_TOLERANCE) {
          logger.warn(
              "the images hold values that are none of {} levels over {}, so the bits are not those"
                  + " of lossless coding; set levels(...) if they have another number",
              levels,
              range);
        }
      }
    }
  }
}
