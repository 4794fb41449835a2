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
import java.util.concurrent.Callable;
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

  private static final String STRENGTH = "--strength";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      index = "0",
      paramLabel = "USE",
      description = "vary (image to image), inpaint or interpolate.")
  private Edit.Use use = Edit.Use.VARY;

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
    check();
    DDPM.endStepsOnShutdown();
    Edit edit =
        new Edit(
            use,
            count,
            strength,
            Sampling.DEFAULT_BATCH_SIZE,
            sampler.settings(),
            Source.of(files),
            mask == null ? null : Source.of(mask));
    try (LoadedModel loaded = model.load();
        NDManager manager = NDManager.newBaseManager();
        DrawingProgress progress = new DrawingProgress(spec, count)) {
      NDArray given = Inputs.read(loaded, manager, files);
      NDArray white = mask == null ? null : Inputs.read(loaded, manager, List.of(mask));
      Sampling run = progress.watch(edit.sampling(loaded), count, count);
      try (Samples made = edit.make(loaded, run, given, white);
          NDArray pictures = made.toNDArray(manager)) {
        Pictures.write(edit.grid(loaded, pictures), output, edit.words(loaded, made));
      }
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(output);
    out.flush();
    return 0;
  }

  private void check() throws IOException {
    int wanted = use.pictures();
    if (files.size() != wanted) {
      throw new IllegalArgumentException(
          use
              + " takes "
              + wanted
              + (wanted == 1 ? " picture" : " pictures")
              + ", but "
              + files.size()
              + " were given");
    }
    if (use == Edit.Use.INPAINT && mask == null) {
      throw new IllegalArgumentException("inpaint needs --mask, which says where to draw anew");
    }
    if (use != Edit.Use.INPAINT && mask != null) {
      throw new IllegalArgumentException("--mask is for inpaint alone");
    }
    if (use == Edit.Use.INPAINT && spec.commandLine().getParseResult().hasMatchedOption(STRENGTH)) {
      throw new IllegalArgumentException("--strength is for vary and interpolate alone");
    }
    if (!(strength > 0 && strength <= 1)) {
      throw new IllegalArgumentException("--strength must be in (0, 1], but was " + strength);
    }
    Cli.atLeast("--count", use.pictures(), count);
    Inputs.requireFiles(files);
    if (mask != null) {
      Inputs.requireFiles(List.of(mask));
    }
    Inputs.requirePng(output);
    Pictures.requireSavable(output);
    sampler.settings().check();
    model.check();
  }
}
