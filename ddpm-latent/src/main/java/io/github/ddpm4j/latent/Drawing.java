package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

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

  final LatentDiffusion model;
  final @Nullable TextToImage text;
  List<String> prompts = List.of();
  List<String> negatives = List.of("");
  List<Integer> labels = List.of();
  double guidance;
  int skippedLayers;
  boolean weightedPrompts;
  @Nullable Sampler sampler;
  int steps = DEFAULT_STEPS;
  @Nullable Long seed;
  @Nullable NoiseSource noise;
  int height;
  int width;
  int batchSize = DEFAULT_BATCH_SIZE;
  @Nullable Duration timeLimit;
  final List<Consumer<SamplingRun.Event>> listeners = new ArrayList<>();

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

  /**
   * The classes that the pictures show, of a model that was trained with classes.
   *
   * @param classes one number or several, from 0; each is drawn as often as is asked for, those of
   *     the first first. By default none: pictures of any class
   * @return this request
   * @throws IllegalArgumentException if there is none, or the model has no such class
   * @throws IllegalStateException if the model was trained without classes
   */
  public Drawing labels(int... classes) {
    int known = model.network().config().classes();
    if (known == 0) {
      throw new IllegalStateException(
          "this model was trained without classes, so it takes no labels");
    }
    if (classes.length == 0) {
      throw new IllegalArgumentException("labels must be at least 1, but were 0");
    }
    for (int label : classes) {
      if (label < 0 || label >= known) {
        throw new IllegalArgumentException(
            "labels must be in [0, " + known + "), the classes of the model, but one was " + label);
      }
    }
    labels = IntStream.of(classes).boxed().toList();
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
   * <p>For a model of classes it is towards the {@link #labels}, away from no class at all.
   *
   * @param scale 1 for none; by default that of the model's pipeline in diffusers: 7.5 for Stable
   *     Diffusion, 1 for latent diffusion, whose authors took 5 to 10
   * @return this request
   * @throws IllegalArgumentException if it is not finite
   * @throws IllegalStateException if the model draws without a text and without classes
   */
  public Drawing guidance(double scale) {
    if (text == null && model.network().config().classes() == 0) {
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
   * trained so. It holds for prompts and negative prompts alike. Pictures say {@code clipSkip}.
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
    return new DrawingStarts(this).fromNoise(perPrompt);
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
    return new DrawingStarts(this).mixed(MixedStarts.between(own), true);
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
    return new DrawingStarts(this).mixed(MixedStarts.around(picture, strength, count), false);
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
    return new DrawingStarts(this).imageToImage(pictures, strength);
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
    return new DrawingStarts(this).inpainting(pictures, mask);
  }

  private static Samples finish(SamplingRun run) {
    try (run) {
      return run.finish();
    }
  }
}
