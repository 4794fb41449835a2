package io.github.ddpm4j.internal.torch;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A forward and backward pass through the engine's gradient collector, of which there is one per
 * process: threads take turns, eager training and guidance by gradients alike.
 */
public final class Collecting implements AutoCloseable {

  private static final ReentrantLock turn = new ReentrantLock(true);

  private final GradientCollector collector;

  private Collecting(GradientCollector collector) {
    this.collector = collector;
  }

  /**
   * Begins to record, once no other thread of the library does.
   *
   * @param manager of the engine that records
   * @return ends it, on the same thread
   * @throws IllegalStateException if a collector of the caller's own is open
   */
  public static Collecting begin(NDManager manager) {
    GradMode.lock(turn);
    boolean begun = false;
    try {
      Engine engine = Engine.getEngine(manager.getEngine().getEngineName());
      Collecting collecting = new Collecting(engine.newGradientCollector());
      begun = true;
      return collecting;
    } finally {
      if (!begun) {
        turn.unlock();
      }
    }
  }

  /**
   * Computes the gradients.
   *
   * @param value the number that they are the gradients of
   */
  public void backward(NDArray value) {
    collector.backward(value);
  }

  @Override
  public void close() {
    try {
      collector.close();
    } finally {
      turn.unlock();
    }
  }
}
