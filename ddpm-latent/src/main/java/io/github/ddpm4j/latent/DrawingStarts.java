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
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.schedule.Level;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the runs of a {@link Drawing} start from: noise, other pictures, or what is known of them.
 */
final class DrawingStarts {

  private static final Logger logger = LoggerFactory.getLogger(Drawing.class);

  private final Drawing request;
  private final LatentDiffusion model;
  private final @Nullable TextToImage text;

  DrawingStarts(Drawing request) {
    this.request = request;
    this.model = request.model;
    this.text = request.text;
  }

  /** How many prompts or labels there are. */
  private int subjects() {
    return text == null ? request.labels.size() : request.prompts.size();
  }

  SamplingRun fromNoise(int perPrompt) {
    requireNoPicture("start from noise alone");
    int count = Math.multiplyExact(perPrompt, Math.max(1, subjects()));
    int[] rows = IntStream.range(0, count).map(i -> i / perPrompt).toArray();
    return started(
        rows,
        request.height,
        request.width,
        null,
        (sampling, scope, draws) -> sampling.start(count));
  }

  SamplingRun imageToImage(NDArray pictures, double strength) {
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

  SamplingRun inpainting(NDArray pictures, NDArray mask) {
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
    int subjects = subjects();
    if (subjects > 1 && subjects != pictures) {
      throw new IllegalArgumentException(
          (text == null ? "labels" : "prompts")
              + " must be 1 for all pictures or one for each of the "
              + pictures
              + ", but were "
              + subjects);
    }
    return IntStream.range(0, pictures).map(i -> subjects > 1 ? i : 0).toArray();
  }

  /** Of pictures that start between others; prompts go from the first to the last, or stay. */
  SamplingRun mixed(MixedStarts starts, boolean promptsGo) {
    requireNoPicture("start from noise alone");
    if (request.labels.size() > 1) {
      throw new IllegalArgumentException(
          "pictures between others are of one label, but there were " + request.labels.size());
    }
    double[] fractions = starts.fractions();
    return started(
        new int[fractions.length],
        request.height,
        request.width,
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
    Sampler own = request.sampler;
    return own == null ? model.sampler(request.steps) : own;
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
    Prompts shown =
        text == null
            ? null
            : Prompts.of(request.prompts, request.negatives, request.weightedPrompts);
    if (shown != null && request.guidance == 1 && shown.hasNegatives()) {
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
      Sampling sampling = model.sampling(use).sampler(sampler()).batchSize(request.batchSize);
      NoiseSource draws = request.noise;
      @Nullable Long known = null;
      if (draws == null) {
        known = Seeds.orDrawn(request.seed, logger, "drawing");
        draws = NoiseSource.seeded(known);
        sampling.seed(known);
      } else {
        sampling.noise(draws);
      }
      if (mixed != null) {
        draws = mixed.of(draws);
        sampling.noise(draws);
      }
      if (request.timeLimit != null) {
        sampling.timeLimit(request.timeLimit);
      }
      request.listeners.forEach(sampling::listener);
      Condition condition = beside == null ? Condition.none() : beside.of(scope, draws);
      if (text != null && shown != null) {
        Condition contexts =
            mixed != null && promptsGo
                ? shown.contextsBetween(text, request.skippedLayers, scope, mixed.fractions())
                : shown.contexts(text, request.skippedLayers, scope, rows);
        condition = contexts.and(condition);
      }
      if (!request.labels.isEmpty()) {
        int[] labels = IntStream.of(rows).map(request.labels::get).toArray();
        condition = Condition.labels(labels).and(condition);
      }
      if (subjects() > 0 && request.guidance != 1) {
        sampling.guidance(Guidance.classifierFree(request.guidance));
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
      if (!model.name().isEmpty()) {
        words.put("model", model.name());
      }
      if (shown != null) {
        words.putAll(promptsGo ? shown.wordsBetween() : shown.words(rows[i]));
        if (request.skippedLayers > 0) {
          words.put("clipSkip", Integer.toString(request.skippedLayers));
        }
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
}
