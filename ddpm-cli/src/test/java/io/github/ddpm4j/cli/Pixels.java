package io.github.ddpm4j.cli;

import java.awt.image.Raster;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/** What pictures have in common. */
final class Pixels {

  private Pixels() {}

  /** The largest difference between two pictures of one size, of 255. */
  static int difference(Path one, Path other) throws IOException {
    int[] left = samples(one);
    int[] right = samples(other);
    int worst = 0;
    for (int i = 0; i < left.length; i++) {
      worst = Math.max(worst, Math.abs(left[i] - right[i]));
    }
    return worst;
  }

  private static int[] samples(Path file) throws IOException {
    Raster raster = ImageIO.read(file.toFile()).getRaster();
    return raster.getPixels(0, 0, raster.getWidth(), raster.getHeight(), (int[]) null);
  }
}
