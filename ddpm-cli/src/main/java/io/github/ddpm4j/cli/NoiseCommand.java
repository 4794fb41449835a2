package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.schedule.Schedule;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Shows the forward process of a picture. */
@Command(
    name = "noise",
    sortOptions = false,
    description = "Shows how a picture turns into noise: x_t = signal * x_0 + noise * epsilon.",
    footer = {"", "  ddpm noise photo.png --columns 8 -o noised.png"})
final class NoiseCommand implements Callable<Integer> {

  private static final int TIMESTEPS = 1000;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "FILE", description = "A picture.")
  private Path file = Path.of("");

  @Option(
      names = "--schedule",
      paramLabel = "NAME",
      converter = ScheduleName.NameConverter.class,
      description = "linear, as the paper's, scaled-linear, cosine or flow (default: linear).")
  private ScheduleName name = ScheduleName.LINEAR;

  @Option(
      names = "--columns",
      paramLabel = "N",
      description = "The number of noised pictures (default: ${DEFAULT-VALUE}).")
  private int columns = 8;

  @Option(names = "--seed", paramLabel = "SEED", description = "That of the noise (default: 0).")
  private long seed;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      required = true,
      description = "The strip, a PNG file.")
  private Path output = Path.of("");

  @Override
  public Integer call() throws IOException {
    Cli.atLeast("--columns", 1, columns);
    Inputs.require(List.of(file));
    Inputs.requirePng(output);
    Pictures.requireSavable(output);
    Schedule schedule = name.of(TIMESTEPS);
    ForwardProcess forward = ForwardProcess.of(schedule);
    PrintWriter out = spec.commandLine().getOut();
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray x0 = Pictures.read(manager, file).expandDims(0);
      NDArray noise =
          NoiseSource.seeded(seed).array(manager, 0, 0, x0.getShape(), DataType.FLOAT32);
      NDList all = new NDList(x0);
      StringJoiner timesteps = new StringJoiner(", ");
      out.println("     t  signal   noise");
      for (int k = 1; k <= columns; k++) {
        int t = (int) Math.max(1, Math.round((double) TIMESTEPS * k * k / columns / columns)) - 1;
        all.add(forward.sample(x0, new int[] {t}, noise));
        timesteps.add(Integer.toString(t));
        out.println(
            String.format(
                Locale.ROOT, "%6d  %.4f  %.4f", t, schedule.signal(t), schedule.noise(t)));
      }
      Map<String, String> words = Origin.of("noise");
      words.put("picture", String.valueOf(file.getFileName()));
      words.put("schedule", schedule.toString());
      words.put("seed", Long.toString(seed));
      words.put("timesteps", timesteps.toString());
      BufferedImage strip = Grids.of(NDArrays.concat(all)).strip().toGrid();
      Writing.whole(() -> Pictures.write(strip, output, words));
    }
    out.println(output);
    out.flush();
    return 0;
  }
}
