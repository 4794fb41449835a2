package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.io.IOException;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Between two pictures: along the sphere of their latents (DDIM, section 5.3), and through x_t of
 * several depths (Ho et al. 2020, figure 9).
 */
@Command(
    name = "Interpolate",
    description = "Draws what lies between two pictures, by their latents and by noising them.",
    sortOptions = false)
public final class Interpolate extends ModelUse {

  /** The depths, as shares of the schedule. */
  private static final double[] DEPTHS = {0.1, 0.25, 0.5, 0.75, 1};

  @Option(
      names = "--calls",
      paramLabel = "N",
      description = "Network calls to encode, and as many to decode (default: ${DEFAULT-VALUE}).")
  private int calls = 100;

  @Option(
      names = "--between",
      paramLabel = "N",
      description = "Pictures from one end to the other (default: ${DEFAULT-VALUE}).")
  private int between = 11;

  @Option(
      names = "--pairs",
      paramLabel = "N",
      description = "Pairs of pictures (default: ${DEFAULT-VALUE}).")
  private int pairs = 4;

  /** Sets up the example. */
  public Interpolate() {
    super("interpolate");
  }

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.exitWith(Mains.run(new Interpolate(), args));
  }

  @Override
  void use(DDPM ddpm, NDManager manager) throws IOException {
    Mains.atLeast("--between", 2, between);
    double[] fractions = new double[between];
    Arrays.setAll(fractions, i -> (double) i / (between - 1));
    String[] columns =
        Stream.of(
                Stream.of("real"),
                Arrays.stream(fractions).mapToObj(f -> String.format(Locale.ROOT, "%.2f", f)),
                Stream.of("real"))
            .flatMap(names -> names)
            .toArray(String[]::new);
    NDArray ends = pictures(ddpm, manager, 2 * Mains.atLeast("--pairs", 1, pairs));
    // TRAILING starts at the last timestep, where encoding ends.
    Sampler sampler = Samplers.ddim(calls).spacing(TimestepSpacing.TRAILING);

    Figure latents = figure(ddpm, columns);
    try (Samples encoded = ddpm.sampling().encode(ends, calls)) {
      NDArray noise = encoded.toNDArray(manager);
      for (int pair = 0; pair < pairs; pair++) {
        int first = 2 * pair;
        NDArray from = ends.get(first);
        NDArray to = ends.get(first + 1);
        try (Samples samples =
            ddpm.sampling()
                .sampler(sampler)
                .interpolateLatents(noise.get(first), noise.get(first + 1), fractions)) {
          NDArray drawn = samples.toNDArray(manager);
          latents.row("", from, drawn, to);
          report(pair, from, drawn, to);
        }
      }
    }
    save(latents, "latents.png", "Encoded, joined on the sphere and decoded, a pair in a row:");

    Figure depths = figure(ddpm, columns);
    int timesteps = ddpm.schedule().timesteps();
    for (double depth : DEPTHS) {
      int steps = Math.max(1, (int) Math.round(depth * timesteps));
      try (Samples samples =
          ddpm.sampling()
              .sampler(sampler)
              .seed(seed())
              .interpolate(ends.get(0), ends.get(1), steps - 1, fractions)) {
        depths.row(steps + " steps", ends.get(0), samples.toNDArray(manager), ends.get(1));
      }
    }
    save(depths, "depths.png", "Noised by so many steps, mixed and denoised:");
  }

  private void report(int pair, NDArray from, NDArray drawn, NDArray to) {
    double least = Double.POSITIVE_INFINITY;
    double greatest = 0;
    for (int i = 1; i < between; i++) {
      double move = rootMeanSquare(drawn.get(i - 1), drawn.get(i));
      least = Math.min(least, move);
      greatest = Math.max(greatest, move);
    }
    out()
        .printf(
            Locale.ROOT,
            "pair %d: neighbours differ by %.3f to %.3f, the pair by %.3f; the ends come back to"
                + " %.3f and %.3f (root mean square)%n",
            pair + 1,
            least,
            greatest,
            rootMeanSquare(from, to),
            rootMeanSquare(drawn.get(0), from),
            rootMeanSquare(drawn.get(between - 1), to));
  }
}
