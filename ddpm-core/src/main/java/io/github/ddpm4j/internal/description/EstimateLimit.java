package io.github.ddpm4j.internal.description;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How x̂_0 is limited when a model is sampled from, which a model keeps in its metadata: so it
 * stays known when the model is trained on, saved and written for others.
 *
 * @param clip whether x̂_0 is clipped to the range of images, or thresholded
 * @param thresholding in place of clipping; null if there is none
 */
public record EstimateLimit(boolean clip, @Nullable Thresholding thresholding) {

  /** {@code none} if x̂_0 is not clipped, or share and greatest value of thresholding. */
  public static final String KEY = "pretrained.x0Limit";

  private static final String NONE = "none";

  /**
   * Dynamic thresholding.
   *
   * @param share the share of values within
   * @param greatest the greatest value
   */
  public record Thresholding(double share, double greatest) {}

  /**
   * What metadata say.
   *
   * @param metadata that of a model
   * @return its limit; to the range of images if they say nothing
   * @throws IllegalArgumentException if they say what is no limit
   */
  public static EstimateLimit of(Map<String, String> metadata) {
    String words = metadata.get(KEY);
    if (words == null || words.equals(NONE)) {
      return new EstimateLimit(words == null, null);
    }
    String[] parts = words.split(" ", -1);
    try {
      if (parts.length == 2) {
        return new EstimateLimit(
            true, new Thresholding(Double.parseDouble(parts[0]), Double.parseDouble(parts[1])));
      }
    } catch (NumberFormatException e) {
      throw refused(words, e);
    }
    throw refused(words, null);
  }

  /**
   * The metadata that say so.
   *
   * @return one word, or none where x̂_0 is clipped to the range of images, as usual
   */
  public Map<String, String> metadata() {
    if (thresholding != null) {
      return Map.of(KEY, thresholding.share() + " " + thresholding.greatest());
    }
    return clip ? Map.of() : Map.of(KEY, NONE);
  }

  private static IllegalArgumentException refused(
      String words, @Nullable NumberFormatException cause) {
    return new IllegalArgumentException(
        "the metadata "
            + KEY
            + " must be "
            + NONE
            + " or two numbers, share and greatest value, but was "
            + Quote.of(words),
        cause);
  }
}
