package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.pretrained.Facts.Thresholding;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How x̂_0 is limited when a model is sampled from, which a model keeps in its metadata: so it
 * stays known when the model is trained on, saved and written for others.
 */
final class SamplingWords {

  /** {@code none} if x̂_0 is not clipped, or share and greatest value of thresholding. */
  static final String KEY = "pretrained.x0Limit";

  private static final String NONE = "none";

  private SamplingWords() {}

  /** The metadata of a model; empty where x̂_0 is clipped to the range of images, as usual. */
  static Map<String, String> of(Facts facts) {
    Thresholding thresholding = facts.thresholding();
    if (thresholding != null) {
      return Map.of(KEY, thresholding.share() + " " + thresholding.greatest());
    }
    return facts.clip() ? Map.of() : Map.of(KEY, NONE);
  }

  /** Whether x̂_0 is clipped or thresholded. */
  static boolean clips(DDPM ddpm) {
    return !NONE.equals(ddpm.metadata().get(KEY));
  }

  /** The numbers of thresholding; null if there is none. */
  static @Nullable Thresholding thresholding(DDPM ddpm) {
    String words = ddpm.metadata().get(KEY);
    if (words == null || words.equals(NONE)) {
      return null;
    }
    String[] parts = words.split(" ", -1);
    try {
      if (parts.length == 2) {
        return new Thresholding(Double.parseDouble(parts[0]), Double.parseDouble(parts[1]));
      }
    } catch (NumberFormatException e) {
      throw refused(words, e);
    }
    throw refused(words, null);
  }

  private static IllegalArgumentException refused(
      String words, @Nullable NumberFormatException cause) {
    return new IllegalArgumentException(
        "the metadata "
            + KEY
            + " must be "
            + NONE
            + " or two numbers, share and greatest value, but was "
            + words,
        cause);
  }
}
