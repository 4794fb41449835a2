package io.github.ddpm4j.internal.torch;

import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import java.util.concurrent.locks.Lock;

/**
 * Switches the recording of gradients off or on for this thread until it is closed.
 *
 * <p>libtorch records what is computed from weights that require gradients on every thread but the
 * one that loaded it, and keeps each intermediate result for that. Inference therefore runs inside
 * {@code GradMode.off()}. On engines other than PyTorch it does nothing and loads none of PyTorch's
 * classes.
 *
 * <p>Belongs to one thread: close it on the thread that made it, in the reverse order of making.
 */
public final class GradMode implements AutoCloseable {

  private final boolean active;
  private final boolean before;
  private boolean closed;

  private GradMode(boolean enable) {
    active = Machine.engine().getEngineName().equals("PyTorch");
    before = active && Torch.set(enable);
  }

  /**
   * Stops recording.
   *
   * @return restores what was before when it is closed
   */
  public static GradMode off() {
    return new GradMode(false);
  }

  /**
   * Starts recording.
   *
   * @return restores what was before when it is closed
   */
  public static GradMode on() {
    return new GradMode(true);
  }

  /**
   * Takes a lock, waiting in the mode of a thread at rest: a virtual thread that waits leaves its
   * carrier to others, which would find recording off there, and goes on on another carrier.
   *
   * @param lock the lock
   */
  public static void lock(Lock lock) {
    try (GradMode rest = on()) {
      lock.lock();
    }
  }

  /**
   * Whether gradients flow back from what was computed.
   *
   * @param array an array of PyTorch that was computed
   * @return true if operations on what requires gradients made it, while recording was on
   */
  public static boolean isRecorded(NDArray array) {
    return Torch.isRecorded(array);
  }

  /** Restores the mode that was in force when this was made. Does nothing the second time. */
  @Override
  public void close() {
    if (active && !closed) {
      closed = true;
      Torch.set(before);
    }
  }

  /** Apart, so that PyTorch's classes are loaded only where they are there. */
  private static final class Torch {

    private Torch() {}

    static boolean isRecorded(NDArray array) {
      try {
        JniUtils.attachGradient((PtNDArray) array, false);
        return false;
      } catch (EngineException e) {
        // of what was computed it can't be changed
        return true;
      }
    }

    static boolean set(boolean enable) {
      boolean before = JniUtils.isGradMode();
      if (before != enable) {
        JniUtils.setGradMode(enable);
      }
      return before;
    }
  }
}
