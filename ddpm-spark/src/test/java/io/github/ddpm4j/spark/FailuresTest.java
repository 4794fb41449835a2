package io.github.ddpm4j.spark;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.concurrent.Callable;
import org.apache.spark.SparkException;
import org.junit.jupiter.api.Test;

class FailuresTest {

  private static Callable<String> failing(Throwable failure) {
    return () -> {
      if (failure instanceof Error error) {
        throw error;
      }
      throw (Exception) failure;
    };
  }

  /** A library that is not there would end the executor, if it came through. */
  @Test
  void onExecutor_tellsWhatFailed_missingLibrariesToo() {
    assertThatThrownBy(
            () -> Failures.onExecutor("loading it", failing(new UnsatisfiedLinkError("no lib"))))
        .isInstanceOf(ExecutorException.class)
        .hasMessageEndingWith(": loading it failed: no lib");
    assertThatThrownBy(() -> Failures.onExecutor("it", failing(new IOException())))
        .hasMessageEndingWith(": it failed: IOException");
    assertThatThrownBy(
            () ->
                Failures.onExecutor(
                    "outer", () -> Failures.onExecutor("inner", failing(new IOException("why")))))
        .hasMessageEndingWith(": inner failed: why");
    assertThatThrownBy(
            () ->
                Failures.onExecutor(
                    "it",
                    failing(new IOException("not written", new IOException("no space\nat all")))))
        .hasMessageEndingWith(": it failed: not written: no space");
  }

  @Test
  void atDriver_tellsWhatTheExecutorSaid() {
    ExecutorException told = new ExecutorException("executor 3: it failed: why", new IOException());
    SparkException job = new SparkException("Job aborted", told);
    assertThatThrownBy(() -> Failures.atDriver(failing(job)))
        .isInstanceOf(ExecutorException.class)
        .hasMessage("executor 3: it failed: why")
        .hasCause(job);
    IllegalArgumentException own = new IllegalArgumentException("own");
    assertThatThrownBy(() -> Failures.atDriver(failing(own))).isSameAs(own);
    SparkException other = new SparkException("Job aborted", new IOException());
    assertThatThrownBy(() -> Failures.atDriver(failing(other)))
        .isInstanceOf(IllegalStateException.class)
        .hasCause(other);
  }
}
