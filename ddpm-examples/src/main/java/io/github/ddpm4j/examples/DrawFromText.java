package io.github.ddpm4j.examples;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Draws what a text says with a published model: latent diffusion's text-to-image model or Stable
 * Diffusion 1.x or 2.x.
 */
public final class DrawFromText {

  private static final int STEPS = 50;
  private static final double GUIDANCE = 6;
  private static final long SEED = 42;

  private DrawFromText() {}

  /**
   * Runs the example.
   *
   * @param args the folder of a model of diffusers or its name on Hugging Face's hub, from where it
   *     is downloaded once; and the text
   * @throws IOException if there is no model, or the picture can't be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    if (args.length != 2) {
      throw new IllegalArgumentException(
          "two arguments are needed, a model and a text in quotes, such as"
              + " CompVis/ldm-text2im-large-256 'An image of a cat laughing', but there were "
              + args.length);
    }
    Path picture = Path.of(System.getProperty("ddpm4j.target", "target"), "text", "drawn.png");
    run(args[0], args[1], picture, STEPS);
  }

  static void run(String model, String text, Path picture, int steps) throws IOException {
    Pictures.requireSavable(picture);
    Path folder = Path.of(model);
    if (!Files.isDirectory(folder)) {
      folder = TextToImage.download(model, "main", DrawFromText::show);
    }
    try (TextToImage drawing = TextToImage.load(folder);
        Samples samples =
            drawing
                .prompt(text)
                .guidance(GUIDANCE)
                .steps(steps)
                .seed(SEED)
                .listener(
                    event ->
                        System.out.println("step " + (event.step() + 1) + " of " + event.steps()))
                .generate(1)) {
      samples.save(0, picture);
    }
    System.out.println(picture);
  }

  private static void show(String file, long bytes, long total) {
    if (bytes == total) {
      System.out.println(file);
    }
  }
}
