package io.github.ddpm4j;

import io.github.ddpm4j.internal.description.History;
import java.util.AbstractMap;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How a network's weights were made, as far as it is known: the provenance of a model, which grows
 * when the model is trained on in place. Thread-safe.
 */
final class Life {

  private volatile Map<String, Object> provenance;

  /** The SHA-256 of the file that the weights are as they lie in it; null if there is none. */
  private volatile @Nullable String file;

  Life(Map<String, Object> provenance, @Nullable String file) {
    this.provenance = Collections.unmodifiableMap(new LinkedHashMap<>(provenance));
    this.file = file;
  }

  /** The last run that trained the weights, with those before it; empty if nothing is known. */
  Map<String, Object> provenance() {
    return provenance;
  }

  /**
   * The provenance with the digest of the file, as sampling takes it: at any time what holds then.
   */
  Map<String, Object> provenanceAndFile() {
    return new AbstractMap<>() {
      @Override
      public Set<Entry<String, Object>> entrySet() {
        return Collections.unmodifiableMap(now()).entrySet();
      }
    };
  }

  private Map<String, Object> now() {
    String known = file;
    if (known == null) {
      return provenance;
    }
    Map<String, Object> both = new LinkedHashMap<>(provenance);
    both.put(History.WEIGHTS_SHA256, known);
    return both;
  }

  /** What becomes of the weights now is in no file. */
  void leavesItsFile() {
    file = null;
  }

  /** A run has trained the weights; what was known before is part of its notes. */
  void goesOn(Map<String, Object> notes) {
    provenance = Collections.unmodifiableMap(new LinkedHashMap<>(notes));
  }
}
