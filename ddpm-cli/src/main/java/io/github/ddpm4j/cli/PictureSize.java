package io.github.ddpm4j.cli;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.latent.LatentDiffusion;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.unet.UNet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * The size of a picture.
 *
 * @param height its rows
 * @param width its columns
 */
record PictureSize(int height, int width) {

  private static final Pattern TEXT = Pattern.compile("(\\d{1,5})x(\\d{1,5})");

  /**
   * Reads what {@link #toString} writes.
   *
   * @throws TypeConversionException if it is no size
   */
  static PictureSize of(String text) {
    Matcher parts = TEXT.matcher(text);
    if (!parts.matches()) {
      throw new TypeConversionException(
          "must be height and width, such as 512x768, but was " + text);
    }
    return new PictureSize(Integer.parseInt(parts.group(1)), Integer.parseInt(parts.group(2)));
  }

  /** That of the pictures that a model was trained on. */
  static PictureSize usual(TextToImage model) {
    LatentDiffusion latent = model.latentDiffusion();
    Shape latents = latent.ddpm().denoiser(UNet.class).config().imageShape();
    int factor = latent.autoencoder().factor();
    return new PictureSize(
        Math.toIntExact(factor * latents.get(1)), Math.toIntExact(factor * latents.get(2)));
  }

  @Override
  public String toString() {
    return height + "x" + width;
  }

  /** Reads {@code 512x768}. */
  static final class Converter implements ITypeConverter<PictureSize> {

    @Override
    public PictureSize convert(String text) {
      return of(text);
    }
  }
}
