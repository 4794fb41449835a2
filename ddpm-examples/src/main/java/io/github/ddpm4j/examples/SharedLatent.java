package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Pictures that are one down to x_t and go their own ways from there (Ho et al. 2020, figure 7).
 */
@Command(
    name = "SharedLatent",
    description =
        "Draws rows of pictures that share a latent: the later they part, the more alike.",
    sortOptions = false)
public final class SharedLatent extends ModelUse {

  /** Where pictures part, as shares of the schedule. */
  private static final double[] PARTINGS = {1, 0.75, 0.5, 0.25, 0.1};

  /** The last step adds no noise: after the latest parting there must be another. */
  private static final int LEAST_CALLS = 20;

  @Option(
      names = "--calls",
      paramLabel = "N",
      description = "Network calls for each row (default: ${DEFAULT-VALUE}).")
  private int calls = 100;

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Pictures in a row (default: ${DEFAULT-VALUE}).")
  private int count = 10;

  /** Sets up the example. */
  public SharedLatent() {
    super("shared-latent");
  }

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.exitWith(Mains.run(new SharedLatent(), args));
  }

  @Override
  void use(DDPM ddpm, NDManager manager) throws IOException {
    Mains.within("--calls", LEAST_CALLS, ddpm.schedule().timesteps(), calls);
    Mains.atLeast("--count", 2, count);
    Figure figure = figure(ddpm);
    for (double parting : PARTINGS) {
      int t = (int) Math.round(parting * ddpm.schedule().timesteps()) - 1;
      try (Samples samples =
          ddpm.sampling()
              .sampler(Samplers.ddim(calls).eta(1))
              .seed(seed())
              .generateSharing(t, count)) {
        NDArray drawn = samples.toNDArray(manager);
        figure.row("t = " + (t + 1), drawn);
        out()
            .printf(
                Locale.ROOT,
                "part at t = %d: pictures differ by %.3f from the first (root mean square)%n",
                t + 1,
                rootMeanSquare(drawn.get("1:"), drawn.get(":1")));
      }
    }
    save(
        figure,
        "shared.png",
        "One down to the t of the row, each with noise of its own from there:");
  }
}
