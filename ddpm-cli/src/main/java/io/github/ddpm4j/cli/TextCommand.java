package io.github.ddpm4j.cli;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.picture.SampleFolder;
import io.github.ddpm4j.latent.Drawing;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/** Draws what texts say. */
@Command(
    name = TextCommand.NAME,
    sortOptions = false,
    description = {
      "Draws what texts say, with latent or Stable Diffusion: a grid in one file, or a file each in"
          + " a folder.",
      "Picture k of a seed starts from the same noise for every text."
    },
    footer = {
      "",
      "A grid with a row for each text:",
      "  ddpm text -m stable-diffusion-v1-5 'a red dog' 'a dog in the snow' -n 4 -o dogs.png",
      "A folder, which goes on where it was:",
      "  ddpm text -m CompVis/ldm-text2im-large-256 'a red dog' -g 6 -n 100 -o dogs"
    })
final class TextCommand implements Callable<Integer>, Interruptible {

  static final String NAME = "text";

  /** A file of a folder. */
  private static final Pattern PICTURE = Pattern.compile("\\d{8}\\.png");

  /** The pictures of a network call, and those that are drawn whole or not at all. */
  private static final int BLOCK = Drawing.DEFAULT_BATCH_SIZE;

  private static final String STEPS = "--steps";
  private static final String SAMPLER = "--sampler";

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private PipelineOptions model = new PipelineOptions();

  @Parameters(
      paramLabel = "TEXT",
      arity = "1..*",
      description = "What the pictures show, each text in quotes.")
  private List<String> texts = List.of();

  @Option(
      names = {"-n", "--count"},
      paramLabel = "N",
      description = "The number of pictures of each text (default: ${DEFAULT-VALUE}).")
  private int count = 1;

  @Option(
      names = "--negative",
      paramLabel = "TEXT",
      description = "What the pictures are to stay away from.")
  private @Nullable String negative;

  @Option(
      names = {"-g", "--guidance"},
      paramLabel = "SCALE",
      description =
          "Classifier-free guidance towards the text; 1 is none (default: 7.5 for Stable"
              + " Diffusion, 1 for latent diffusion).")
  private @Nullable Double guidance;

  @Option(
      names = STEPS,
      paramLabel = "N",
      description =
          "The steps of the sampler that the pipeline suggests (default: "
              + Drawing.DEFAULT_STEPS
              + ").")
  private @Nullable Integer steps;

  @Option(
      names = {"-s", SAMPLER},
      paramLabel = "SAMPLER",
      description = "Another one, as docs/samplers.md writes them, such as ddim:50.")
  private @Nullable String sampler;

  @Option(
      names = "--size",
      paramLabel = "HxW",
      converter = PictureSize.Converter.class,
      description = "Height and width of the pictures (default: those of the network's training).")
  private @Nullable PictureSize size;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "The same seed draws the same pictures (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--weighted",
      description = "Reads (word:1.2) as a weight, and texts of any length; BREAK ends a chunk.")
  private boolean weighted;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "PATH",
      required = true,
      description = "A file that ends in .png for a grid, or a folder.")
  private Path output = Path.of("");

  @Option(names = "--json", description = "Tells the result as JSON.")
  private boolean json;

  /** The pictures of a folder, once there may be some, and those that are there. */
  private long wanted;

  private long there;

  @Override
  public Integer call() throws IOException {
    boolean grid = Inputs.isPng(output);
    check(grid);
    LatentPipeline pipeline = model.check();
    if (negative != null && guidance == null && !pipeline.isGuided()) {
      throw new IllegalArgumentException(
          "--negative has no effect with guidance 1, the default of "
              + pipeline.kind()
              + "; give --guidance, such as 5");
    }
    DDPM.endStepsOnShutdown();
    try (TextToImage loaded = model.load(pipeline)) {
      TextDrawing.requireNoise(loaded, pipeline);
      TextDrawing drawing = drawing(loaded);
      drawing.requireWeights(loaded);
      String weights = pipeline.weights();
      long drawn =
          grid
              ? grid(loaded, drawing, weights)
              : folder(loaded, drawing, settings(drawing, pipeline, weights), weights);
      return SampleCommand.told(spec, json, output, all(), drawn);
    }
  }

  @Override
  public String ended(CancellationException problem) {
    return SampleCommand.ended(there, there == 0 ? 0 : wanted);
  }

  private long all() {
    return (long) texts.size() * count;
  }

  private void check(boolean grid) throws IOException {
    Cli.atLeast("--count", 1, count);
    if (grid && all() > TextDrawing.MOST_IN_A_GRID) {
      throw new IllegalArgumentException(
          "a grid takes at most "
              + TextDrawing.MOST_IN_A_GRID
              + " pictures, but --count "
              + count
              + " of "
              + texts.size()
              + " texts are "
              + all()
              + "; name a folder, or give a smaller --count");
    }
    checkSampler();
    if (guidance != null) {
      Guidance.classifierFree(guidance);
      if (guidance == 1 && negative != null) {
        throw new IllegalArgumentException(
            "--negative has no effect with --guidance 1; give another scale, such as 7.5");
      }
    }
    if (grid) {
      Pictures.requireSavable(output);
    } else {
      Inputs.requireNoPicture(output);
      Inputs.requireFolder(output);
    }
  }

  /** Of what was typed, one; what was typed goes before a file of options. */
  private void checkSampler() {
    if (steps != null && sampler != null) {
      ParseResult typed = spec.commandLine().getParseResult();
      if (typed.hasMatchedOption(STEPS) == typed.hasMatchedOption(SAMPLER)) {
        throw new IllegalArgumentException("--sampler takes the place of --steps; leave one");
      }
      if (typed.hasMatchedOption(STEPS)) {
        sampler = null;
      } else {
        steps = null;
      }
    }
    if (steps != null) {
      Cli.atLeast(STEPS, 1, steps);
    }
    if (sampler != null) {
      Samplers.parse(sampler);
    }
  }

  private Sampler sampler(TextToImage loaded) {
    return sampler != null
        ? Samplers.parse(sampler)
        : loaded.sampler(steps != null ? steps : Drawing.DEFAULT_STEPS);
  }

  private TextDrawing drawing(TextToImage loaded) {
    return new TextDrawing(
        texts, negative, guidance, weighted, 0, sampler(loaded), seed, size, count, BLOCK);
  }

  private long grid(TextToImage loaded, TextDrawing drawing, String weights) throws IOException {
    PictureSize each = size != null ? size : PictureSize.usual(loaded);
    Grids.requireModest(all(), each.height(), each.width());
    try (DrawingProgress progress = new DrawingProgress(spec, all())) {
      Drawn drawn = drawing.grid(loaded, progress);
      Pictures.write(drawn.picture(), output, Origin.ofText(drawn.words(), weights));
    }
    return all();
  }

  private long folder(
      TextToImage loaded, TextDrawing drawing, Map<String, String> settings, String weights)
      throws IOException {
    SampleFolder folder = SampleFolder.require(output, settings);
    if (SampleFolder.settings(output).isEmpty()) {
      requireNoOthers();
    }
    long drawn = 0;
    wanted = all();
    try (DrawingProgress progress = new DrawingProgress(spec, wanted)) {
      for (TextDrawing.Block block : drawing.blocks()) {
        long first = (long) block.text() * count + block.first();
        if (folder.has(first, first + block.length())) {
          progress.leaveOut(block.length());
          there += block.length();
          continue;
        }
        try (Samples samples = drawing.draw(loaded, block, progress, block.length())) {
          List<BufferedImage> pictures = samples.pictures();
          SampleFolder.open(output, settings);
          for (int i = 0; i < pictures.size(); i++) {
            Map<String, String> words = Origin.ofText(drawing.words(samples, block, i), weights);
            Pictures.write(pictures.get(i), folder.file(first + i), words);
            there++;
          }
        }
        drawn += block.length();
      }
    }
    return drawn;
  }

  /** Pictures that a folder without a manifest has are not of this command. */
  private void requireNoOthers() throws IOException {
    if (!Files.isDirectory(output)) {
      return;
    }
    try (Stream<Path> files = Files.list(output)) {
      Optional<String> other =
          files
              .map(file -> String.valueOf(file.getFileName()))
              .filter(name -> PICTURE.matcher(name).matches())
              .min(Comparator.naturalOrder());
      if (other.isPresent()) {
        throw new IllegalArgumentException(
            output
                + " holds "
                + other.get()
                + ", which this command did not draw; choose another folder");
      }
    }
  }

  /** What the bits of the pictures depend on. */
  private Map<String, String> settings(
      TextDrawing drawing, LatentPipeline pipeline, String weights) {
    Map<String, String> words = Origin.of(NAME);
    words.put("pipeline", pipeline.kind());
    words.put("model", weights);
    words.putAll(model.words());
    words.put("prompts", Told.of(texts));
    words.put("images", Integer.toString(count));
    words.put("sampler", drawing.sampler().toString());
    words.put("seed", Long.toString(seed));
    if (negative != null) {
      words.put("negativePrompt", negative);
    }
    if (guidance != null) {
      words.put("guidance", guidance.toString());
    }
    if (size != null) {
      words.put(TextDrawing.SIZE, size.toString());
    }
    if (weighted) {
      words.put("promptWeights", "true");
    }
    return words;
  }
}
