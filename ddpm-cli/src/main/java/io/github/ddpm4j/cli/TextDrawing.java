package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.latent.Drawing;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.sampling.SampleBlocks;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.UNet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Pictures of what texts say, as a user asked for them or as the file of some of them says.
 *
 * @param texts what they show
 * @param negative what they are to stay away from; null for nothing
 * @param guidance the scale; null for that of the pipeline
 * @param weighted whether texts weigh their words
 * @param skippedLayers the layers of the text encoder that are left out
 * @param sampler by which they are drawn
 * @param seed that of the noise
 * @param size that of a picture; null for that of the network's training
 * @param count the number of pictures of each text
 * @param length those of a text that are drawn together, on which the bits depend
 */
record TextDrawing(
    List<String> texts,
    @Nullable String negative,
    @Nullable Double guidance,
    boolean weighted,
    int skippedLayers,
    Sampler sampler,
    long seed,
    @Nullable PictureSize size,
    int count,
    int length) {

  static final int MOST_IN_A_GRID = 1000;

  /** The word of the size of a picture, which files of single ones need not say. */
  static final String SIZE = "size";

  private static final String IMAGE = "image";
  private static final String IMAGES = "images";
  private static final String PROMPT = "prompt";
  private static final String PROMPTS = "prompts";
  private static final String ALL = "0 to ";
  private static final Pattern GUIDANCE = Pattern.compile("none|classifierFree\\((.+)\\)");

  /** What stands for a text in a condition. */
  private static final String CONTEXTS = "contexts";

  /**
   * Pictures of one text that are drawn together.
   *
   * @param text the index of the text
   * @param first the index of the first among those of the text
   * @param length how many there are
   */
  record Block(int text, int first, int length) {}

  /**
   * Reads what a file says.
   *
   * @throws IllegalArgumentException if that is not all that takes part
   */
  static TextDrawing told(Map<String, String> words) {
    requireAllTold(words);
    boolean grid = isGrid(words);
    List<String> texts =
        grid && !words.containsKey(PROMPT)
            ? Told.texts(words, PROMPTS)
            : List.of(Told.text(words, PROMPT));
    if (texts.isEmpty()) {
      throw new IllegalArgumentException(Told.cannot("its prompt is missing"));
    }
    int most = grid ? MOST_IN_A_GRID / texts.size() : Integer.MAX_VALUE;
    int count =
        Told.value(words, IMAGES, Integer::valueOf, images -> images >= 1 && images <= most);
    requireImage(words, grid, count);
    return new TextDrawing(
        texts,
        words.get("negativePrompt"),
        Told.value(words, "guidance", TextDrawing::scaleOf, Double::isFinite),
        words.containsKey("promptWeights"),
        words.containsKey("clipSkip")
            ? Told.value(words, "clipSkip", Integer::valueOf, layers -> layers >= 0)
            : 0,
        samplerOf(words),
        Told.value(words, "seed", Long::valueOf, any -> true),
        words.containsKey(SIZE) ? Told.value(words, SIZE, PictureSize::of, any -> true) : null,
        count,
        Told.value(words, "batchSize", Integer::valueOf, size -> size >= 1));
  }

  /** Whether a file has all pictures. */
  static boolean isGrid(Map<String, String> words) {
    return words.getOrDefault(IMAGE, "").startsWith(ALL);
  }

  /** Refuses what takes part and is not told, which programs can draw. */
  private static void requireAllTold(Map<String, String> words) {
    Told.value(words, "use", use -> use, "noise"::equals);
    if (words.containsKey("startFrom")) {
      throw new IllegalArgumentException(
          Told.cannot("it starts from between two pictures, and not from noise of its own"));
    }
    if (words.containsKey("condition")) {
      Told.value(words, "condition", kinds -> kinds, CONTEXTS::equals);
    }
  }

  private static void requireImage(Map<String, String> words, boolean grid, int count) {
    String image = words.get(IMAGE);
    if (image == null) {
      throw new IllegalArgumentException(
          Told.cannot("its image is missing; name the file of one picture, not of a grid"));
    }
    if (grid) {
      Told.value(words, IMAGE, all -> all, (ALL + (count - 1))::equals);
    } else if (Told.value(words, IMAGE, Integer::valueOf, index -> index >= 0) >= count) {
      throw new IllegalArgumentException(
          Told.cannot("its image is " + image + ", but its images are " + count + " from 0 on"));
    }
  }

  private static double scaleOf(String text) {
    Matcher guidance = GUIDANCE.matcher(text);
    if (!guidance.matches()) {
      throw new NoSuchElementException(text);
    }
    return guidance.group(1) == null ? 1 : Double.parseDouble(guidance.group(1));
  }

  private static Sampler samplerOf(Map<String, String> words) {
    String text = Told.text(words, "sampler");
    try {
      return Samplers.parse(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(Told.cannot(String.valueOf(e.getMessage())), e);
    }
  }

  /**
   * Refuses a pipeline that shows in the midst of drawing that it draws from more than noise.
   *
   * @param pipeline what was loaded
   */
  static void requireNoise(TextToImage loaded, LatentPipeline pipeline) {
    if (loaded.latentDiffusion().ddpm().denoiser(UNet.class).config().imageCondition() > 0) {
      throw new IllegalArgumentException(
          pipeline.name()
              + " ("
              + pipeline.kind()
              + ") fills in pictures, and ddpm text draws from noise alone; name a pipeline of the"
              + " model before it was trained for that");
    }
  }

  /** Refuses texts whose weights of words can't be read, before any is drawn. */
  void requireWeights(TextToImage loaded) {
    if (weighted) {
      for (String text : texts) {
        of(loaded, text).start(1).close(); // which reads the weights of its words
      }
    }
  }

  /** The number of pictures of all texts. */
  long all() {
    return (long) texts.size() * count;
  }

  private Drawing of(TextToImage loaded, String text) {
    Drawing drawing =
        loaded.prompt(text).sampler(sampler).seed(seed).batchSize(length).clipSkip(skippedLayers);
    if (negative != null) {
      drawing.negativePrompt(negative);
    }
    if (guidance != null) {
      drawing.guidance(guidance);
    }
    if (size != null) {
      drawing.size(size.height(), size.width());
    }
    return weighted ? drawing.weightedPrompts() : drawing;
  }

  /** The pictures of the first text that one of them is drawn with. */
  Block blockOf(int image) {
    return block(0, image / length * length);
  }

  private Block block(int text, int first) {
    return new Block(text, first, Math.min(length, count - first));
  }

  /** All pictures, those of the first text first. */
  Iterable<Block> blocks() {
    return () ->
        IntStream.range(0, texts.size())
            .boxed()
            .flatMap(
                text ->
                    IntStream.rangeClosed(0, (count - 1) / length)
                        .mapToObj(block -> block(text, block * length)))
            .iterator();
  }

  /**
   * Draws pictures.
   *
   * @param wanted those of them that count as progress
   * @return the pictures of the block; the caller closes them
   */
  Samples draw(TextToImage loaded, Block block, DrawingProgress progress, long wanted) {
    NoiseSource all = NoiseSource.seeded(seed);
    Drawing drawing =
        of(loaded, texts.get(block.text()))
            .noise((image, draw, target) -> all.normal(block.first() + image, draw, target));
    return progress.watch(drawing, block.length(), wanted).generate(block.length());
  }

  /** What the file of a picture of a block says: as one of a run over all of its text. */
  Map<String, String> words(Samples drawn, Block block, int place) {
    Map<String, String> words =
        new LinkedHashMap<>(
            new SampleBlocks(seed, length)
                .provenance(drawn.provenance(place), block.first() / length, place));
    words.put(IMAGES, Integer.toString(count));
    return words;
  }

  /** Draws all in one picture, with a row for each text if there are several. */
  Drawn grid(TextToImage loaded, DrawingProgress progress) {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDList pictures = new NDList();
      Map<String, String> words = new LinkedHashMap<>();
      for (Block block : blocks()) {
        try (Samples drawn = draw(loaded, block, progress, block.length())) {
          pictures.add(drawn.toNDArray(manager));
          words.putAll(words(drawn, block, 0));
        }
      }
      words.put(IMAGE, ALL + (count - 1));
      if (size != null) {
        words.put(SIZE, size.toString());
      }
      Pictures grid = Grids.of(NDArrays.concat(pictures));
      if (texts.size() > 1) {
        words.remove(PROMPT);
        words.put(PROMPTS, Told.of(texts));
        grid = grid.columns(count);
      }
      return new Drawn(grid.toGrid(), words);
    }
  }
}
