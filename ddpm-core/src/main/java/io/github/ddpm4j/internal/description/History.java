package io.github.ddpm4j.internal.description;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The runs that made weights, in the words of a model file: the provenance describes the last run,
 * and its entry {@value #BEFORE} lists those before it, the first first.
 */
public final class History {

  /** The entry of a provenance that has the SHA-256 of the file of the weights: {@value}. */
  public static final String WEIGHTS_SHA256 = "weightsSha256";

  /** The entry of a provenance that lists the runs before the last. */
  public static final String BEFORE = "before";

  private static final String STEPS = "steps";
  private static final String CONDITION_DROPOUT = "conditionDropout";

  private History() {}

  /**
   * The runs of a provenance.
   *
   * @param provenance the provenance; empty if nothing is known
   * @return one map for each run, the first run first; without entries of this library, what the
   *     file said
   */
  public static List<Map<String, Object>> runs(Map<String, Object> provenance) {
    List<Map<String, Object>> runs = new ArrayList<>();
    if (provenance.get(BEFORE) instanceof List<?> before) {
      for (Object one : before) {
        if (one instanceof Map<?, ?> run) {
          Map<String, Object> copy = new LinkedHashMap<>();
          run.forEach((name, value) -> copy.put(String.valueOf(name), value));
          runs.add(Collections.unmodifiableMap(copy));
        }
      }
    }
    Map<String, Object> last = new LinkedHashMap<>(provenance);
    last.remove(BEFORE);
    if (!last.isEmpty()) {
      runs.add(Collections.unmodifiableMap(last));
    }
    return List.copyOf(runs);
  }

  /**
   * Adds the runs before the last to the provenance of it.
   *
   * @param last the provenance of the last run; modified
   * @param before the runs before it, the first first; none leave it as it is
   */
  public static void add(Map<String, Object> last, List<Map<String, Object>> before) {
    if (!before.isEmpty()) {
      last.put(BEFORE, before);
    }
  }

  /**
   * Whether weights are known to be trained under conditions alone, so that their prediction
   * without one says nothing.
   *
   * @param provenance the provenance
   * @return true if this library trained them in every run that is known, at least one, and never
   *     dropped a condition
   */
  public static boolean neverDroppedConditions(Map<String, Object> provenance) {
    List<Map<String, Object>> runs = runs(provenance);
    return !runs.isEmpty()
        && runs.stream()
            .allMatch(
                run ->
                    run.get(STEPS) instanceof Number
                        && !(run.get(CONDITION_DROPOUT) instanceof Number share
                            && share.doubleValue() > 0));
  }
}
