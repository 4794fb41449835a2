package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.pooling.Pool;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Noises a picture: a strip of x_0 and of q(x_t | x_0) at a few timesteps, with the same ε in all
 * of them. Needs no network and no training.
 */
@Command(
    name = "ForwardProcessDemo",
    description = "Noises a picture file and writes a strip of it, from clean to noise.",
    sortOptions = false)
public final class ForwardProcessDemo implements Callable<Integer> {

  /** Pictures smaller than this are enlarged in the strip, by a whole factor. */
  private static final int LEAST_SIDE = 128;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      paramLabel = "IMAGE",
      description = "Any picture that Java reads: PNG, JPEG, GIF, BMP, TIFF.")
  private Path image = Path.of("");

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "The strip, as PNG (default: ${DEFAULT-VALUE}).")
  private Path output = Mains.target("forward.png");

  @Option(
      names = "--timesteps",
      paramLabel = "T",
      description = "Noising steps of the schedule (default: ${DEFAULT-VALUE}).")
  private int timesteps = 1000;

  @Option(
      names = "--columns",
      paramLabel = "N",
      description =
          "Noised pictures in the strip, after the clean one; the timesteps grow with the square of"
              + " the column (default: ${DEFAULT-VALUE}).")
  private int columns = 9;

  @Option(
      names = "--at",
      paramLabel = "STEPS",
      split = ",",
      description = "The numbers of noising steps to show instead, such as 1,10,100,1000.")
  private int[] steps = {};

  @Option(
      names = "--max-width",
      paramLabel = "PIXELS",
      description =
          "Pictures are made smaller before they are noised, until the strip is no wider than this;"
              + " 0 keeps their size (default: ${DEFAULT-VALUE}).")
  private int maxWidth = 1600;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Seed of the noise (default: ${DEFAULT-VALUE}).")
  private long seed;

  /**
   * Runs the demo.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.exitWith(Mains.run(new ForwardProcessDemo(), args));
  }

  @Override
  public Integer call() throws IOException {
    Schedule schedule = Schedules.linear(timesteps);
    int[] t = timesteps();
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray whole = Pictures.read(manager, image);
      NDArray x0 = smaller(whole, t.length + 1);
      NDArray strip = NDArrays.concat(new NDList(x0.expandDims(0), noised(schedule, x0, t)));
      long side = Math.max(x0.getShape().get(1), x0.getShape().get(2));
      Pictures.of(strip).strip().enlarge((int) Math.max(1, LEAST_SIDE / side)).save(output);
      print(schedule, t, whole.getShape(), x0.getShape());
    }
    return 0;
  }

  private NDArray noised(Schedule schedule, NDArray x0, int[] t) {
    NDArray noise =
        NoiseSource.seeded(seed)
            .array(x0.getManager(), 0, 0, new Shape(1).addAll(x0.getShape()), DataType.FLOAT32);
    NDList noised = new NDList();
    for (int step : t) {
      noised.add(ForwardProcess.of(schedule).sample(x0.expandDims(0), new int[] {step}, noise));
    }
    return NDArrays.concat(noised);
  }

  private int[] timesteps() {
    int[] shown =
        steps.length > 0
            ? steps
            : IntStream.rangeClosed(1, Mains.atLeast("--columns", 1, columns))
                .map(
                    k ->
                        (int)
                            Math.max(1, Math.round(timesteps * Math.pow((double) k / columns, 2))))
                .toArray();
    for (int step : shown) {
      if (step < 1 || step > timesteps) {
        throw new IllegalArgumentException(
            "--at must be from 1 to " + timesteps + " noising steps, but was " + step);
      }
    }
    return Arrays.stream(shown).map(step -> step - 1).toArray();
  }

  /** Averages squares of pixels: noise that is averaged afterwards would be less of it. */
  private NDArray smaller(NDArray x0, int pictures) {
    long width = x0.getShape().get(2) * pictures;
    long most = Mains.atLeast("--max-width", 0, maxWidth);
    long factor = most == 0 ? 1 : (width + most - 1) / most;
    factor = Math.min(factor, Math.min(x0.getShape().get(1), x0.getShape().get(2)));
    if (factor == 1) {
      return x0;
    }
    Shape square = new Shape(factor, factor);
    return Pool.avgPool2d(x0.expandDims(0), square, square, new Shape(0, 0), false, false)
        .squeeze(0);
  }

  private void print(Schedule schedule, int[] t, Shape shape, Shape shown) {
    PrintWriter out = spec.commandLine().getOut();
    out.printf(
        Locale.ROOT,
        "%s: %d x %d pixels, %s%s%n",
        image,
        shape.get(2),
        shape.get(1),
        shape.get(0) == 1 ? "grey" : "RGB",
        shown.equals(shape)
            ? ""
            : ", made smaller to %d x %d".formatted(shown.get(2), shown.get(1)));
    out.printf("x_t = signal * x_0 + noise * epsilon%n%n");
    out.printf("%14s  %6s  %6s%n", "noising steps", "signal", "noise");
    out.printf(Locale.ROOT, "%14d  %6.3f  %6.3f%n", 0, 1.0, 0.0);
    for (int step : t) {
      out.printf(
          Locale.ROOT,
          "%14d  %6.3f  %6.3f%n",
          step + 1,
          schedule.signal(step),
          schedule.noise(step));
    }
    out.printf("%nThe strip: %s%n", output.toAbsolutePath());
    out.flush();
  }
}
