package io.github.ddpm4j.internal.torch;

import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * Who uses what holds native memory: many threads at once, until one closes it. Closing waits for
 * the uses that have begun, and uses that come after it are refused: libtorch ends the process when
 * memory is freed that another thread reads.
 */
public final class Turns {

  /** The time of a use. */
  public interface Turn extends AutoCloseable {
    @Override
    void close();
  }

  private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
  private final String name;
  private final String refusal;

  /** Written by whoever is alone. */
  private volatile boolean closed;

  /**
   * For one thing that is closed once.
   *
   * @param name what it is called where a thread would close what it is using
   * @param refusal what is said to uses that come after the end
   */
  public Turns(String name, String refusal) {
    this.name = name;
    this.refusal = refusal;
  }

  /**
   * Begins a use beside others.
   *
   * @return ends it, on the same thread
   * @throws IllegalStateException if it is closed
   */
  public Turn use() {
    GradMode.lock(lock.readLock());
    if (closed) {
      lock.readLock().unlock();
      throw new IllegalStateException(refusal);
    }
    return lock.readLock()::unlock;
  }

  /**
   * Whether it is closed.
   *
   * @return true from then on
   */
  public boolean isClosed() {
    return closed;
  }

  /**
   * Closes it once the uses have ended. Does nothing the second time.
   *
   * @param free frees its memory
   * @throws IllegalStateException if this thread is using it
   */
  public void close(Runnable free) {
    if (lock.getReadHoldCount() > 0) {
      throw new IllegalStateException(
          name
              + " is in use on this thread, "
              + Thread.currentThread().getName()
              + ", and cannot be closed before that is done; close it after the call returns");
    }
    GradMode.lock(lock.writeLock());
    try {
      if (!closed) {
        closed = true;
        free.run();
      }
    } finally {
      lock.writeLock().unlock();
    }
  }
}
