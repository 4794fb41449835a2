package io.github.ddpm4j.unet.internal.running;

import io.github.ddpm4j.internal.torch.GradMode;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * Who uses a network: many threads at once as it stands, one alone to change it, and while a run
 * trains it the thread of that run. A change waits for the uses that have begun, and uses that come
 * after it find the network changed, claimed or closed.
 */
public final class Usage {

  /** The time in which a network is used or changed. */
  public interface Hold extends AutoCloseable {
    @Override
    void close();
  }

  /** One training run's hold on the network; each is another, even of the same thread. */
  private static final class Claim {
    private final Thread owner = Thread.currentThread();
  }

  private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();

  /** Nobody uses it yet. */
  public Usage() {}

  /** Set by whoever is alone, so that it cannot come up during a use. */
  private volatile @Nullable Claim claim;

  /**
   * Begins a use of the network as it stands, beside others.
   *
   * @return what ends it
   * @throws IllegalStateException if another thread trains the network
   */
  public Hold shared() {
    GradMode.lock(lock.readLock());
    Claim held = claim;
    if (held != null && held.owner != Thread.currentThread()) {
      lock.readLock().unlock();
      throw inTraining(held);
    }
    return lock.readLock()::unlock;
  }

  /**
   * Begins a use as {@link #shared()}, of a network that must be fit for it.
   *
   * @param require throws if it is not, such as when it is closed; the use has ended then
   * @return what ends it
   * @throws IllegalStateException if another thread trains the network
   */
  public Hold shared(Runnable require) {
    Hold hold = shared();
    boolean done = false;
    try {
      require.run();
      done = true;
      return hold;
    } finally {
      if (!done) {
        hold.close();
      }
    }
  }

  /**
   * Begins a change of the network, once every other thread's uses have ended.
   *
   * @return what ends it
   * @throws IllegalStateException if the network is being trained, or this thread is using it
   */
  public Hold alone() {
    if (lock.getReadHoldCount() > 0) {
      throw new IllegalStateException(
          "the network is predicting on this thread, "
              + Thread.currentThread().getName()
              + ", and cannot be trained, changed or closed before it is done; do so after the"
              + " prediction returns");
    }
    GradMode.lock(lock.writeLock());
    Claim held = claim;
    if (held != null) {
      lock.writeLock().unlock();
      throw inTraining(held);
    }
    return lock.writeLock()::unlock;
  }

  /**
   * Claims the network for a training run on this thread, which must be alone.
   *
   * @return what ends the claim
   */
  public Runnable claim() {
    Claim mine = new Claim();
    claim = mine;
    return () -> release(mine);
  }

  /** Releasing twice must not end the claim of a later run. */
  private synchronized void release(Claim mine) {
    if (claim == mine) {
      claim = null;
    }
  }

  private static IllegalStateException inTraining(Claim held) {
    return new IllegalStateException(
        "the network is being trained on thread "
            + held.owner.getName()
            + "; wait until fit() returns, or use TrainingStepListener.Event.averaged() inside a"
            + " TrainingStepListener, or a copy() made before");
  }
}
