package io.github.ddpm4j.internal.description;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The sampler that a model was tuned for, where its x̂_0 is the end of a way and no mean, so that
 * other samplers make no sense. A model keeps it in its metadata; what trains it on otherwise takes
 * it out.
 */
public final class TunedFor {

  /** The metadata with the text of the sampler: {@value}. */
  public static final String KEY = "ddpm4j.tunedFor";

  /** The entry of a provenance that says how it was tuned: {@value}. */
  public static final String CONSISTENCY = "consistency";

  /** The entry of a provenance that has the greatest level: {@value}. */
  public static final String SIGMA_MAX = "sigmaMax";

  /** What samplers leave out of the text of a number. */
  private static final Pattern WHOLE = Pattern.compile("\\.0$");

  private TunedFor() {}

  /**
   * The sampler of a model.
   *
   * @param metadata that of the model
   * @param provenance how its weights were made, of which the last run counts: the network of a
   *     model that was tuned in place is known by it
   * @return the text of the sampler; empty for ordinary models
   */
  public static Optional<String> of(Map<String, String> metadata, Map<String, Object> provenance) {
    String named = metadata.get(KEY);
    if (named != null) {
      return Optional.of(named);
    }
    return provenance.containsKey(CONSISTENCY) && provenance.get(SIGMA_MAX) instanceof Number sigma
        ? Optional.of("consistency:2, sigmaMax=" + WHOLE.matcher(sigma.toString()).replaceFirst(""))
        : Optional.empty();
  }

  /**
   * Metadata that say it.
   *
   * @param metadata that of a model
   * @param sampler the text of the sampler
   * @return the same with this sampler
   */
  public static Map<String, String> in(Map<String, String> metadata, String sampler) {
    Map<String, String> words = new LinkedHashMap<>(metadata);
    words.put(KEY, sampler);
    return words;
  }

  /**
   * Metadata that do not say it.
   *
   * @param metadata that of a model
   * @return the same without a sampler
   */
  public static Map<String, String> notIn(Map<String, String> metadata) {
    Map<String, String> words = new LinkedHashMap<>(metadata);
    words.remove(KEY);
    return words;
  }
}
