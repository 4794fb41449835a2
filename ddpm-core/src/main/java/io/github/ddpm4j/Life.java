package io.github.ddpm4j;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How a network's weights were made, as far as it is known: the provenance of a model, which grows
 * when the model is trained on in place. Thread-safe.
 */
final class Life {

  private volatile Map<String, Object> provenance;

  Life(Map<String, Object> provenance) {
    this.provenance = Collections.unmodifiableMap(new LinkedHashMap<>(provenance));
  }

  /** The last run that trained the weights, with those before it; empty if nothing is known. */
  Map<String, Object> provenance() {
    return provenance;
  }

  /** A run has trained the weights; what was known before is part of its notes. */
  void goesOn(Map<String, Object> notes) {
    provenance = Collections.unmodifiableMap(new LinkedHashMap<>(notes));
  }
}
