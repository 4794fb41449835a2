package io.github.ddpm4j.internal.random;

import java.security.SecureRandom;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/** The seed of a run: the one that was set, or one that is drawn and logged. */
public final class Seeds {

  private Seeds() {}

  /**
   * The seed of a run.
   *
   * @param seed the seed that was set, if any
   * @param logger where a drawn seed is logged at INFO level, so that the run can be made again
   * @param doing what the run does, as in "sampling"
   * @return {@code seed}, or a random one
   */
  public static long orDrawn(@Nullable Long seed, Logger logger, String doing) {
    if (seed != null) {
      return seed;
    }
    long drawn = drawn();
    logger.info("{} with seed {}", doing, drawn);
    return drawn;
  }

  /**
   * A random seed.
   *
   * @return any number
   */
  public static long drawn() {
    return new SecureRandom().nextLong();
  }
}
