package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Makes new pictures from old ones. */
@Command(
    name = "edit",
    sortOptions = false,
    description = "Makes new pictures from one, or between two.",
    footer = {
      "",
      "Variations, the stronger the farther from it:",
      "  ddpm edit vary -m digits -n 8 --strength 0.6 seven.png -o variations.png",
      "New pixels where a mask is white:",
      "  ddpm edit inpaint -m digits --mask mask.png seven.png -o filled.png",
      "From one picture to another in 9 steps:",
      "  ddpm edit interpolate -m digits -n 9 seven.png one.png -o between.png"
    })
final class EditCommand implements Callable<Integer> {

  /** What is made of them. */
  private enum Use {
    VARY,
    INPAINT,
    INTERPOLATE
  }

  private static final String STRENGTH = "--strength";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      index = "0",
      paramLabel = "USE",
      description = "vary (image to image), inpaint or interpolate.")
  private Use use = Use.VARY;

  @Parameters(
      index = "1..*",
      arity = "1..2",
      paramLabel = "FILE",
      description = "A picture of the size of the model's; two to interpolate.")
  private List<Path> files = List.of();

  @Mixin private ModelOptions model = new ModelOptions();
  @Mixin private SamplerOptions sampler = new SamplerOptions();

  @Option(
      names = {"-n", "--count"},
      paramLabel = "N",
      description = "The number of new pictures (default: ${DEFAULT-VALUE}).")
  private int count = 8;

  @Option(
      names = STRENGTH,
      paramLabel = "SHARE",
      description = "How much of the noise is added, in (0, 1] (default: ${DEFAULT-VALUE}).")
  private double strength = 0.5;

  @Option(
      names = "--mask",
      paramLabel = "FILE",
      description = "Of the same size: white is drawn anew, black stays.")
  private @Nullable Path mask;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      required = true,
      description = "The grid of new pictures, a PNG file.")
  private Path output = Path.of("");

  @Override
  public Integer call() throws IOException {
    int wanted = use == Use.INTERPOLATE ? 2 : 1;
    if (files.size() != wanted) {
      throw new IllegalArgumentException(
          use.name().toLowerCase(Locale.ROOT)
              + " takes "
              + wanted
              + (wanted == 1 ? " picture" : " pictures")
              + ", but "
              + files.size()
              + " were given");
    }
    if (use == Use.INPAINT && mask == null) {
      throw new IllegalArgumentException("inpaint needs --mask, which says where to draw anew");
    }
    if (use != Use.INPAINT && mask != null) {
      throw new IllegalArgumentException("--mask is for inpaint alone");
    }
    if (use == Use.INPAINT && spec.commandLine().getParseResult().hasMatchedOption(STRENGTH)) {
      throw new IllegalArgumentException("--strength is for vary and interpolate alone");
    }
    if (!(strength > 0 && strength <= 1)) {
      throw new IllegalArgumentException("--strength must be in (0, 1], but was " + strength);
    }
    Cli.atLeast("--count", use == Use.INTERPOLATE ? 2 : 1, count);
    Inputs.require(files);
    if (mask != null) {
      Inputs.require(List.of(mask));
    }
    Inputs.requirePng(output);
    Pictures.requireSavable(output);
    sampler.check();
    model.check();
    DDPM.endStepsOnShutdown();
    try (LoadedModel loaded = model.load();
        NDManager manager = NDManager.newBaseManager()) {
      NDArray given = Inputs.read(loaded, manager, files);
      Sampling sampling = sampler.of(loaded, 0, count);
      try (Samples made = make(loaded, manager, sampling, given);
          NDArray pictures = made.toNDArray(manager)) {
        Map<String, String> words =
            Origin.of("edit", loaded.provenance(made, 0), sampler.asked(), count);
        words.put("pictures", names(files));
        if (mask != null) {
          words.put("mask", names(List.of(mask)));
        } else {
          words.put("strength", Double.toString(strength));
        }
        Pictures.write(Grids.of(loaded, pictures).toGrid(), output, words);
      }
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(output);
    out.flush();
    return 0;
  }

  private Samples make(LoadedModel loaded, NDManager manager, Sampling sampling, NDArray given)
      throws IOException {
    return switch (use) {
      case VARY -> sampling.imageToImage(repeated(given), strength);
      case INPAINT -> {
        NDArray white = Inputs.read(loaded, manager, List.of(Objects.requireNonNull(mask)));
        double middle = (loaded.ddpm().dataRange().min() + loaded.ddpm().dataRange().max()) / 2;
        NDArray known = white.get(":, 0:1").lt(middle).toType(given.getDataType(), false);
        yield sampling.inpaint(repeated(given), known);
      }
      case INTERPOLATE -> {
        double[] fractions =
            IntStream.range(0, count).mapToDouble(i -> i / (count - 1.0)).toArray();
        int t = (int) (strength * (loaded.ddpm().schedule().timesteps() - 1));
        yield sampling.interpolate(given.get(0), given.get(1), t, fractions);
      }
    };
  }

  /** Without folders, which are nobody else's business. */
  private static String names(List<Path> files) {
    return files.stream()
        .map(file -> String.valueOf(file.getFileName()))
        .collect(Collectors.joining(", "));
  }

  private NDArray repeated(NDArray given) {
    return given.repeat(0, count);
  }
}
