package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.report.PictureTable;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Takes away the right half of pictures and draws it anew, without and with resampling (RePaint,
 * Lugmayr et al. 2022), and says how well the halves fit.
 */
public final class Inpaint {
  private static final int CALLS = 100;
  private static final int JUMP = 10;
  private static final int TIMES = 10;
  private static final long SEED = 1;
  private static final int[] DIGITS = {3, 6, 0, 7, 2, 5, 8, 4, 9, 1};

  private Inpaint() {}

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
    run(model, Path.of(target, "inpaint", "inpainted.png"), CALLS, JUMP, TIMES);
  }

  static void run(Path model, Path picture, int calls, int jump, int times) throws IOException {
    Pictures.requireSavable(picture);
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      NDArray real = Digits.load().heldOut().ofLabels(DIGITS).toArray(manager);
      // 1 where a pixel is known: in the left half
      NDArray mask = manager.zeros(new Shape(1, 1, 8, 8));
      mask.set(new NDIndex(":, :, :, :4"), 1);
      NDArray known = real.mul(mask);
      Sampler plain = Samplers.ddim(calls).eta(1);
      Sampler resampling = Samplers.resampling(plain, jump, times);
      System.out.printf(Locale.ROOT, "real: %.3f across the border%n", border(real));
      new PictureTable(ddpm.dataRange())
          .row("real", real)
          .row("known", known)
          .row("replaced", fill(ddpm, plain, SEED, known, mask))
          .row("resampled", fill(ddpm, resampling, SEED, known, mask))
          .row("again", fill(ddpm, resampling, SEED + 1, known, mask))
          .save(picture);
      System.out.println(picture);
    }
  }

  private static NDArray fill(DDPM ddpm, Sampler sampler, long seed, NDArray known, NDArray mask) {
    try (Samples samples = ddpm.sampling().sampler(sampler).seed(seed).inpaint(known, mask)) {
      NDArray filled = samples.toNDArray(known.getManager());
      System.out.printf(Locale.ROOT, "%s: %.3f across the border%n", sampler, border(filled));
      return filled;
    }
  }

  /** The mean difference of neighbours of which one is known and the other is not. */
  private static double border(NDArray images) {
    return images.get(":, :, :, 4").sub(images.get(":, :, :, 3")).abs().mean().getFloat();
  }
}
