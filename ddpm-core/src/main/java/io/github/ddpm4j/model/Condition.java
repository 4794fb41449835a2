package io.github.ddpm4j.model;

/**
 * What a sample is conditioned on. {@link #none()} is the only condition so far: it stands in every
 * signature from the start so that labels, vectors and images can join without breaking callers.
 */
public interface Condition {

  /**
   * No condition: the unconditional model.
   *
   * @return the one instance
   */
  static Condition none() {
    return NoCondition.NONE;
  }
}
