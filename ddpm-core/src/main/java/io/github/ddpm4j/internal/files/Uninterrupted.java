package io.github.ddpm4j.internal.files;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;

/**
 * Work on the channels of files, which Java closes when the thread is interrupted: files are read
 * and written all the same, in the catch block where people save, too. The thread is interrupted
 * afterwards as it was before.
 */
public final class Uninterrupted {

  private Uninterrupted() {}

  /**
   * What is to be done.
   *
   * @param <T> its result
   */
  @FunctionalInterface
  public interface Work<T> {

    /**
     * Does it from its beginning, with channels of its own: an interrupt has closed those of the
     * time before.
     *
     * @return the result
     * @throws IOException if it fails
     */
    T run() throws IOException;
  }

  /**
   * Does the work, and again when an interrupt comes in between.
   *
   * @param work the work
   * @param <T> its result
   * @return the result
   * @throws IOException if it fails, but never because of an interrupt
   */
  public static <T> T run(Work<T> work) throws IOException {
    boolean interrupted = Thread.interrupted();
    try {
      while (true) {
        try {
          return work.run();
        } catch (ClosedByInterruptException e) {
          interrupted |= Thread.interrupted();
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
