package io.github.ddpm4j.latent;

import java.util.List;

/** Turns text without special tokens into the numbers of a vocabulary. Immutable. */
@FunctionalInterface
interface Subwords {

  /**
   * The tokens of a text.
   *
   * @param text the text
   * @param ids receives their numbers
   */
  void add(String text, List<Integer> ids);
}
