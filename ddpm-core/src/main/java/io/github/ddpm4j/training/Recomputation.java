package io.github.ddpm4j.training;

import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * Which parts of a network are computed again for the gradient instead of being held in memory from
 * the forward pass (Chen et al. 2016, "Training deep nets with sublinear memory cost"). Immutable.
 *
 * <p>Of a part that is recomputed only the result is held. Results are the same; the gradient may
 * differ in the last bits, because sums are taken in another order. A part is a residual block with
 * its attention, and belongs to a level of resolution. The highest levels hold the most memory.
 *
 * @see io.github.ddpm4j.Training#recomputation(Recomputation)
 */
public final class Recomputation {

  private static final Recomputation NONE = new Recomputation(false, Set.of());
  private static final Recomputation EVERYWHERE = new Recomputation(true, Set.of());

  private final boolean everywhere;
  private final Set<Integer> levels;

  private Recomputation(boolean everywhere, Set<Integer> levels) {
    this.everywhere = everywhere;
    this.levels = levels;
  }

  /**
   * Nothing is recomputed.
   *
   * @return the default
   */
  public static Recomputation none() {
    return NONE;
  }

  /**
   * Every part is recomputed: the least memory, for about a quarter more time.
   *
   * @return the setting
   */
  public static Recomputation everywhere() {
    return EVERYWHERE;
  }

  /**
   * The parts of some levels are recomputed.
   *
   * @param levels levels of resolution, 0 for the highest; at least one
   * @return the setting
   * @throws IllegalArgumentException if there are none, or one is negative
   */
  public static Recomputation levels(int... levels) {
    if (levels.length == 0 || Arrays.stream(levels).anyMatch(level -> level < 0)) {
      throw new IllegalArgumentException(
          "levels must be one or more numbers of at least 0, but were "
              + Arrays.toString(levels)
              + "; use Recomputation.none() for none");
    }
    return new Recomputation(
        false, Arrays.stream(levels).boxed().collect(Collectors.toCollection(TreeSet::new)));
  }

  /**
   * Whether the parts of a level are recomputed.
   *
   * @param level the level, negative for parts that never are
   * @return whether they are
   */
  public boolean includes(int level) {
    return level >= 0 && (everywhere || levels.contains(level));
  }

  /**
   * Whether nothing is recomputed.
   *
   * @return true for {@link #none()}
   */
  public boolean isNone() {
    return !everywhere && levels.isEmpty();
  }

  @Override
  public String toString() {
    return isNone() ? "none" : everywhere ? "everywhere" : "levels " + levels;
  }
}
