package io.github.ddpm4j.spark;

import java.util.concurrent.Callable;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskKilledException;
import org.jspecify.annotations.Nullable;

/** Carries the reasons of failures from executors to the driver. */
final class Failures {

  private Failures() {}

  /**
   * Runs a part of a task.
   *
   * @param what what is being done, to go on "executor 3: … failed"
   * @throws ExecutorException if it fails, also where a library cannot be linked, which would end
   *     the executor without a word
   */
  static <T> T onExecutor(String what, Callable<T> part) {
    try {
      return part.call();
    } catch (ExecutorException | TaskKilledException e) {
      throw e;
    } catch (Exception | LinkageError e) {
      if (Thread.currentThread().isInterrupted()) {
        throw new TaskKilledException("interrupted while " + what);
      }
      throw new ExecutorException(where() + ": " + what + " failed: " + reason(e), e);
    }
  }

  /**
   * Runs a job.
   *
   * @throws ExecutorException if a task failed by one, with the message of that alone
   */
  static <T> T atDriver(Callable<T> job) {
    try {
      return job.call();
    } catch (Exception e) {
      ExecutorException told = within(e);
      if (told != null) {
        throw new ExecutorException(String.valueOf(told.getMessage()), e);
      }
      if (e instanceof RuntimeException unchecked) {
        throw unchecked;
      }
      throw new IllegalStateException(e); // Spark's own are checked for Scala alone
    }
  }

  private static @Nullable ExecutorException within(Throwable failure) {
    for (Throwable at = failure; at != null; at = at.getCause()) {
      if (at instanceof ExecutorException told) {
        return told;
      }
    }
    return null;
  }

  /** The message, with that of the first cause, which Java's writers of pictures hide. */
  private static String reason(Throwable e) {
    String told = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    Throwable first = e;
    while (first.getCause() != null) {
      first = first.getCause();
    }
    String why = String.valueOf(first.getMessage()).lines().findFirst().orElse("");
    return first.getMessage() == null || told.contains(why) ? told : told + ": " + why;
  }

  private static String where() {
    SparkEnv environment = SparkEnv.get();
    return environment == null ? "the driver" : "executor " + environment.executorId();
  }
}
