package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Shows the reverse process. */
@Command(
    name = "denoise",
    sortOptions = false,
    description = "Shows how pictures come out of noise: a strip of them, or an animation.",
    footer = {
      "",
      "  ddpm denoise -m fashion -c Bag -n 4 -o bags.gif",
      "  ddpm denoise -m fashion -c Bag -n 4 --columns 10 -o bags.png"
    })
final class DenoiseCommand implements Callable<Integer> {

  private static final int MILLIS = 100;

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private ModelOptions model = new ModelOptions();
  @Mixin private SamplerOptions sampler = new SamplerOptions();

  @Option(
      names = {"-n", "--count"},
      paramLabel = "N",
      description = "The number of pictures, of at most 64 (default: ${DEFAULT-VALUE}).")
  private int count = 4;

  @Option(
      names = "--columns",
      paramLabel = "N",
      description = "The columns of a strip (default: ${DEFAULT-VALUE}).")
  private int columns = 8;

  @Option(
      names = "--estimates",
      description = "What the network takes the pictures for at each step, in place of x_t.")
  private boolean estimates;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      required = true,
      description = "A file that ends in .gif, or in .png for a strip.")
  private Path output = Path.of("");

  @Override
  public Integer call() throws IOException {
    boolean animation = output.toString().toLowerCase(Locale.ROOT).endsWith(".gif");
    if (count < 1 || count > 64) {
      throw new IllegalArgumentException("--count must be from 1 to 64, but was " + count);
    }
    Cli.atLeast("--columns", 1, columns);
    if (!animation && !Inputs.isPng(output)) {
      throw new IllegalArgumentException(
          "-o must be a file that ends in .gif, or in .png for a strip, but was " + output);
    }
    Pictures.requireSavable(output);
    sampler.settings().check();
    model.check();
    DDPM.endStepsOnShutdown();
    try (LoadedModel loaded = model.load();
        NDManager manager = NDManager.newBaseManager();
        DrawingProgress progress = new DrawingProgress(spec, count);
        SamplingRun run =
            progress.watch(sampler.settings().of(loaded, 0, count), count, count).start(count)) {
      NDList steps = new NDList();
      while (run.hasNext()) {
        SamplingRun.Event event = run.next();
        var shown = (estimates ? event.predictedX0() : event.x()).duplicate();
        shown.attach(manager);
        steps.add(shown);
      }
      if (animation) {
        List<BufferedImage> frames = new ArrayList<>();
        steps.forEach(step -> frames.add(Grids.of(loaded, step).toGrid()));
        Pictures.animate(frames, MILLIS, output);
      } else {
        Map<String, String> words;
        try (Samples drawn = run.finish()) {
          words =
              Origin.of("denoise", loaded.provenance(drawn, 0), sampler.settings().asked(), count);
        }
        int[] shown = shown(steps.size());
        words.put("shows", estimates ? "estimates of x_0" : "x_t");
        words.put(
            "steps",
            IntStream.of(shown).mapToObj(Integer::toString).collect(Collectors.joining(", "))
                + " of "
                + steps.size());
        Pictures.write(
            Grids.of(loaded, strip(steps, shown)).columns(shown.length).toGrid(), output, words);
      }
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(output);
    out.flush();
    return 0;
  }

  /** Some of the steps, counted from 1, the last among them. */
  private int[] shown(int steps) {
    int shown = Math.min(columns, steps);
    return IntStream.rangeClosed(1, shown).map(k -> k * steps / shown).toArray();
  }

  /** A row for each picture, a column for each of the steps that are shown. */
  private NDArray strip(NDList steps, int[] shown) {
    NDList all = new NDList();
    for (int image = 0; image < count; image++) {
      for (int step : shown) {
        all.add(steps.get(step - 1).get(image + ":" + (image + 1)));
      }
    }
    return NDArrays.concat(all);
  }
}
