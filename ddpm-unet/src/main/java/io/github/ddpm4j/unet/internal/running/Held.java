package io.github.ddpm4j.unet.internal.running;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.MappedTensor;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;

/**
 * What each weight of a network is held in: all in memory, in one way, or those as their file has
 * them whose memory is pages of it.
 */
public final class Held {

  /** All of them as they are computed with. */
  public static final Held FLOAT32 = new Held(Holding.FLOAT32, false, Map.of());

  private static final Held BFLOAT16 = new Held(Holding.BFLOAT16, false, Map.of());
  private static final Held FLOAT16 = new Held(Holding.FLOAT16, false, Map.of());

  private final Holding all;
  private final boolean mapped;
  private final Map<String, Holding> pages;

  private Held(Holding all, boolean mapped, Map<String, Holding> pages) {
    this.all = all;
    this.mapped = mapped;
    this.pages = pages;
  }

  /**
   * All in memory.
   *
   * @param holding what they are held in
   * @return this, the same each time
   */
  public static Held in(Holding holding) {
    return switch (holding) {
      case FLOAT32 -> FLOAT32;
      case BFLOAT16 -> BFLOAT16;
      case FLOAT16 -> FLOAT16;
    };
  }

  /**
   * As a file has them.
   *
   * @param tensors those that are pages of it, by the names of the weights; the others lie in
   *     memory in float32
   * @return this, another each time
   */
  public static Held mapped(Map<String, MappedTensor> tensors) {
    Map<String, Holding> pages = new HashMap<>();
    tensors.forEach((name, tensor) -> pages.put(name, Holding.of(tensor.type())));
    return new Held(Holding.FLOAT32, true, Collections.unmodifiableMap(pages));
  }

  /**
   * Whether all lie in memory in float32, where they can be read and changed.
   *
   * @return whether they do
   */
  public boolean isWide() {
    return all == Holding.FLOAT32 && !mapped;
  }

  /**
   * What those in memory are held in.
   *
   * @return what they are
   */
  public Holding inMemory() {
    return all;
  }

  /**
   * Whether a weight is pages of a file.
   *
   * @param name its name
   * @return whether it is
   */
  public boolean isMapped(String name) {
    return pages.containsKey(name);
  }

  /**
   * A weight of a program's arguments as it computes with it.
   *
   * @param name its name
   * @param argument how the program calls it
   * @param shape its shape
   * @param type what the program computes in
   * @return float32, or what the program computes in
   */
  public Value value(String name, String argument, Shape shape, Script.Type type) {
    return pages.getOrDefault(name, all).value(argument, shape, type);
  }

  /** How messages say it. */
  @Override
  public String toString() {
    return mapped ? "pages of files" : all.name();
  }
}
