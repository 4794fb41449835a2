package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.io.IOException;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Pictures as the noise that they are drawn from, and back (DDIM, section 5.4). */
@Command(
    name = "EncodeDecode",
    description = "Encodes pictures as noise and decodes them, and prints how near they come back.",
    sortOptions = false)
public final class EncodeDecode extends ModelUse {

  @Option(
      names = "--calls",
      paramLabel = "N",
      split = ",",
      description =
          "Network calls to encode, and as many to decode, a row for each (default:"
              + " ${DEFAULT-VALUE}).")
  private int[] calls = {10, 20, 50, 100, 200, 500, 1000};

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Pictures (default: ${DEFAULT-VALUE}).")
  private int count = 10;

  /** Sets up the example. */
  public EncodeDecode() {
    super("encode-decode");
  }

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.exitWith(Mains.run(new EncodeDecode(), args));
  }

  @Override
  void use(DDPM ddpm, NDManager manager) throws IOException {
    NDArray real = pictures(ddpm, manager, Mains.atLeast("--count", 1, count));
    Figure figure = figure(ddpm).row("real", real);
    for (int steps : calls) {
      try (Samples latents = ddpm.sampling().encode(real, steps)) {
        NDArray noise = latents.toNDArray(manager);
        if (steps == calls[calls.length - 1]) {
          figure.row("noise", noise);
        }
        try (Samples decoded =
            ddpm.sampling()
                .sampler(Samplers.ddim(steps).spacing(TimestepSpacing.TRAILING))
                .decode(noise)) {
          NDArray drawn = decoded.toNDArray(manager);
          figure.row(steps + " calls", drawn);
          out()
              .printf(
                  Locale.ROOT,
                  "%4d calls each way: error %.4f (root mean square), %.3f at most; noise of mean"
                      + " %.3f and variance %.3f%n",
                  steps,
                  rootMeanSquare(drawn, real),
                  drawn.sub(real).abs().max().getFloat(),
                  noise.mean().getFloat(),
                  noise.sub(noise.mean()).pow(2).mean().getFloat());
        }
      }
    }
    save(
        figure,
        "decoded.png",
        "Real pictures; encoded and decoded in so many network calls each way; and the noise that"
            + " the last of them encode as, above its row:");
  }
}
