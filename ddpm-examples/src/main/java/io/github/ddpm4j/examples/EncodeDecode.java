package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.report.PictureTable;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Pictures as the noise that they are drawn from, and back (DDIM, section 5.4), and how near they
 * come back.
 */
public final class EncodeDecode {

  private static final int[] CALLS = {10, 20, 50, 100, 200, 500, 1000};

  private EncodeDecode() {}

  /**
   * Runs the example.
   *
   * @param args the folder of a model of 8x8 digits, or nothing for the quickstart's
   * @throws IOException if there is no model, or the picture can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    Path model = args.length > 0 ? Path.of(args[0]) : Path.of(target, "quickstart", "model");
    run(model, Path.of(target, "encode-decode", "decoded.png"), CALLS);
  }

  static void run(Path model, Path picture, int... calls) throws IOException {
    Pictures.requireSavable(picture);
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      NDArray real =
          Digits.load().heldOut().ofLabels(3, 6, 0, 7, 2, 5, 8, 4, 9, 1).toArray(manager);
      PictureTable table = new PictureTable(ddpm.dataRange()).row("real", real);
      for (int steps : calls) {
        try (Samples latents = ddpm.sampling().encode(real, steps);
            Samples decoded =
                ddpm.sampling()
                    .sampler(Samplers.ddim(steps).spacing(TimestepSpacing.TRAILING))
                    .decode(latents.toNDArray(manager))) {
          NDArray drawn = decoded.toNDArray(manager);
          table.row(steps + " calls", drawn);
          double error = Math.sqrt(drawn.sub(real).square().mean().getFloat());
          System.out.printf(Locale.ROOT, "%4d calls each way: error %.4f%n", steps, error);
          if (steps == calls[calls.length - 1]) {
            table.row("noise", latents.toNDArray(manager));
          }
        }
      }
      table.save(picture);
      System.out.println(picture);
    }
  }
}
