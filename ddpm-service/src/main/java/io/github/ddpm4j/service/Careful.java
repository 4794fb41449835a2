package io.github.ddpm4j.service;

import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs what others brought along, and goes on whatever comes of it. */
final class Careful {

  private static final Logger logger = LoggerFactory.getLogger(SamplingService.class);

  private Careful() {}

  /**
   * Does something, and logs what it throws.
   *
   * @param what it is, for the log
   */
  static void attempt(String what, Runnable action) {
    try {
      action.run();
    } catch (Throwable e) {
      warn(what, e);
    }
  }

  /**
   * Does something on an executor, or here if it takes nothing more: once, whatever it did before
   * it said so.
   */
  static void hand(Executor executor, Runnable action) {
    AtomicBoolean done = new AtomicBoolean();
    Runnable once =
        () -> {
          if (done.compareAndSet(false, true)) {
            action.run();
          }
        };
    try {
      executor.execute(once);
    } catch (Throwable e) {
      once.run();
    }
  }

  private static void warn(String what, Throwable failure) {
    try {
      logger.warn("{} failed in a sampling service, which goes on", what, failure);
    } catch (Throwable e) {
      // Not even that can be said, as without memory.
    }
  }
}
