package io.github.ddpm4j.internal.torch;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
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

  /**
   * The product of a vector with the Jacobian of what was recorded, which can be asked for again.
   *
   * @param value what was made of the leaf, while gradients were recorded
   * @param vector of the shape and type of {@code value}
   * @param leaf an array that requires gradients; its own gradient is 0 before and after
   * @return the gradient of ⟨vector, value⟩, a new array in the manager of the leaf
   */
  public NDArray pulledBack(NDArray value, NDArray vector, NDArray leaf) {
    return Torch.pulledBack(value, vector, leaf);
  }

  /** Apart, so that PyTorch's classes are loaded only where they are there. */
  private static final class Torch {

    private Torch() {}

    static NDArray pulledBack(NDArray value, NDArray vector, NDArray leaf) {
      JniUtils.backward((PtNDArray) value, (PtNDArray) vector, true, false);
      try (NDArray gradient = leaf.getGradient()) {
        NDArray copy = gradient.duplicate();
        copy.attach(leaf.getManager());
        JniUtils.zeroGrad((PtNDArray) leaf);
        return copy;
      }
    }
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
