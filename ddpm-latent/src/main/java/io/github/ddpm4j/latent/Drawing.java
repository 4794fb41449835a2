package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.random.Seeds;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.schedule.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A request for pictures of a {@link TextToImage} or {@link LatentDiffusion}, set up fluently.
 *
 * <pre>{@code
 * try (Samples pictures =
 *     model.prompt("a red dog").negativePrompt("blurred").guidance(7.5).seed(42).generate(4)) {
 *   pictures.saveGrid(Path.of("dogs.png"));
 * }
 * }</pre>
 *
 * <p>It is a {@link Sampling} in the space of latents, and its runs are those of that class: they
 * can be watched, cancelled, saved, and {@linkplain SamplingRun#advance advanced together},
 * whatever their prompts, guidance, samplers and steps. What a run shows between two steps is
 * latents ({@link LatentDiffusion#preview}, {@link Autoencoder#decode}); what it gives at its end
 * is pictures in [−1, 1], whose files say how they were drawn: beside what {@link
 * Samples#provenance} says, {@code pipeline}, {@code model}, {@code prompt} and {@code
 * negativePrompt}.
 *
 * <p>Picture k of a seed depends neither on the batch size nor on the number of pictures. Can be
 * used repeatedly. Not thread-safe.
 */
public final class Drawing {

  /** The default number of steps: {@value}. */
  public static final int DEFAULT_STEPS = 50;

  /** The default number of pictures per network call: {@value}. */
  public static final int DEFAULT_BATCH_SIZE = 4;

  private static final Logger logger = LoggerFactory.getLogger(Drawing.class);

  private final LatentDiffusion model;
  private final @Nullable TextToImage text;
  private List<String> prompts = List.of();
  private List<String> negatives = List.of("");
  private double guidance;
  private int skippedLayers;
  private boolean weightedPrompts;
  private @Nullable Sampler sampler;
  private int steps = DEFAULT_STEPS;
  private @Nullable Long seed;
  private @Nullable NoiseSource noise;
  private int height;
  private int width;
  private int batchSize = DEFAULT_BATCH_SIZE;
  private @Nullable Duration timeLimit;
  private final List<Consumer<SamplingRun.Event>> listeners = new ArrayList<>();

  Drawing(LatentDiffusion model, @Nullable TextToImage text) {
    this.model = model;
    this.text = text;
    guidance = model.type().guidance;
    Shape own = model.network().config().imageShape();
    height = Math.toIntExact(own.get(1)) * model.autoencoder().factor();
    width = Math.toIntExact(own.get(2)) * model.autoencoder().factor();
  }

  /* ---------------- What is drawn ---------------- */

  /**
   * What the pictures show.
   *
   * @param texts one text or several; each is drawn as often as is asked for, those of the first
   *     text first
   * @return this request
   * @throws IllegalArgumentException if there is no text
   * @throws IllegalStateException if the model draws without a text
   */
  public Drawing prompt(String... texts) {
    prompts = texts("prompts", texts);
    return this;
  }

  /**
   * What the pictures are to stay away from. It takes the place of the empty text in guidance, and
   * so has no effect at a scale of 1.
   *
   * @param texts one text for all prompts, or one for each; by default empty
   * @return this request
   * @throws IllegalArgumentException if there is no text
   * @throws IllegalStateException if the model draws without a text
   */
  public Drawing negativePrompt(String... texts) {
    negatives = texts("negative prompts", texts);
    return this;
  }

  /**
   * Reads weights in prompts and negative prompts, and encodes all of them however long they are,
   * as AUTOMATIC1111's web interface does.
   *
   * <p>{@code (word:1.2)} weighs what is in brackets 1.2, {@code (word)} 1.1 and {@code [word]} 1 /
   * 1.1. Brackets in brackets multiply. A backslash makes a bracket text. {@code BREAK} begins a
   * new chunk. Without this call all of these are text, and what is beyond the {@link
   * Tokenizer#length tokens} of one chunk is cut off.
   *
   * <p>Chunks are encoded one by one, and the network attends to all of their vectors. Weights
   * multiply the vectors that the text encoder made, whose mean is then restored:
   *
   * <pre>c = z · w · mean(z) / mean(z · w)</pre>
   *
   * <p>A chunk that is full ends behind its last comma, if no more than 20 tokens follow it. Texts
   * with fewer chunks than others of the request get empty ones. Pictures say {@code promptWeights}
   * beside their prompts. A {@code start} refuses a weight that is no number, by {@link
   * IllegalArgumentException}.
   *
   * @return this request
   * @throws IllegalStateException if the model draws without a text
   */
  public Drawing weightedPrompts() {
    if (text == null) {
      throw new IllegalStateException(
          "this model draws without a text, so there are no weights of words");
    }
    weightedPrompts = true;
    return this;
  }

  private List<String> texts(String name, String... texts) {
    if (text == null) {
      throw new IllegalStateException(
          "this model draws without a text, so it takes no "
              + name
              + "; load one that does by TextToImage.load(folder)");
    }
    if (texts.length == 0) {
      throw new IllegalArgumentException(name + " must be at least 1, but were 0");
    }
    return List.of(texts);
  }

  /**
   * The scale of classifier-free guidance towards the prompt, away from the negative one (Ho and
   * Salimans 2022):
   *
   * <pre>out' = out(negative) + scale · (out(prompt) − out(negative))</pre>
   *
   * @param scale 1 for none; by default that of the model's pipeline in diffusers: 7.5 for Stable
   *     Diffusion, 1 for latent diffusion, whose authors took 5 to 10
   * @return this request
   * @throws IllegalArgumentException if it is not finite
   * @throws IllegalStateException if the model draws without a text
   */
  public Drawing guidance(double scale) {
    if (text == null) {
      throw new IllegalStateException(
          "this model draws without a text, so there is nothing to guide towards");
    }
    if (!Double.isFinite(scale)) {
      throw new IllegalArgumentException("guidance must be finite, but was " + scale);
    }
    guidance = scale;
    return this;
  }

  /**
   * The number of layers of the text encoder that are left out ("clip skip"), for models that were
   * trained so. It holds for prompts and negative prompts alike.
   *
   * @param layers 0, the default, for the whole encoder
   * @return this request
   * @throws IllegalArgumentException if it is negative
   */
  public Drawing clipSkip(int layers) {
    if (layers < 0) {
      throw new IllegalArgumentException("clipSkip must be at least 0, but was " + layers);
    }
    skippedLayers = layers;
    return this;
  }

  /**
   * The size of the pictures.
   *
   * @param height the rows
   * @param width the columns; by default both are those that the network was trained on
   * @return this request
   * @throws IllegalArgumentException if one is not a positive multiple of {@link
   *     Autoencoder#factor}
   */
  public Drawing size(int height, int width) {
    int factor = model.autoencoder().factor();
    if (height < 1 || width < 1 || height % factor != 0 || width % factor != 0) {
      throw new IllegalArgumentException(
          "height and width must be positive multiples of "
              + factor
              + ", by which the autoencoder makes pictures larger than latents, but were "
              + height
              + " and "
              + width);
    }
    this.height = height;
    this.width = width;
    return this;
  }

  /* ---------------- How it is drawn ---------------- */

  /**
   * The sampler.
   *
   * @param sampler by default the one that the files suggest, with {@link #steps}
   * @return this request
   */
  public Drawing sampler(Sampler sampler) {
    this.sampler = Objects.requireNonNull(sampler, "sampler");
    return this;
  }

  /**
   * The number of steps of the sampler that the files suggest.
   *
   * @param steps at least 1; the default is {@value #DEFAULT_STEPS}
   * @return this request
   * @throws IllegalArgumentException if it is less than 1
   */
  public Drawing steps(int steps) {
    if (steps < 1) {
      throw new IllegalArgumentException("steps must be at least 1, but were " + steps);
    }
    this.steps = steps;
    sampler = null;
    return this;
  }

  /**
   * The seed of the noise; by default a random one, which is logged and recorded.
   *
   * @param seed any number
   * @return this request
   */
  public Drawing seed(long seed) {
    this.seed = seed;
    noise = null;
    return this;
  }

  /**
   * The noise itself, instead of a seed.
   *
   * @param noise as for {@link Sampling#noise}; draw 2³³ is that of the autoencoder's distribution
   *     of latents
   * @return this request
   */
  public Drawing noise(NoiseSource noise) {
    this.noise = Objects.requireNonNull(noise, "noise");
    seed = null;
    return this;
  }

  /**
   * The number of pictures per network call, each of them twice with guidance. It affects memory
   * and speed, not the pictures.
   *
   * @param pictures at least 1; the default is {@value #DEFAULT_BATCH_SIZE}
   * @return this request
   * @throws IllegalArgumentException if it is less than 1
   */
  public Drawing batchSize(int pictures) {
    if (pictures < 1) {
      throw new IllegalArgumentException("batchSize must be at least 1, but was " + pictures);
    }
    batchSize = pictures;
    return this;
  }

  /**
   * The time limit of a run, as {@link Sampling#timeLimit}.
   *
   * @param limit longer than 0; by default there is none
   * @return this request
   * @throws IllegalArgumentException if it is not longer than 0
   */
  public Drawing timeLimit(Duration limit) {
    if (limit.isNegative() || limit.isZero()) {
      throw new IllegalArgumentException("timeLimit must be longer than 0, but was " + limit);
    }
    timeLimit = limit;
    return this;
  }

  /**
   * Adds a listener, which hears of latents.
   *
   * @param listener called after every step of every batch
   * @return this request
   */
  public Drawing listener(Consumer<SamplingRun.Event> listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
    return this;
  }

  /* ---------------- From noise ---------------- */

  /**
   * Draws pictures from noise.
   *
   * @param perPrompt how many of each prompt, at least 1; without a text, how many
   * @return the pictures; the caller closes them
   * @throws IllegalArgumentException as {@link #start}
   * @throws IllegalStateException as {@link #start}, or if a network returns NaN
   * @throws java.util.concurrent.CancellationException if the thread is interrupted or the time is
   *     over
   */
  public Samples generate(int perPrompt) {
    return finish(start(perPrompt));
  }

  /**
   * Starts {@link #generate}, with the caller taking the steps.
   *
   * @param perPrompt how many of each prompt, at least 1; without a text, how many
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException if the number is less than 1, there is another number of
   *     negative prompts than 1 or that of the prompts, or sampler or clip skip do not go with the
   *     model
   * @throws IllegalStateException if no prompt was set, the model is closed, or its network must
   *     see a picture: use {@link #inpaint}
   */
  public SamplingRun start(int perPrompt) {
    if (perPrompt < 1) {
      throw new IllegalArgumentException(
          "pictures per prompt must be at least 1, but were " + perPrompt);
    }
    requireNoPicture("start from noise alone");
    int count = Math.multiplyExact(perPrompt, text == null ? 1 : Math.max(1, prompts.size()));
    int[] rows = IntStream.range(0, count).map(i -> i / perPrompt).toArray();
    return started(rows, height, width, null, (sampling, scope, draws) -> sampling.start(count));
  }

  /* ---------------- Between pictures ---------------- */

  /**
   * Draws the way from one picture to another: the latents that they start from go along the sphere
   * through both, as {@link Sampling#interpolateLatents} has it, and the contexts of two prompts
   * along a line. The ends, at 0 and 1, are pictures 0 and 1 of the seed; with a sampler that draws
   * no noise on its way they are those of {@code generate(1)} for two prompts. Other samplers use
   * the noise of picture 0 in all.
   *
   * @param fractions where to draw, from 0 for the first to 1 for the last
   * @return one picture for each; the caller closes them
   * @throws IllegalArgumentException as {@link #start}, if there is no fraction or one is not
   *     finite, or there are more than two prompts
   * @throws IllegalStateException as {@link #generate}
   * @throws java.util.concurrent.CancellationException as {@link #generate}
   */
  public Samples interpolate(double... fractions) {
    return finish(startInterpolation(fractions));
  }

  /**
   * Starts {@link #interpolate}, with the caller taking the steps.
   *
   * @param fractions as there
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException as there
   * @throws IllegalStateException as {@link #start}
   */
  public SamplingRun startInterpolation(double... fractions) {
    double[] own = fractions.clone();
    if (own.length == 0) {
      throw new IllegalArgumentException("interpolation needs at least one fraction");
    }
    for (double fraction : own) {
      if (!Double.isFinite(fraction)) {
        throw new IllegalArgumentException(
            "fractions of an interpolation must be finite, but one was " + fraction);
      }
    }
    if (prompts.size() > 2) {
      throw new IllegalArgumentException(
          "prompts to interpolate between must be 2, or 1 for all, but were " + prompts.size());
    }
    requireNoPicture("start from noise alone");
    return startedMixed(MixedStarts.between(own), true);
  }

  /**
   * Draws variations of one picture: what picture k starts from lies between the noise of that
   * picture and its own, on the sphere through both. Picture {@code picture} is among them,
   * unchanged. Samplers that draw noise on their way use that of the one picture.
   *
   * @param picture which picture of the seed, from 0
   * @param strength how far from it: 0 gives that picture alone, 1 those that {@code
   *     generate(count)} starts from
   * @param count the number of pictures, at least 1
   * @return the pictures; the caller closes them
   * @throws IllegalArgumentException as {@link #start}, if the picture is negative, the strength is
   *     not in [0, 1], or there is more than one prompt
   * @throws IllegalStateException as {@link #generate}
   * @throws java.util.concurrent.CancellationException as {@link #generate}
   */
  public Samples variations(int picture, double strength, int count) {
    return finish(startVariations(picture, strength, count));
  }

  /**
   * Starts {@link #variations}, with the caller taking the steps.
   *
   * @param picture as there
   * @param strength as there
   * @param count as there
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException as there
   * @throws IllegalStateException as {@link #start}
   */
  public SamplingRun startVariations(int picture, double strength, int count) {
    if (picture < 0) {
      throw new IllegalArgumentException("the picture must be at least 0, but was " + picture);
    }
    if (!(strength >= 0 && strength <= 1)) {
      throw new IllegalArgumentException("strength must be in [0, 1], but was " + strength);
    }
    if (count < 1) {
      throw new IllegalArgumentException("pictures must be at least 1, but were " + count);
    }
    if (prompts.size() > 1) {
      throw new IllegalArgumentException(
          "variations are of one prompt, but there were " + prompts.size());
    }
    requireNoPicture("start from noise alone");
    return startedMixed(MixedStarts.around(picture, strength, count), false);
  }

  /* ---------------- From pictures ---------------- */

  /**
   * Draws anew from pictures, which it keeps more or less of (SDEdit, Meng et al. 2022): their
   * latents are noised to the level from where the last steps of the sampler go, and denoised.
   *
   * @param pictures in [−1, 1], float32, shape (N, 3, H, W), sizes multiples of {@link
   *     Autoencoder#factor}; not closed. {@link #size} is not looked at
   * @param strength the share of the steps that are taken, rounded down to whole steps, above 0 and
   *     at most 1
   * @return one picture for each; the caller closes them
   * @throws IllegalArgumentException if an argument is invalid, there are prompts for another
   *     number of pictures, or the strength makes less than one step
   * @throws IllegalStateException as {@link #generate}
   * @throws java.util.concurrent.CancellationException as {@link #generate}
   */
  public Samples imageToImage(NDArray pictures, double strength) {
    return finish(startImageToImage(pictures, strength));
  }

  /**
   * Starts {@link #imageToImage}, with the caller taking the steps.
   *
   * @param pictures as there; not looked at after this
   * @param strength as there
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException as there
   * @throws IllegalStateException as there
   */
  public SamplingRun startImageToImage(NDArray pictures, double strength) {
    requireNoPicture("imageToImage");
    requirePictures(pictures);
    int t = timestep(strength);
    Shape shape = pictures.getShape();
    int count = Math.toIntExact(shape.get(0));
    return started(
        rowsOf(count),
        shape.get(2),
        shape.get(3),
        null,
        (sampling, scope, draws) -> {
          NDArray latents = DrawnLatents.of(pictures, model.autoencoder(), scope, draws);
          NDArray z = draws.array(scope, 0, 0, latents.getShape(), DataType.FLOAT32);
          NoiseLevels levels = NoiseLevels.of(Level.of(model.ddpm().schedule(), t), count);
          return sampling.anyRange().startDenoising(levels.noised(latents, z), t);
        });
  }

  /** The timestep at which the last steps of the sampler begin. */
  private int timestep(double strength) {
    if (!(strength > 0 && strength <= 1)) {
      throw new IllegalArgumentException(
          "strength must be above 0 and at most 1, but was "
              + strength
              + "; 0.5 keeps the layout of a picture");
    }
    Diffusion diffusion = model.ddpm().model().diffusion();
    // Samplers that ask twice at a level visit it once.
    double[] visited =
        sampler().plan(diffusion).steps().stream()
            .mapToDouble(row -> row.timestep())
            .distinct()
            .toArray();
    int taken = (int) Math.floor(visited.length * strength + 1e-9);
    if (taken < 1) {
      throw new IllegalArgumentException(
          "strength "
              + strength
              + " of "
              + visited.length
              + " steps is less than one step; use at least "
              + 1.0 / visited.length
              + ", or more steps");
    }
    return (int) Math.rint(visited[visited.length - taken]);
  }

  /**
   * Fills in what is not known of pictures, as the prompt says. A network that was trained for it
   * sees what is known of the picture at every step (9 channels of Stable Diffusion); with another
   * one, the known latents are put back after every step, as {@link Sampling#inpaint} does. Either
   * way the known part comes from the autoencoder, so that its pixels are about those of the
   * picture.
   *
   * @param pictures in [−1, 1], float32, shape (N, 3, H, W), sizes multiples of {@link
   *     Autoencoder#factor}; not closed. {@link #size} is not looked at
   * @param mask 1 for known and 0 for unknown pixels, float32, shape (N, 1, H, W) or (1, 1, H, W);
   *     not closed. Values up to 0.5 are unknown. It is the opposite of diffusers' mask
   * @return one picture for each; the caller closes them
   * @throws IllegalArgumentException if an argument is invalid, or there are prompts for another
   *     number of pictures
   * @throws IllegalStateException as {@link #generate}
   * @throws java.util.concurrent.CancellationException as {@link #generate}
   */
  public Samples inpaint(NDArray pictures, NDArray mask) {
    return finish(startInpainting(pictures, mask));
  }

  /**
   * Starts {@link #inpaint}, with the caller taking the steps.
   *
   * @param pictures as there; not looked at after this
   * @param mask as there; not looked at after this
   * @return the run, before its first step; the caller closes it
   * @throws IllegalArgumentException as there
   * @throws IllegalStateException as there
   */
  public SamplingRun startInpainting(NDArray pictures, NDArray mask) {
    requirePictures(pictures);
    KnownPart known = KnownPart.of(mask, pictures, model.autoencoder().factor());
    Shape shape = pictures.getShape();
    int count = Math.toIntExact(shape.get(0));
    if (seesPicture()) {
      return started(
          rowsOf(count),
          shape.get(2),
          shape.get(3),
          (scope, draws) -> {
            NDArray seen =
                DrawnLatents.of(known.keptOf(scope, pictures), model.autoencoder(), scope, draws);
            NDArray beside = NDArrays.concat(new NDList(known.unknown(scope), seen), 1);
            beside.attach(scope);
            return Condition.images(beside).kept();
          },
          (sampling, scope, draws) -> sampling.start(count));
    }
    return started(
        rowsOf(count),
        shape.get(2),
        shape.get(3),
        null,
        (sampling, scope, draws) ->
            sampling
                .anyRange()
                .startInpainting(
                    DrawnLatents.of(pictures, model.autoencoder(), scope, draws),
                    known.known(scope)));
  }

  private boolean seesPicture() {
    return model.network().config().imageCondition() > 0;
  }

  private void requireNoPicture(String doing) {
    if (seesPicture()) {
      throw new IllegalStateException(
          "this network was trained to see what is known of a picture, so it cannot "
              + doing
              + "; use inpaint(pictures, mask), with a mask of 0 for nothing known");
    }
  }

  private void requirePictures(NDArray pictures) {
    model.autoencoder().requireImages(Objects.requireNonNull(pictures, "pictures"));
    Images.Extent extent = Images.Extent.of(pictures);
    if (!(extent.least() >= -1.5 && extent.greatest() <= 1.5)) {
      throw new IllegalArgumentException(
          "pictures must be in [-1, 1], but lie in ["
              + extent.least()
              + ", "
              + extent.greatest()
              + "]; map those of 0 to 255 by x / 127.5 - 1");
    }
  }

  private int[] rowsOf(int pictures) {
    if (prompts.size() > 1 && prompts.size() != pictures) {
      throw new IllegalArgumentException(
          "prompts must be 1 for all pictures or one for each of the "
              + pictures
              + ", but were "
              + prompts.size());
    }
    return IntStream.range(0, pictures).map(i -> prompts.size() > 1 ? i : 0).toArray();
  }

  /* ---------------- Runs ---------------- */

  /** Of pictures that start between others; prompts go from the first to the last, or stay. */
  private SamplingRun startedMixed(MixedStarts starts, boolean promptsGo) {
    double[] fractions = starts.fractions();
    return started(
        new int[fractions.length],
        height,
        width,
        null,
        starts,
        promptsGo,
        (sampling, scope, draws) -> sampling.start(fractions.length));
  }

  private interface Beside {
    Condition of(NDManager scope, NoiseSource draws);
  }

  private interface Start {
    SamplingRun of(Sampling sampling, NDManager scope, NoiseSource draws);
  }

  private Sampler sampler() {
    return sampler == null ? model.sampler(steps) : sampler;
  }

  /**
   * Starts a run, which then owns what was made for it.
   *
   * @param rows for each picture, which of the prompts it shows
   */
  private SamplingRun started(
      int[] rows, long pictureHeight, long pictureWidth, @Nullable Beside beside, Start start) {
    return started(rows, pictureHeight, pictureWidth, beside, null, false, start);
  }

  /**
   * The same.
   *
   * @param mixed between which pictures these start, or null
   * @param promptsGo whether they lie as far between prompts
   */
  private SamplingRun started(
      int[] rows,
      long pictureHeight,
      long pictureWidth,
      @Nullable Beside beside,
      @Nullable MixedStarts mixed,
      boolean promptsGo,
      Start start) {
    Prompts shown = text == null ? null : Prompts.of(prompts, negatives, weightedPrompts);
    if (shown != null && guidance == 1 && shown.hasNegatives()) {
      logger.warn("negative prompts have no effect with guidance 1; call guidance(scale)");
    }
    int factor = model.autoencoder().factor();
    SizedNetworks.Use use =
        model
            .networks()
            .of(Math.toIntExact(pictureHeight / factor), Math.toIntExact(pictureWidth / factor));
    NDManager scope = Machine.newManager(model.autoencoder().device());
    boolean done = false;
    try {
      Sampling sampling = model.sampling(use).sampler(sampler()).batchSize(batchSize);
      NoiseSource draws = noise;
      @Nullable Long known = null;
      if (draws == null) {
        known = Seeds.orDrawn(seed, logger, "drawing");
        draws = NoiseSource.seeded(known);
        sampling.seed(known);
      } else {
        sampling.noise(draws);
      }
      if (mixed != null) {
        draws = mixed.of(draws);
        sampling.noise(draws);
      }
      if (timeLimit != null) {
        sampling.timeLimit(timeLimit);
      }
      listeners.forEach(sampling::listener);
      Condition condition = beside == null ? Condition.none() : beside.of(scope, draws);
      if (text != null && shown != null) {
        Condition contexts =
            mixed != null && promptsGo
                ? shown.contextsBetween(text, skippedLayers, scope, mixed.fractions())
                : shown.contexts(text, skippedLayers, scope, rows);
        condition = contexts.and(condition);
        sampling.guidance(guidance == 1 ? Guidance.none() : Guidance.classifierFree(guidance));
      }
      sampling
          .condition(condition)
          .decoding(
              new DecodedRun(
                  model.autoencoder(), use, scope, words(shown, rows, mixed, promptsGo, known)));
      SamplingRun run = start.of(sampling, scope, draws);
      done = true;
      return run;
    } finally {
      if (!done) {
        scope.close();
        use.close();
      }
    }
  }

  private List<Map<String, String>> words(
      @Nullable Prompts shown,
      int[] rows,
      @Nullable MixedStarts mixed,
      boolean promptsGo,
      @Nullable Long known) {
    List<Map<String, String>> all = new ArrayList<>();
    for (int i = 0; i < rows.length; i++) {
      Map<String, String> words = new LinkedHashMap<>();
      words.put("pipeline", model.type().name);
      words.put("model", model.name());
      if (shown != null) {
        words.putAll(promptsGo ? shown.wordsBetween() : shown.words(rows[i]));
      }
      if (mixed != null) {
        if (known != null) {
          words.put("seed", known.toString());
        }
        words.put("startFrom", Integer.toString(mixed.from()[i]));
        words.put("startTo", Integer.toString(mixed.to()[i]));
        words.put("fraction", Double.toString(mixed.fractions()[i]));
      }
      all.add(words);
    }
    return all;
  }

  private static Samples finish(SamplingRun run) {
    try (run) {
      return run.finish();
    }
  }
}
