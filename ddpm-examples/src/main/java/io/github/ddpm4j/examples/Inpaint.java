package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import java.io.IOException;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Fills in a part of pictures, without and with resampling (RePaint, Lugmayr et al. 2022). */
@Command(
    name = "Inpaint",
    description = "Takes away a part of pictures and draws it anew, so that it fits the rest.",
    sortOptions = false)
public final class Inpaint extends ModelUse {

  /** Which part is taken away. */
  enum Hole {
    RIGHT,
    BOTTOM,
    CENTER;

    boolean holds(long y, long x, long height, long width) {
      return switch (this) {
        case RIGHT -> x >= width / 2;
        case BOTTOM -> y >= height / 2;
        case CENTER ->
            y >= height / 4 && y < height - height / 4 && x >= width / 4 && x < width - width / 4;
      };
    }
  }

  @Option(
      names = "--hole",
      paramLabel = "PART",
      description = "What is drawn anew: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private Hole hole = Hole.RIGHT;

  @Option(
      names = "--calls",
      paramLabel = "N",
      description = "Steps of the sampler (default: ${DEFAULT-VALUE}).")
  private int calls = 100;

  @Option(
      names = "--jump",
      paramLabel = "N",
      description = "Steps that resampling goes back at a time (default: ${DEFAULT-VALUE}).")
  private int jump = 10;

  @Option(
      names = "--times",
      paramLabel = "N",
      description = "How often it takes each stretch (default: ${DEFAULT-VALUE}).")
  private int times = 10;

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Pictures (default: ${DEFAULT-VALUE}).")
  private int count = 10;

  /** Sets up the example. */
  public Inpaint() {
    super("inpaint");
  }

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.exitWith(Mains.run(new Inpaint(), args));
  }

  @Override
  void use(DDPM ddpm, NDManager manager) throws IOException {
    Mains.within("--calls", 1, ddpm.schedule().timesteps(), calls);
    Mains.atLeast("--jump", 1, jump);
    Mains.atLeast("--times", 1, times);
    if (jump >= calls) {
      throw new IllegalArgumentException(
          "--jump must be less than --calls, here "
              + calls
              + ", or nothing is resampled, but was "
              + jump);
    }
    NDArray real = pictures(ddpm, manager, Mains.atLeast("--count", 1, count));
    NDArray mask = mask(manager, real.getShape());
    double grey = (ddpm.dataRange().min() + ddpm.dataRange().max()) / 2;
    NDArray holed = real.mul(mask).add(mask.neg().add(1).mul(grey));
    Figure figure = figure(ddpm).row("real", real).row("known", holed);
    Sampler plain = Samplers.ddim(calls).eta(1);
    Sampler resampling = Samplers.resampling(plain, jump, times);

    report("real", real, real, mask);
    inpaint(ddpm, "replaced", plain, seed(), figure, real, holed, mask);
    inpaint(ddpm, "resampled", resampling, seed(), figure, real, holed, mask);
    inpaint(ddpm, "again", resampling, seed() + 1, figure, real, holed, mask);
    save(
        figure,
        "inpainted.png",
        "Real pictures, what is known of them, and the rest drawn anew: by replacing the known"
            + " pixels in each step, and with resampling, twice:");
  }

  /** The hole is handed over as it is shown: what stands in it is never looked at. */
  private void inpaint(
      DDPM ddpm,
      String what,
      Sampler sampler,
      long seed,
      Figure figure,
      NDArray real,
      NDArray holed,
      NDArray mask) {
    try (SamplingRun run =
            ddpm.sampling().sampler(sampler).seed(seed).startInpainting(holed, mask);
        Samples samples = run.finish()) {
      NDArray filled = samples.toNDArray(real.getManager());
      figure.row(what, filled);
      out().printf("%-9s  %,d network calls%n", what, run.steps());
      report(what, filled, real, mask);
    }
  }

  /** 1 where a pixel is known. */
  private NDArray mask(NDManager manager, Shape images) {
    long height = images.get(2);
    long width = images.get(3);
    float[] known = new float[(int) (height * width)];
    for (int i = 0; i < known.length; i++) {
      known[i] = hole.holds(i / width, i % width, height, width) ? 0 : 1;
    }
    return manager.create(known, new Shape(1, 1, height, width));
  }

  private void report(String what, NDArray found, NDArray real, NDArray mask) {
    out()
        .printf(
            Locale.ROOT,
            "%-9s  known pixels differ by %s at most; neighbours across the border by %.3f (mean)%n",
            what,
            found.sub(real).mul(mask).abs().max().getFloat(),
            acrossTheBorder(found, mask));
  }

  /** The mean difference of neighbours of which one is known and the other is not. */
  private static double acrossTheBorder(NDArray images, NDArray mask) {
    double sum = 0;
    double pairs = 0;
    for (int axis = 2; axis <= 3; axis++) {
      NDArray border = neighbours(mask, axis);
      sum += neighbours(images, axis).mul(border).sum().getFloat();
      pairs += border.sum().getFloat() * images.getShape().get(0) * images.getShape().get(1);
    }
    return sum / pairs;
  }

  private static NDArray neighbours(NDArray images, int axis) {
    String rest = axis == 2 ? ":, :, %s, :" : ":, :, :, %s";
    return images.get(rest.formatted("1:")).sub(images.get(rest.formatted(":-1"))).abs();
  }
}
