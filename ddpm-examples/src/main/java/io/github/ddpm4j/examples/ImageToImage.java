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

/** Draws variations of pictures, from close to far (SDEdit, Meng et al. 2022). */
@Command(
    name = "ImageToImage",
    description = "Draws variations of pictures and of crude sketches of them, from close to far.",
    sortOptions = false)
public final class ImageToImage extends ModelUse {

  @Option(
      names = "--strengths",
      paramLabel = "SHARES",
      split = ",",
      description = "How much of the noising is applied (default: ${DEFAULT-VALUE}).")
  private double[] strengths = {0.1, 0.3, 0.5, 0.7, 0.9};

  @Option(
      names = "--calls",
      paramLabel = "N",
      description = "Steps of the sampler over the whole schedule (default: ${DEFAULT-VALUE}).")
  private int calls = 100;

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Pictures (default: ${DEFAULT-VALUE}).")
  private int count = 5;

  /** Sets up the example. */
  public ImageToImage() {
    super("image-to-image");
  }

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.exitWith(Mains.run(new ImageToImage(), args));
  }

  @Override
  void use(DDPM ddpm, NDManager manager) throws IOException {
    NDArray real = pictures(ddpm, manager, Mains.atLeast("--count", 1, count));
    // A sketch in two tones: something that no model of the pictures would draw.
    double middle = (ddpm.dataRange().min() + ddpm.dataRange().max()) / 2;
    NDArray dark = real.lt(middle).toType(real.getDataType(), false);
    NDArray sketches =
        dark.mul(ddpm.dataRange().min() - ddpm.dataRange().max()).add(ddpm.dataRange().max());
    NDArray given = real.concat(sketches, 0);
    Figure figure = figure(ddpm);
    figure.row("given", given);
    for (double strength : strengths) {
      try (Samples samples =
          ddpm.sampling()
              .sampler(Samplers.ddim(calls).eta(1))
              .seed(seed())
              .imageToImage(given, strength)) {
        NDArray drawn = samples.toNDArray(manager);
        figure.row("strength " + strength, drawn);
        out()
            .printf(
                Locale.ROOT,
                "strength %s: differs by %.3f from what was given (root mean square)%n",
                strength,
                rootMeanSquare(drawn, given));
      }
    }
    save(
        figure,
        "variations.png",
        "Pictures, and two-tone sketches of them, noised to a share of the schedule and denoised:");
  }
}
