package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.report.PictureTable;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.io.IOException;
import java.nio.file.Path;

/**
 * What lies between two pictures: along the sphere of their latents (DDIM, section 5.3), and
 * through x_t of several depths (Ho et al. 2020, figure 9).
 */
public final class Interpolate {

  private static final int CALLS = 100;
  private static final String[] COLUMNS = {
    "real", "0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1", "real"
  };
  private static final int[] ENDS = {3, 6, 0, 7, 2, 5, 8, 4};
  private static final double[] DEPTHS = {0.1, 0.25, 0.5, 0.75, 1};

  private Interpolate() {}

  /**
   * Runs the example.
   *
   * @param args the folder of a model of 8x8 digits, or nothing for the quickstart's
   * @throws IOException if there is no model, or a picture can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    Path model = args.length > 0 ? Path.of(args[0]) : Path.of(target, "quickstart", "model");
    run(model, Path.of(target, "interpolate"), CALLS);
  }

  static void run(Path model, Path folder, int calls) throws IOException {
    Pictures.requireSavable(folder.resolve("latents.png"));
    double[] fractions = {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
    // TRAILING starts at the last timestep, where encoding ends.
    Sampler sampler = Samplers.ddim(calls).spacing(TimestepSpacing.TRAILING);
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      Sampling sampling = ddpm.sampling().sampler(sampler).seed(1);
      NDArray ends = Digits.load().heldOut().ofLabels(ENDS).toArray(manager);
      PictureTable latents = new PictureTable(ddpm.dataRange(), COLUMNS);
      try (Samples encoded = ddpm.sampling().encode(ends, calls)) {
        NDArray noise = encoded.toNDArray(manager);
        for (int i = 0; i < ENDS.length; i += 2) {
          try (Samples between =
              sampling.interpolateLatents(noise.get(i), noise.get(i + 1), fractions)) {
            latents.row("", ends.get(i), between.toNDArray(manager), ends.get(i + 1));
          }
        }
      }
      latents.save(folder.resolve("latents.png"));

      PictureTable depths = new PictureTable(ddpm.dataRange(), COLUMNS);
      for (double depth : DEPTHS) {
        int steps = (int) Math.round(depth * ddpm.schedule().timesteps());
        try (Samples between =
            sampling.interpolate(ends.get(0), ends.get(1), steps - 1, fractions)) {
          depths.row(steps + " steps", ends.get(0), between.toNDArray(manager), ends.get(1));
        }
      }
      depths.save(folder.resolve("depths.png"));
      System.out.println(folder);
    }
  }
}
