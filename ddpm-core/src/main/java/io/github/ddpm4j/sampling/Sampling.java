package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.description.EstimateLimit;
import io.github.ddpm4j.internal.description.History;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.ops.SphericalPath;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.random.Seeds;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A sampling run, set up fluently: {@code ddpm.sampling().sampler(Samplers.ddim(50)).seed(42)
 * .generate(16)}.
 *
 * <p>Image k of a seed does not depend on the batch size, the number of images or the thread: the
 * noise is bit-identical, and pixels differ only by float rounding.
 *
 * <p>A run can be executed repeatedly and gives the same images if a seed was set. Not thread-safe:
 * set up a run on one thread. Several runs can sample from one network concurrently.
 *
 * <p>Interrupting the thread stops a run between two steps with a {@link
 * java.util.concurrent.CancellationException}; the interrupt flag stays set and native memory is
 * freed.
 */
public final class Sampling {

  /** The default batch size: {@value}. */
  public static final int DEFAULT_BATCH_SIZE = 64;

  /** Of a volume. */
  private static final int MOST_AXES = 3;

  private static final Logger logger = LoggerFactory.getLogger(Sampling.class);

  /** For runs that take x as the plan makes it. */
  private final DenoisingModel model;

  private final Map<String, Object> provenance;
  private final Diffusion diffusion;
  private final Denoiser denoiser;

  /** Null for the model's own. */
  private @Nullable Sampler sampler;

  private boolean anySampler;
  private int batchSize = DEFAULT_BATCH_SIZE;
  private @Nullable Integer predictionsPerCall;
  private boolean anyRange;
  private boolean clip;
  private double thresholdRatio;
  private double thresholdMax = 1;
  private @Nullable Duration timeLimit;
  private DataType dataType = DataType.FLOAT32;
  private @Nullable Long seed;
  private @Nullable NoiseSource noise;
  private boolean noisePath;
  private @Nullable Shape shape;

  /** What {@link #step} draws by, kept from one step to the next. */
  private @Nullable Draws stepping;

  private final List<Consumer<SamplingRun.Event>> listeners = new ArrayList<>();
  private @Nullable Decoding decoding;

  /** What the next run draws again; null if it draws anew. */
  private @Nullable Recipe recipe;

  /** Whether all of the recipe's batch is kept, and not its image alone. */
  private boolean wholeBatch;

  private Condition condition = Condition.none();

  /** Attributes of all images, beside the condition; null for none. */
  private float @Nullable [] vector;

  private Guidance guidance = Guidance.none();

  private Sampling(DenoisingModel model, Map<String, Object> provenance) {
    this.model = model;
    this.provenance = provenance;
    this.diffusion = model.diffusion();
    this.denoiser = model.denoiser();
    this.shape = denoiser.imageShape().orElse(null);
    EstimateLimit limit = EstimateLimit.of(diffusion.metadata());
    this.clip = limit.clip();
    if (limit.thresholding() != null) {
      this.thresholdRatio = limit.thresholding().share();
      this.thresholdMax = limit.thresholding().greatest();
    }
  }

  /**
   * Sets up a run with the defaults, of a model of unknown provenance.
   *
   * @param model the model to sample from; the run does not close its network
   * @return a run
   */
  public static Sampling of(DenoisingModel model) {
    return of(model, Map.of());
  }

  /**
   * Sets up a run with the defaults, as {@code ddpm.sampling()} does.
   *
   * @param model the model to sample from; the run does not close its network
   * @param provenance how its weights were made, that of {@code ddpm.provenance()}, and {@value
   *     History#WEIGHTS_SHA256} if they are those of a file; empty if it is unknown; looked at
   *     whenever images are drawn. Guidance that needs what they did not learn is refused
   * @return a run
   */
  public static Sampling of(DenoisingModel model, Map<String, Object> provenance) {
    Objects.requireNonNull(provenance, "provenance");
    return new Sampling(model, Collections.unmodifiableMap(provenance));
  }

  /**
   * The sampler.
   *
   * @param sampler the default is {@link Samplers#ddpm()}, the paper's, of T network calls; for a
   *     model that was tuned for consistency, {@link Samplers#consistency} of 2 calls. Runs of such
   *     a model refuse others, and greater levels than it was tuned for, unless {@link #anySampler}
   *     is called
   * @return this run
   */
  public Sampling sampler(Sampler sampler) {
    this.sampler = Objects.requireNonNull(sampler, "sampler");
    return this;
  }

  /**
   * Takes any sampler from any level on, also with a model that was tuned for consistency. Its x̂_0
   * is no longer the mean that samplers for diffusion models step by, so that these lead elsewhere.
   *
   * @return this run
   */
  public Sampling anySampler() {
    this.anySampler = true;
    return this;
  }

  /**
   * The sampler of this run; refuses one that makes nothing of what the network was tuned to say,
   * or asks it at levels that it was not tuned for.
   */
  private Sampler usedSampler() {
    Optional<String> tunedFor = TunedFor.of(diffusion.metadata(), provenance);
    Sampler used = sampler;
    if (used == null) {
      return tunedFor.map(Samplers::parse).orElseGet(Samplers::ddpm);
    }
    if (tunedFor.isEmpty()) {
      return used;
    }
    if (!ConsistencySampler.isIn(used)) {
      if (anySampler) {
        return used;
      }
      throw new IllegalArgumentException(
          "the model was tuned for "
              + Quote.of(tunedFor.get())
              + ": its x̂_0 is the end of a way, and not the mean that "
              + used
              + " steps by; leave the sampler out, use Samplers.consistency(n), or call"
              + " anySampler() to insist");
    }
    OptionalDouble greatest = tunedUpTo();
    if (greatest.isEmpty()) {
      return used;
    }
    used = ConsistencySampler.startingAt(used, greatest.getAsDouble());
    double first = Math.min(ConsistencySampler.first(used), lastSigma());
    if (first > greatest.getAsDouble() && !anySampler) {
      throw new IllegalArgumentException(
          "the model was tuned for noise / signal up to "
              + greatest.getAsDouble()
              + ", but "
              + used
              + " asks it at "
              + first
              + "; leave its sigmaMax out, or call anySampler() to insist");
    }
    return used;
  }

  /** The greatest noise / signal that the model was tuned for; empty for ordinary models. */
  private OptionalDouble tunedUpTo() {
    return TunedFor.of(diffusion.metadata(), provenance).map(Samplers::parse).stream()
        .filter(ConsistencySampler::isIn)
        .mapToDouble(ConsistencySampler::first)
        .findFirst();
  }

  private double lastSigma() {
    return Level.last(diffusion.schedule()).sigma();
  }

  /**
   * The seed of the noise. If unset, a random seed is drawn, logged at INFO level and recorded in
   * {@link Samples#seed()}.
   *
   * @param seed any number
   * @return this run
   */
  public Sampling seed(long seed) {
    this.seed = seed;
    this.noise = null;
    this.stepping = null;
    return this;
  }

  /**
   * The noise source, instead of a seed.
   *
   * @param noise the source: draw 0 is the initial noise of an image, draw k + 1 the noise of step
   *     k and, in inpainting, draw 2³² + k that of the known pixels; with {@link #noisePath}, draws
   *     from 2³³ on make the path
   * @return this run
   */
  public Sampling noise(NoiseSource noise) {
    this.noise = Objects.requireNonNull(noise, "noise");
    this.seed = null;
    this.stepping = null;
    return this;
  }

  /**
   * Whether the noise that a sampler adds comes from one Brownian path of each image. With the same
   * seed, samplers of other numbers of steps then see the same noise, in larger and in smaller
   * pieces: pictures of 20 and of 40 steps are alike, and with more steps they converge, which
   * shows how many are enough. By default each step draws apart, and other numbers of steps are
   * other pictures.
   *
   * <p>The path is a function of the noise, the image and the signal-to-noise ratio (the increments
   * of the reverse equation's exact solution, Lu et al. 2022b, section 5). It serves all samplers
   * that go down the levels: {@link Samplers#ddpm(int)}, {@link Samplers#ddim} with η, {@link
   * Samplers#eulerAncestral}, {@link Samplers#dpmSolverPlusPlus} as stochastic, and {@link
   * Samplers#edm} with churn; {@link Samplers#resampling} goes back and is refused. What draws no
   * noise is as without it. Each number costs some 40 draws in place of one.
   *
   * @param path true for one path; the default is false
   * @return this run
   */
  public Sampling noisePath(boolean path) {
    this.noisePath = path;
    return this;
  }

  /**
   * The number of images per network call. It affects memory and speed, not the images.
   *
   * @param batchSize at least 1; the default is {@value #DEFAULT_BATCH_SIZE}
   * @return this run
   * @throws IllegalArgumentException if {@code batchSize} is less than 1
   */
  public Sampling batchSize(int batchSize) {
    if (batchSize < 1) {
      throw new IllegalArgumentException("batchSize must be at least 1, but was " + batchSize);
    }
    this.batchSize = batchSize;
    this.predictionsPerCall = null;
    return this;
  }

  /**
   * The most predictions of a network call, in place of {@link #batchSize}, which is set when the
   * run starts to as many images as these are enough for, but at least one. Without guidance they
   * are as many as the images; guidance asks about each image twice or more ({@link
   * SamplingRun#predictionsPerImage}), which takes time and memory as so many images do.
   *
   * @param most at least 1
   * @return this run
   * @throws IllegalArgumentException if {@code most} is less than 1
   */
  public Sampling predictionsPerCall(int most) {
    if (most < 1) {
      throw new IllegalArgumentException("predictionsPerCall must be at least 1, but was " + most);
    }
    this.predictionsPerCall = most;
    return this;
  }

  /**
   * Whether x̂_0 is clipped to the data range in every step, as in the authors' code. Samplers that
   * use only ε̂ ({@link Samplers#dpmSolver} and {@link Samplers#plms}) are unaffected.
   *
   * @param clip the default is true, or what the files said that a model was loaded from
   * @return this run
   */
  public Sampling clip(boolean clip) {
    this.clip = clip;
    this.thresholdRatio = 0;
    return this;
  }

  /**
   * Clips x̂_0 by dynamic thresholding (Saharia et al. 2022, section 2.3) instead of to the data
   * range: for each image, s is the {@code ratio} quantile of |x̂_0|, limited to [1, {@code
   * greatest}]; then x̂_0 is clipped to [−s, s] and divided by s, all as if the data range were
   * [−1, 1]. Intended for strong guidance, which drives x̂_0 out of the range.
   *
   * @param ratio the quantile, in (0, 1]; Imagen's is 0.995
   * @param greatest the maximum of s, at least 1; 1 is plain clipping
   * @return this run
   * @throws IllegalArgumentException if an argument is out of its range
   */
  public Sampling dynamicThresholding(double ratio, double greatest) {
    if (!(ratio > 0 && ratio <= 1) || !(greatest >= 1) || Double.isInfinite(greatest)) {
      throw new IllegalArgumentException(
          "dynamic thresholding needs a quantile in (0, 1] and a finite greatest threshold of at"
              + " least 1, but they were "
              + ratio
              + " and "
              + greatest
              + "; 0.995 and 1.5 are usual");
    }
    this.clip = true;
    this.thresholdRatio = ratio;
    this.thresholdMax = greatest;
    return this;
  }

  /**
   * The conditioning of the images.
   *
   * @param condition a condition with one entry for all images or one per image; its arrays are
   *     borrowed until the run ends. The default is {@link Condition#none()}
   * @return this run
   */
  public Sampling condition(Condition condition) {
    this.condition = Objects.requireNonNull(condition, "condition");
    this.vector = null;
    return this;
  }

  /**
   * Says in words what to draw, in the place of {@link #condition}: the name of a class or its
   * number from 0, or attributes, as {@link Attributes#vector} reads them. The case of letters does
   * not matter.
   *
   * @param prompt such as {@code "Bag"} or {@code "hat=red, glasses=dark"}; blank for nothing in
   *     particular
   * @return this run
   * @throws IllegalArgumentException if the model has no such class or attributes
   */
  public Sampling prompt(String prompt) {
    Prompt read = Prompt.of(Objects.requireNonNull(prompt, "prompt"), diffusion, denoiser);
    condition = read.condition();
    vector = read.vector();
    return this;
  }

  /**
   * The guidance towards the condition, or along any gradient.
   *
   * @param guidance the default is {@link Guidance#none()}
   * @return this run
   * @throws IllegalArgumentException if it has a second model that is not of the images of this
   *     one, or has this one's network
   */
  public Sampling guidance(Guidance guidance) {
    Objects.requireNonNull(guidance, "guidance");
    guidance.requireBeside(model);
    this.guidance = guidance;
    return this;
  }

  /**
   * Takes images whatever their values, as long as they are finite. Without it, pictures beyond
   * twice the width of the data range, about its middle, are refused: those of 0 to 255 where the
   * model has [−1, 1] give noise. Noisy images and latents are refused if their root mean square is
   * above twice that of x_t at their level; pictures that lie in [0, 1] where the model has [−1, 1]
   * are taken with a warning.
   *
   * @return this run
   */
  public Sampling anyRange() {
    this.anyRange = true;
    return this;
  }

  /**
   * The time limit of a run. After it has elapsed, the next step throws a {@link
   * java.util.concurrent.CancellationException}.
   *
   * @param limit longer than 0; by default there is no limit
   * @return this run
   * @throws IllegalArgumentException if {@code limit} is not longer than 0
   */
  public Sampling timeLimit(Duration limit) {
    if (limit.isNegative() || limit.isZero()) {
      throw new IllegalArgumentException(
          "timeLimit must be longer than 0, but was " + limit + "; leave it out for no limit");
    }
    this.timeLimit = limit;
    return this;
  }

  /**
   * The shape of one image, for networks without a fixed shape.
   *
   * @param channels C
   * @param sizes H and W; L of signals; D, H and W of volumes
   * @return this run
   * @throws IllegalArgumentException if there are no sizes or more than three, one is less than 1,
   *     or the network has a different fixed shape
   */
  public Sampling shape(int channels, int... sizes) {
    Objects.requireNonNull(sizes, "sizes");
    int least = Math.min(channels, Arrays.stream(sizes).min().orElse(0));
    if (least < 1 || sizes.length > MOST_AXES) {
      throw new IllegalArgumentException(
          "image shape must have sizes of at least 1, one of a signal, two of an image or three of"
              + " a volume, but was "
              + IntStream.concat(IntStream.of(channels), Arrays.stream(sizes))
                  .mapToObj(Integer::toString)
                  .collect(Collectors.joining(", ", "(", ")")));
    }
    Shape wanted = new Shape(channels);
    for (int size : sizes) {
      wanted = wanted.add(size);
    }
    requireShape(wanted);
    this.shape = wanted;
    return this;
  }

  private void requireShape(Shape wanted) {
    denoiser
        .imageShape()
        .filter(own -> !own.equals(wanted))
        .ifPresent(
            own -> {
              throw new IllegalArgumentException(
                  "image shape "
                      + wanted
                      + " does not match the denoiser, which is made for "
                      + own
                      + "; leave shape() out");
            });
  }

  /**
   * The data type of the run.
   *
   * @param dataType FLOAT32, the default, or FLOAT64 if the denoiser supports it
   * @return this run
   * @throws IllegalArgumentException if it is another type
   */
  public Sampling dataType(DataType dataType) {
    Objects.requireNonNull(dataType, "dataType");
    if (dataType != DataType.FLOAT32 && dataType != DataType.FLOAT64) {
      throw new IllegalArgumentException(
          "dataType of sampling must be FLOAT32 or FLOAT64, but was " + dataType);
    }
    this.dataType = dataType;
    return this;
  }

  /**
   * Adds a listener. Can be called several times.
   *
   * @param listener called after every step of every batch, in the order in which they were added
   * @return this run
   */
  public Sampling listener(Consumer<SamplingRun.Event> listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
    return this;
  }

  /**
   * What is made of the images of a run when it is finished, for a model whose images are the
   * latents of an autoencoder (Rombach et al. 2021). A run, its {@link SamplingRun.Event}s and its
   * files hold latents; {@link Samples} hold pictures.
   */
  public interface Decoding extends AutoCloseable {

    /**
     * Decodes latents.
     *
     * @param latents of one image, shape (1, C, H, W), as the model has them; neither closed nor
     *     modified
     * @return a picture of one image, shape (1, C', H', W'), float32, attached to the manager of
     *     the latents
     */
    NDArray decode(NDArray latents);

    /**
     * The range of the pictures.
     *
     * @return what is black and white
     */
    DataRange range();

    /**
     * What files of the pictures say beside how their latents were drawn.
     *
     * @param image the index of the image in the run
     * @return words by name, in their order; see {@link Samples#provenance}
     */
    Map<String, String> words(int image);

    /**
     * Frees what the run was given for itself alone, such as the arrays of its condition. Called
     * once, when the run has ended; not if it could not be started.
     */
    @Override
    void close();
  }

  /**
   * Decodes what the next run draws, when it is finished.
   *
   * @param decoding how; serves one run, which closes it
   * @return this run
   */
  public Sampling decoding(Decoding decoding) {
    this.decoding = Objects.requireNonNull(decoding, "decoding");
    return this;
  }

  /**
   * Generates images from pure noise.
   *
   * @param count the number of images, at least 1
   * @return the images; the caller closes them
   * @throws IllegalArgumentException if {@code count} is less than 1 or the sampler cannot be used
   *     with this model
   * @throws IllegalStateException if neither the denoiser nor {@link #shape} defines an image
   *     shape, or the denoiser returns NaN
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples generate(int count) {
    return finish(start(count));
  }

  /**
   * Starts generating images from pure noise, with the caller taking the steps. {@link #generate}
   * is equivalent to this followed by {@link SamplingRun#finish()}.
   *
   * @param count the number of images, at least 1
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException if {@code count} is less than 1 or the sampler cannot be used
   *     with this model
   * @throws IllegalStateException if neither the denoiser nor {@link #shape} defines an image shape
   */
  public SamplingRun start(int count) {
    return start(count, draws(), draws -> draws);
  }

  /** Draws by a noise, on a path or not, of which images may share some. */
  private SamplingRun start(int count, Draws own, UnaryOperator<Draws> shared) {
    if (count < 1) {
      throw new IllegalArgumentException("count must be at least 1, but was " + count);
    }
    Shape image = shape;
    if (image == null) {
      throw new IllegalStateException(
          "the denoiser names no image shape; call shape(channels, height, width) before"
              + " generate()");
    }
    SamplingPlan plan = planFromNoise();
    Draws draws = shared.apply(along(plan, own));
    return start(plan, draws, count, Origin.noise(plan, draws.noise(), image, dataType));
  }

  /**
   * Draws an image again from what its file says of how it was drawn: the same bits on the same
   * machine by the same versions, for which the whole batch of the image is drawn. Sampler, seed,
   * condition, guidance and batch size are taken from there, all else from this run.
   *
   * @param provenance that of {@link io.github.ddpm4j.image.Pictures#provenance} or {@link
   *     Samples#provenance}. Where it names a model, this one must be that one as far as it is
   *     known; leave {@code model} out to draw by another
   * @return the image alone; its provenance has the index in the run that drew it first. The caller
   *     closes it
   * @throws IllegalArgumentException if the words do not tell all that takes part, such as given
   *     pixels or vectors, or tell of another model or limit of x̂_0
   * @throws IllegalStateException as {@link #generate}
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples reproduce(Map<String, String> provenance) {
    return finish(startReproducing(provenance));
  }

  /**
   * Starts {@link #reproduce}, with the caller taking the steps.
   *
   * @param provenance as there
   * @return the run, before its first step; it draws the batch of the image, and {@link
   *     SamplingRun#finish} gives the image alone. The caller closes it
   * @throws IllegalArgumentException as there
   * @throws IllegalStateException if neither the denoiser nor {@link #shape} defines an image shape
   */
  public SamplingRun startReproducing(Map<String, String> provenance) {
    return startReproducing(provenance, false);
  }

  /**
   * Draws the whole batch of an image again, all of it by the condition of that image. So those of
   * its images are as they were that had the same condition.
   *
   * @param provenance as in {@link #reproduce}
   * @return the images of the batch; the provenance of each has its index in the run that drew it
   *     first. The caller closes it
   * @throws IllegalArgumentException as there
   * @throws IllegalStateException as there
   * @throws java.util.concurrent.CancellationException as there
   */
  public Samples reproduceBatch(Map<String, String> provenance) {
    return finish(startReproducing(provenance, true));
  }

  private SamplingRun startReproducing(Map<String, String> provenance, boolean batch) {
    Recipe recipe = Recipe.of(provenance);
    Object weights = this.provenance.get(History.WEIGHTS_SHA256);
    recipe.requireSame("model", weights == null ? null : weights.toString());
    Sampling again = of(model, this.provenance);
    again.shape = shape;
    again.dataType = dataType;
    again.clip = clip;
    again.thresholdRatio = thresholdRatio;
    again.thresholdMax = thresholdMax;
    again.timeLimit = timeLimit;
    again.listeners.addAll(listeners);
    again
        .sampler(recipe.sampler())
        .anySampler()
        .guidance(recipe.guidance())
        .batchSize(recipe.length());
    recipe.requireSame("limit", again.limit().name());
    again.recipe = recipe;
    again.wholeBatch = batch;
    Integer label = recipe.label();
    // Conditions of the others in the batch don't matter: an image depends on its own alone.
    again.condition(label == null ? Condition.none() : Condition.labels(label));
    again.vector = recipe.vector(diffusion);
    again.noisePath = recipe.noisePath();
    return again.start(recipe.count(), new Draws(recipe.noise(), null), draws -> draws);
  }

  /**
   * Checks that {@link #reproduce} could draw an image again by some model, before one is loaded.
   *
   * @param provenance what its file says
   * @throws IllegalArgumentException if that does not tell all that takes part
   */
  public static void requireReproducible(Map<String, String> provenance) {
    Recipe.of(provenance);
  }

  /**
   * The result of one step of the reverse process.
   *
   * @param x the images after the step, the input of the next
   * @param predictedX0 x̂_0, as the step used it
   * @param remembered the estimate stored for later rows of the plan: x̂_0 or ε̂
   */
  public record Reversed(NDArray x, NDArray predictedX0, NDArray remembered) {}

  /**
   * One reverse step, for custom loops: a network evaluation and the linear update of one row of
   * the sampler's plan, with the condition, guidance, clipping and seed of this run.
   *
   * <pre>{@code
   * SamplingPlan plan = sampler.plan(ddpm.model().diffusion());
   * NDArray x = NoiseSource.seeded(42).array(manager, 0, 0, shape, DataType.FLOAT32);
   * for (int row = 0; row < plan.steps().size(); row++) {
   *   x = run.step(row, x).x(); // of plans that look back at nothing
   * }
   * }</pre>
   *
   * <p>{@link #start} does the same and also manages stored estimates and memory; prefer it if its
   * steps suffice. Self-conditioning is not applied here.
   *
   * @param row the row of the plan, from 0
   * @param x the images before it, float32 or float64, shape (N, C, H, W), at the row's level, on
   *     the network's device; not closed. Image k receives the noise of image k of a run
   * @param past {@link Reversed#remembered} of the previous steps, latest first; as many as the row
   *     uses
   * @return new arrays of the run's {@link #dataType}, attached to the manager of {@code x}
   * @throws IndexOutOfBoundsException if the plan has no such row
   * @throws IllegalArgumentException if {@code past} has fewer estimates than the row needs, or the
   *     images or condition do not match
   */
  public Reversed step(int row, NDArray x, NDArray... past) {
    Given.open(x, "x");
    requireShape("x", x);
    Images.requireFloats("x", x, diffusion.dataRange());
    Images.requireFinite("x", x);
    SamplingPlan plan = Given.returned(usedSampler().plan(diffusion), "the sampler");
    Objects.checkIndex(row, plan.steps().size());
    int depth = plan.steps().get(row).past().size();
    if (past.length < depth) {
      throw new IllegalArgumentException(
          "row "
              + row
              + " of "
              + usedSampler()
              + " looks back at "
              + depth
              + " steps, but was given what "
              + past.length
              + " remembered; keep Reversed.remembered() of the steps before, the latest first");
    }
    NDManager owner = x.getManager();
    try (NDManager scope = owner.newSubManager(x.getDevice())) {
      Chain chain =
          new Chain(
              model,
              new Chain.Terms(plan, limit(), guidance, steppingNoise(plan), Origin.KEEP),
              conditionOf(Math.toIntExact(x.getShape().get(0)), scope),
              Images.copy(scope, x, dataType),
              0);
      List<NDArray> remembered =
          Arrays.stream(past)
              .limit(plan.depth())
              .map(one -> Images.copy(scope, one, dataType))
              .toList();
      chain.restore(row, remembered, null);
      return new PlanExecutor(model).reverse(chain, owner);
    }
  }

  private NoiseSource steppingNoise(SamplingPlan plan) {
    Draws known = stepping;
    if (known == null) {
      known = draws();
      stepping = known;
    }
    return along(plan, known).noise();
  }

  /**
   * Denoises images that already carry noise: the reverse process from x_t to x_0.
   *
   * @param xt noisy images at timestep t, float32 or float64, shape (N, C, H, W), on any device;
   *     not closed
   * @param t the timestep of the images, 0-based
   * @return the images; the caller closes them
   * @throws IllegalArgumentException if the images have the wrong shape or type, are not finite or
   *     too far from 0 for {@code t} (see {@link #anyRange}), or {@code t} is outside the schedule
   * @throws IllegalStateException if the denoiser returns NaN, or infinity that is not clipped
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples denoise(NDArray xt, int t) {
    Given.open(xt, "xt");
    return finish(startDenoising(xt, t));
  }

  /**
   * Starts {@link #denoise}, with the caller taking the steps.
   *
   * @param xt as there; borrowed until the run ends
   * @param t as there
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException as there
   */
  public SamplingRun startDenoising(NDArray xt, int t) {
    Given.open(xt, "xt");
    requireShape("x_t", xt);
    requireTimestep(t);
    given().requireSpread("x_t", xt, Level.of(diffusion.schedule(), t));
    return start(planFrom(t), xt);
  }

  /**
   * Interpolates between two pictures in the latent x_t (Ho et al. 2020, section 4.3 and figure 8):
   * both are noised to depth t with the same noise, mixed linearly, and denoised.
   *
   * <p>All fractions share the sampling noise of image 0, so that neighbours differ only in their
   * fraction.
   *
   * @param from one picture, float32 or float64, shape (C, H, W), on any device; not closed
   * @param to the other, same shape and device
   * @param t the depth, 0-based: the larger, the more the result may differ from both
   * @param fractions the interpolation positions between {@code from} (0) and {@code to} (1)
   * @return one image per fraction; the caller closes them
   * @throws IllegalArgumentException if the pictures have the wrong shape, type or range (see
   *     {@link #anyRange}) or are not finite, {@code t} is outside the schedule, or there are no
   *     fractions or one is not finite
   * @throws IllegalStateException if the denoiser returns NaN, or infinity that is not clipped
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples interpolate(NDArray from, NDArray to, int t, double... fractions) {
    Given.open(from, "from");
    Given.open(to, "to");
    Objects.requireNonNull(fractions, "fractions");
    requireEnds(from, to, fractions);
    given().requirePicture("from", from);
    given().requirePicture("to", to);
    SamplingPlan plan = planFrom(t);
    Draws draws = along(plan, draws()).alike();
    NoiseLevels levels = NoiseLevels.of(Level.of(diffusion.schedule(), t), fractions.length);
    try (NDManager manager = from.getManager().newSubManager()) {
      // One z for both ends and all that lies between.
      NDArray z =
          draws.noise().array(manager, 0, 0, new Shape(1).addAll(from.getShape()), dataType);
      NDArray one = Images.copy(manager, from, dataType);
      NDArray other = Images.copy(manager, to, dataType);
      NDList mixtures = new NDList();
      for (double fraction : fractions) {
        mixtures.add(one.mul(1 - fraction).add(other.mul(fraction)));
      }
      NDArray mixed = NDArrays.stack(mixtures);
      NDArray latents = levels.noised(mixed, z.broadcast(mixed.getShape()));
      return finish(start(plan, draws, fractions.length, Origin.given(latents, dataType)));
    }
  }

  /**
   * Interpolates spherically between two latents x_T (DDIM, section 5.3 and appendix D.5), and
   * denoises the interpolated latents as {@link #decode} does:
   *
   * <pre>
   * x_T(α) = sin((1 − α) θ) / sin θ · x_T⁰ + sin(α θ) / sin θ · x_T¹,   cos θ = x_T⁰ · x_T¹ / (‖x_T⁰‖ ‖x_T¹‖)
   * </pre>
   *
   * Latents of equal norm keep it, so that each x_T(α) is as likely as they are; linear
   * interpolation would leave too little noise in the middle. The latents come from two images, by
   * {@link #encode}, or are your own noise. All fractions share the sampling noise of image 0, if
   * the sampler adds any.
   *
   * @param from one latent, float32 or float64, shape (C, H, W), on any device; not closed
   * @param to the other, same shape and device
   * @param fractions α, the interpolation positions between {@code from} (0) and {@code to} (1)
   * @return one image per fraction; the caller closes them
   * @throws IllegalArgumentException if the latents have the wrong shape or type, are not finite,
   *     too far from 0 (see {@link #anyRange}), 0 or exactly opposite, or there are no fractions or
   *     one is not finite
   * @throws IllegalStateException if the denoiser returns NaN, or infinity that is not clipped
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples interpolateLatents(NDArray from, NDArray to, double... fractions) {
    Given.open(from, "from");
    Given.open(to, "to");
    Objects.requireNonNull(fractions, "fractions");
    requireEnds(from, to, fractions);
    SamplingPlan plan = planFromNoise();
    given().requireSpreadOfOne("from", from, plan.steps().get(0).level());
    given().requireSpreadOfOne("to", to, plan.steps().get(0).level());
    SphericalPath path = SphericalPath.between(from, to);
    try (NDManager manager = from.getManager().newSubManager()) {
      NDArray one = Images.copy(manager, from, dataType);
      NDArray other = Images.copy(manager, to, dataType);
      NDList latents = new NDList();
      for (double fraction : fractions) {
        latents.add(one.mul(path.fromWeight(fraction)).add(other.mul(path.toWeight(fraction))));
      }
      return finish(
          start(
              plan,
              along(plan, draws()).alike(),
              fractions.length,
              Origin.given(NDArrays.stack(latents), dataType)));
    }
  }

  private void requireEnds(NDArray from, NDArray to, double... fractions) {
    requireOne("from", from);
    requireOne("to", to);
    PerImage.requireLike("to", to, "from", from);
    if (fractions.length == 0) {
      throw new IllegalArgumentException("interpolation needs at least one fraction");
    }
    for (double fraction : fractions) {
      if (!Double.isFinite(fraction)) {
        throw new IllegalArgumentException(
            "fractions of an interpolation must be finite, but one was " + fraction);
      }
    }
  }

  /**
   * Generates variations of images (SDEdit, Meng et al. 2022): each is noised to a depth and
   * denoised from there.
   *
   * @param images clean images in the data range, float32 or float64, shape (N, C, H, W), on any
   *     device; not closed
   * @param strength the noising depth as a share of the schedule, above 0 and at most 1. Near 0 the
   *     images are nearly unchanged; at 1 little of them is left
   * @return one result per image; the caller closes them
   * @throws IllegalArgumentException if the images have the wrong shape, type or range (see {@link
   *     #anyRange}) or are not finite, or {@code strength} is out of range
   * @throws IllegalStateException if the denoiser returns NaN, or infinity that is not clipped
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples imageToImage(NDArray images, double strength) {
    Given.open(images, "images");
    return finish(startImageToImage(images, strength));
  }

  /**
   * Starts {@link #imageToImage}, with the caller taking the steps.
   *
   * @param images as there; borrowed until the run ends
   * @param strength as there
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException as there
   */
  public SamplingRun startImageToImage(NDArray images, double strength) {
    Given.open(images, "images");
    requireShape("images", images);
    given().requirePictures("images", images);
    if (!(strength > 0 && strength <= 1)) {
      throw new IllegalArgumentException(
          "strength must be above 0 and at most 1, but was "
              + strength
              + "; 0.5 keeps the layout of an image");
    }
    int t = (int) Math.max(0, Math.rint(strength * diffusion.schedule().timesteps()) - 1);
    SamplingPlan plan = planFrom(t);
    Draws draws = along(plan, draws());
    return start(
        plan,
        draws,
        Math.toIntExact(images.getShape().get(0)),
        Origin.noised(images, Level.of(diffusion.schedule(), t), draws.noise(), dataType));
  }

  /**
   * Inpaints images: fills in the unknown pixels (RePaint, Lugmayr et al. 2022). The known pixels
   * are replaced in each step; wrapping the sampler in {@link Samplers#resampling} harmonizes the
   * filled-in region with its surroundings.
   *
   * @param images the images, whose unknown pixels may have any finite value, float32 or float64,
   *     shape (N, C, H, W), on any device; not closed
   * @param mask 1 for known and 0 for unknown pixels, float32 or float64, shape (N, 1, H, W) or (1,
   *     1, H, W) for all images, and (N, 1, L) or (1, 1, L) for signals; not closed. Intermediate
   *     values blend the two
   * @return the images, with the known pixels exactly preserved; the caller closes them
   * @throws IllegalArgumentException if an array has the wrong shape or type or is not finite, the
   *     known pixels have the wrong range (see {@link #anyRange}), or the mask is not within [0, 1]
   * @throws IllegalStateException if the denoiser returns NaN, or infinity that is not clipped
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples inpaint(NDArray images, NDArray mask) {
    Given.open(images, "images");
    Given.open(mask, "mask");
    return finish(startInpainting(images, mask));
  }

  /**
   * Starts {@link #inpaint}, with the caller taking the steps.
   *
   * @param images as there; borrowed until the run ends
   * @param mask as there; borrowed until the run ends
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException as there
   */
  public SamplingRun startInpainting(NDArray images, NDArray mask) {
    Given.open(images, "images");
    Given.open(mask, "mask");
    requireShape("images", images);
    Images.requireFloats("images", images, diffusion.dataRange());
    KnownPixels.requireMask(mask, images);
    given().requireKnown("images", images, mask);
    SamplingPlan plan = planFromNoise();
    Draws draws = along(plan, draws());
    return start(
        plan,
        draws,
        Math.toIntExact(images.getShape().get(0)),
        Origin.inpainting(images, mask, plan, draws.noise(), dataType));
  }

  /**
   * Generates images that share a latent x_t (Ho et al. 2020, section 4.3 and figure 7): the noise
   * is shared down to t and individual from there. The smaller t, the more the images share. Costs
   * as much as {@link #generate}.
   *
   * @param t the timestep down to which the images are identical, 0-based; if the sampler does not
   *     visit it, the next lower one
   * @param count the number of images, at least 1
   * @return the images; the caller closes them
   * @throws IllegalArgumentException if {@code count} is less than 1, or {@code t} is outside the
   *     schedule
   * @throws IllegalStateException if no image shape is known, the sampler adds no noise after t, so
   *     that all images would be identical, or the denoiser returns NaN
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples generateSharing(int t, int count) {
    requireTimestep(t);
    List<SamplingPlan.Step> rows =
        Given.returned(usedSampler().plan(diffusion), "the sampler").steps();
    int shared = 0;
    while (shared < rows.size() && rows.get(shared).timestep() > t) {
      shared++;
    }
    if (rows.stream().skip(shared).allMatch(row -> row.noiseHigh() == 0)) {
      throw new IllegalStateException(
          usedSampler()
              + " adds no noise after timestep "
              + t
              + ", so all images would be one; use ddpm() or ddim(steps).eta(1), or a greater"
              + " timestep");
    }
    long last = shared;
    return finish(start(count, draws(), draws -> draws.alikeUpTo(last)));
  }

  /**
   * Encodes images as latents by DDIM inversion (Song, Meng, Ermon 2021, section 4.3). {@link
   * #decode} in a run with the same clipping reconstructs them; the more steps both take, the
   * closer the reconstruction. Uses the run's condition; its sampler, guidance and seed are
   * ignored.
   *
   * <p>Networks that predict x_0 or as EDM does know the noise of noisy images alone. With these,
   * the images are taken as x at timestep 0, which differs from them by that little noise; decode
   * with {@code endAtFirstTimestep(true)} then.
   *
   * @param images clean images in the data range, float32 or float64, shape (N, C, H, W), on any
   *     device; not closed
   * @param steps the number of network calls, from 1 to T
   * @return x_T of each image, a latent and not a picture; the caller closes it
   * @throws IllegalArgumentException if the images have the wrong shape, type or range (see {@link
   *     #anyRange}) or are not finite, {@code steps} is out of range, or the network predicts the
   *     previous mean
   * @throws IllegalStateException if the denoiser returns NaN
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples encode(NDArray images, int steps) {
    Given.open(images, "images");
    requireShape("images", images);
    given().requirePictures("images", images);
    Sampling up = new Sampling(model, provenance);
    up.batchSize = batchSize;
    up.predictionsPerCall = predictionsPerCall;
    up.condition = condition;
    up.vector = vector;
    up.listeners.addAll(listeners);
    up.timeLimit = timeLimit;
    up.clip = clip;
    up.thresholdRatio = thresholdRatio;
    up.thresholdMax = thresholdMax;
    return finish(
        up.start(
            Samplers.ddim(steps)
                .spacing(TimestepSpacing.TRAILING)
                .endAtFirstTimestep(DdimInversion.needsNoise(diffusion.prediction()))
                .inversion()
                .plan(diffusion),
            new Draws(NoiseSource.seeded(0), null),
            Math.toIntExact(images.getShape().get(0)),
            Origin.given(images, dataType)));
  }

  /**
   * Denoises given latents x_T instead of random noise: those of {@link #encode}, with {@code
   * Samplers.ddim(steps).spacing(TimestepSpacing.TRAILING)}, or your own, scaled like the sampler's
   * initial noise.
   *
   * @param latents x_T, float32 or float64, shape (N, C, H, W), on any device; not closed
   * @return the images; the caller closes them
   * @throws IllegalArgumentException if the latents have the wrong shape or type, are not finite or
   *     too far from 0 (see {@link #anyRange})
   * @throws IllegalStateException if the denoiser returns NaN, or infinity that is not clipped
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Samples decode(NDArray latents) {
    Given.open(latents, "latents");
    return finish(startDecoding(latents));
  }

  /**
   * Starts {@link #decode}, with the caller taking the steps.
   *
   * @param latents as there; borrowed until the run ends
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException as there
   */
  public SamplingRun startDecoding(NDArray latents) {
    Given.open(latents, "latents");
    requireShape("latents", latents);
    SamplingPlan plan = planFromNoise();
    given().requireSpread("latents", latents, plan.steps().get(0).level());
    return start(plan, latents);
  }

  private SamplingRun start(SamplingPlan plan, NDArray from) {
    return start(
        plan,
        along(plan, draws()),
        Math.toIntExact(from.getShape().get(0)),
        Origin.given(from, dataType));
  }

  private SamplingPlan planFromNoise() {
    SamplingPlan plan = Given.returned(usedSampler().plan(diffusion), "the sampler");
    UsualSpacing.warning(plan, diffusion.schedule())
        .ifPresent(warning -> logger.warn("{}: {}", usedSampler(), warning));
    return plan;
  }

  private SamplingPlan planFrom(int t) {
    requireTimestep(t);
    Sampler used = usedSampler();
    requireTunedAt(t, used);
    return used.plan(diffusion, t);
  }

  /** A run from a timestep makes its first call there. */
  private void requireTunedAt(int t, Sampler used) {
    double sigma = Level.of(diffusion.schedule(), t).sigma();
    tunedUpTo()
        .ifPresent(
            greatest -> {
              if (sigma > greatest && !anySampler && ConsistencySampler.isIn(used)) {
                throw new IllegalArgumentException(
                    "the model was tuned for noise / signal up to "
                        + greatest
                        + ", but timestep "
                        + t
                        + " has "
                        + sigma
                        + "; start at a smaller timestep or strength, or call anySampler() to"
                        + " insist");
              }
            });
  }

  private void requireTimestep(int t) {
    int timesteps = diffusion.schedule().timesteps();
    if (t < 0 || t >= timesteps) {
      throw new IllegalArgumentException(
          "start timestep must lie in [0, "
              + timesteps
              + "), but was "
              + t
              + "; choose one of these: the larger it is, the less is kept of the images");
    }
  }

  private Draws draws() {
    if (noise != null) {
      return new Draws(noise, null);
    }
    long value = Seeds.orDrawn(seed, logger, "sampling");
    return new Draws(NoiseSource.seeded(value), value);
  }

  /** On one path, if that is wanted. */
  private Draws along(SamplingPlan plan, Draws draws) {
    return noisePath
        ? new Draws(NoisePath.along(plan, usedSampler(), draws.noise()), draws.seed())
        : draws;
  }

  private SamplingRun start(SamplingPlan plan, Draws draws, int count, Origin origin) {
    plan.warning().ifPresent(warning -> logger.warn("{}: {}", usedSampler(), warning));
    NDManager results = Machine.newManager(denoiser.device().orElse(null));
    boolean started = false;
    try {
      SamplingRun run = start(plan, draws, count, origin, results);
      started = true;
      return run;
    } finally {
      if (!started) {
        results.close();
      }
    }
  }

  /** The manager holds the images, and what the condition borrows. */
  private SamplingRun start(
      SamplingPlan plan, Draws draws, int count, Origin origin, NDManager results) {
    Condition own = conditionOf(count, results);
    Shape images = new Shape(count).addAll(origin.image());
    requireUsable(plan, images, own);
    guidance.measurements().forEach(one -> one.requireFit(images, dataType, results));
    int batch = batchSize(plan, own);
    SamplingRun.Job job =
        new SamplingRun.Job(
            model,
            plan,
            limit(),
            guidance,
            own,
            draws.noise(),
            noisePath,
            draws.seed(),
            count,
            batch,
            origin,
            notes(draws, count, own, origin, batch),
            kept(count));
    Decoding forThisRun = decoding;
    SamplingRun run =
        new SamplingRun(
            new PlanExecutor(model), job, List.copyOf(listeners), timeLimit, forThisRun, results);
    decoding = null;
    return run;
  }

  private SamplingRun.@Nullable Kept kept(int count) {
    if (recipe == null) {
      return null;
    }
    return wholeBatch
        ? new SamplingRun.Kept(0, count, recipe.seed())
        : new SamplingRun.Kept(recipe.place(), recipe.place() + 1, recipe.seed());
  }

  private long firstIndex() {
    return recipe == null ? 0 : recipe.image() - (wholeBatch ? recipe.place() : 0);
  }

  private int batchSize(SamplingPlan plan, Condition own) {
    return predictionsPerCall == null
        ? batchSize
        : Math.max(
            1,
            predictionsPerCall
                / Arrays.stream(guidance.predictions(own, plan)).max().orElseThrow());
  }

  private SampleNotes notes(Draws draws, int count, Condition own, Origin origin, int batch) {
    Map<String, String> words = new LinkedHashMap<>();
    Object model = provenance.get(History.WEIGHTS_SHA256);
    if (model != null) {
      words.put("model", model.toString());
    }
    words.put("use", origin.use());
    words.put("sampler", usedSampler().toString());
    Long seedOfAll = recipe == null ? draws.seed() : Long.valueOf(recipe.seed());
    if (seedOfAll != null) {
      words.put("seed", seedOfAll.toString());
    }
    if (noisePath) {
      words.put("noisePath", "true");
    }
    words.put("images", Long.toString(recipe == null ? count : recipe.images()));
    words.put("batchSize", Integer.toString(batch));
    words.put("guidance", guidance.text());
    words.put("limit", limit().name());
    Decoding known = decoding;
    List<Map<String, String>> beside = new ArrayList<>();
    for (int i = 0; known != null && i < count; i++) {
      beside.add(new LinkedHashMap<>(known.words(i)));
    }
    return new SampleNotes(words, beside, own, diffusion, firstIndex());
  }

  private static Samples finish(SamplingRun run) {
    try (run) {
      return run.finish();
    }
  }

  /** What the network would refuse in the first step, or in a later one. */
  private void requireUsable(SamplingPlan plan, Shape images, Condition own) {
    denoiser.requireUsable(images, dataType, own);
    guidance.requireUsable(diffusion, plan, images, dataType, own);
    for (Condition towards : guidance.conditions()) {
      denoiser.requireUsable(images, dataType, towards);
      guidance.requireUsable(diffusion, plan, images, dataType, towards);
    }
    plan.steps().forEach(row -> model.told(NoiseLevels.of(row.level(), 1)));
  }

  /** The condition of each image; one for all is repeated. */
  private Condition conditionOf(int count, NDManager manager) {
    float[] given = vector;
    Condition all =
        given == null
            ? condition
            : condition.and(
                Condition.vectors(Upload.floats(manager, given, new Shape(1, given.length))));
    int size = all.size().orElse(count);
    if (size != 1 && size != count) {
      throw new IllegalArgumentException(
          "the condition must be of 1 image, which stands for all, or of each of the "
              + count
              + " that are drawn, but is of "
              + size);
    }
    Guidance.requireNoEstimate("the condition", all);
    guidance.requireFit(all, count);
    guidance.requireLearned(all, provenance);
    return size == count ? all : all.select(new int[count]);
  }

  private X0Limit limit() {
    if (!clip) {
      return X0Limit.none();
    }
    return thresholdRatio == 0
        ? X0Limit.clip(diffusion.dataRange())
        : X0Limit.dynamic(diffusion.dataRange(), thresholdRatio, thresholdMax);
  }

  private GivenImages given() {
    return new GivenImages(diffusion.dataRange(), anyRange);
  }

  private void requireShape(String name, NDArray images) {
    Images.requireBatch(name, images, Optional.ofNullable(shape));
  }

  private void requireOne(String name, NDArray picture) {
    Shape own = picture.getShape();
    if (shape == null ? own.dimension() != 3 : !own.equals(shape)) {
      throw new IllegalArgumentException(
          name
              + " must be one picture of shape "
              + (shape == null ? "(C, H, W)" : shape)
              + ", but had "
              + own);
    }
    Images.requireFloats(name, picture, diffusion.dataRange());
  }
}
