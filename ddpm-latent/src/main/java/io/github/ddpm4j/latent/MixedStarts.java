package io.github.ddpm4j.latent;

import io.github.ddpm4j.internal.ops.SphericalPath;
import io.github.ddpm4j.noise.NoiseSource;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The noise of pictures that start between two others': on the sphere through the noise of both.
 * Draws after the first are those of the picture where the way begins.
 *
 * @param from for each picture, where its way begins
 * @param to where it ends
 * @param fractions how far it goes
 */
@SuppressWarnings("ArrayRecordComponent") // made once and not changed
record MixedStarts(int[] from, int[] to, double[] fractions) {

  /** Pictures along the way from picture 0 to picture 1. */
  static MixedStarts between(double... fractions) {
    int[] ends = new int[fractions.length];
    Arrays.fill(ends, 1);
    return new MixedStarts(new int[fractions.length], ends, fractions);
  }

  /** Pictures 0 to count − 1, each as near to one of them. */
  static MixedStarts around(int picture, double strength, int count) {
    int[] all = new int[count];
    Arrays.fill(all, picture);
    double[] fractions = new double[count];
    Arrays.fill(fractions, strength);
    return new MixedStarts(all, IntStream.range(0, count).toArray(), fractions);
  }

  /** The noise of these pictures. */
  NoiseSource of(NoiseSource draws) {
    return (image, draw, target) -> {
      int i = Math.toIntExact(image);
      draws.normal(from[i], draw, target);
      if (draw == 0 && from[i] != to[i]) {
        double[] end = new double[target.length];
        draws.normal(to[i], 0, end);
        SphericalPath path = SphericalPath.between(target, end);
        for (int k = 0; k < end.length; k++) {
          target[k] =
              path.fromWeight(fractions[i]) * target[k] + path.toWeight(fractions[i]) * end[k];
        }
      }
    };
  }
}
