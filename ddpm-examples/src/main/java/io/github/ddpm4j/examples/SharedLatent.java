package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.report.PictureTable;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Pictures that are one down to x_t and go their own ways from there (Ho et al. 2020, figure 7):
 * the later they part, the more alike.
 */
public final class SharedLatent {

  /** Where pictures part, as shares of the schedule. */
  private static final double[] PARTINGS = {1, 0.75, 0.5, 0.25, 0.1};

  private static final int CALLS = 100;
  private static final int COUNT = 10;
  private static final long SEED = 3;

  private SharedLatent() {}

  /**
   * Runs the example.
   *
   * @param args the folder of a model, or nothing for the quickstart's
   * @throws IOException if there is no model, or the picture can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    Path model = args.length > 0 ? Path.of(args[0]) : Path.of(target, "quickstart", "model");
    run(model, Path.of(target, "shared-latent", "shared.png"), CALLS);
  }

  static void run(Path model, Path picture, int calls) throws IOException {
    Pictures.requireSavable(picture);
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      PictureTable table = new PictureTable(ddpm.dataRange());
      for (double parting : PARTINGS) {
        int steps = (int) Math.round(parting * ddpm.schedule().timesteps());
        try (Samples samples =
            ddpm.sampling()
                .sampler(Samplers.ddim(calls).eta(1))
                .seed(SEED)
                .generateSharing(steps - 1, COUNT)) {
          NDArray drawn = samples.toNDArray(manager);
          table.row("t = " + steps, drawn);
          double apart = Math.sqrt(drawn.get("1:").sub(drawn.get(":1")).square().mean().getFloat());
          System.out.printf(Locale.ROOT, "parted at t = %d: %.3f apart%n", steps, apart);
        }
      }
      table.save(picture);
      System.out.println(picture);
    }
  }
}
