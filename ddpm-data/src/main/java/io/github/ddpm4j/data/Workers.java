package io.github.ddpm4j.data;

import java.io.IOException;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** A few threads that read pictures. They end by themselves when there is nothing to do. */
final class Workers {

  private static final long IDLE_SECONDS = 5;

  private final ThreadPoolExecutor pool;

  Workers(int threads) {
    pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> {
              Thread thread = new Thread(task, "ddpm4j-pictures");
              thread.setDaemon(true);
              return thread;
            });
    pool.allowCoreThreadTimeOut(true);
  }

  int threads() {
    return pool.getMaximumPoolSize();
  }

  <T> Future<T> submit(Callable<T> task) {
    return pool.submit(task);
  }

  /**
   * Waits for a result.
   *
   * @throws CancellationException if the waiting thread is interrupted, which it stays
   */
  static <T> T await(Future<T> future) throws IOException {
    try {
      return future.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      CancellationException interrupted =
          new CancellationException("interrupted while a picture was read");
      interrupted.initCause(e);
      throw interrupted;
    } catch (ExecutionException e) {
      Throwable cause = e.getCause();
      if (cause instanceof IOException failure) {
        throw new IOException(failure.getMessage(), failure);
      }
      if (cause instanceof Error failure) {
        throw failure;
      }
      throw new IllegalStateException(cause == null ? null : cause.getMessage(), e);
    }
  }
}
