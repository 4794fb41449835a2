package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.report.PictureTable;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Draws variations of pictures and of crude sketches of them, from close to far (SDEdit, Meng et
 * al. 2022).
 */
public final class ImageToImage {

  private static final double[] STRENGTHS = {0.1, 0.3, 0.5, 0.7, 0.9};
  private static final int CALLS = 100;
  private static final int COUNT = 5;

  private ImageToImage() {}

  /**
   * Runs the example.
   *
   * @param args the folder of a model, or nothing for the quickstart's; and a folder of pictures of
   *     the kind that it draws, or nothing for bundled digits
   * @throws IOException if there is no model, or a picture can't be read or written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    Path model = args.length > 0 ? Path.of(args[0]) : Path.of(target, "quickstart", "model");
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      Shape shape = ddpm.denoiser().orElseThrow().imageShape().orElseThrow();
      NDArray pictures =
          args.length > 1
              ? PictureFolder.builder(Path.of(args[1]), shape)
                  .setSampling(1, false)
                  .build()
                  .first(manager, COUNT)
              : Digits.load().heldOut().ofLabels(3, 6, 0, 7, 2).toArray(manager);
      run(ddpm, pictures, Path.of(target, "image-to-image", "variations.png"), CALLS);
    }
  }

  static void run(DDPM ddpm, NDArray pictures, Path file, int calls) throws IOException {
    Pictures.requireSavable(file);
    // A sketch in two tones: something that no model of the pictures would draw.
    NDArray dark = pictures.lt(0).toType(pictures.getDataType(), false);
    NDArray given = pictures.concat(dark.mul(-2).add(1), 0);
    PictureTable table = new PictureTable(ddpm.dataRange()).row("given", given);
    for (double strength : STRENGTHS) {
      try (Samples samples =
          ddpm.sampling()
              .sampler(Samplers.ddim(calls).eta(1))
              .seed(1)
              .imageToImage(given, strength)) {
        NDArray drawn = samples.toNDArray(given.getManager());
        table.row("strength " + strength, drawn);
        double difference = Math.sqrt(drawn.sub(given).square().mean().getFloat());
        System.out.printf(Locale.ROOT, "strength %s: differs by %.3f%n", strength, difference);
      }
    }
    table.save(file);
    System.out.println(file);
  }
}
