package io.github.ddpm4j;

/** Lets a run on the CPU read its losses as late as on a GPU. */
public final class LogRows {

  private LogRows() {}

  /**
   * Sets how far steps may be ahead of what was read of them.
   *
   * @return the same run
   */
  public static Training of(Training training, int rows) {
    return training.logRows(rows);
  }
}
