package io.github.ddpm4j.service;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * The exact network of a Gaussian of deviation 0.5, whose calls a test lets through one by one, and
 * which fails when told to.
 */
final class Gate implements Denoiser {

  private static final double VARIANCE = 0.25;

  /** The images of each call. */
  final List<Integer> calls = new CopyOnWriteArrayList<>();

  /** Calls that are let through. */
  final Semaphore open = new Semaphore(0);

  /** Calls that have begun. */
  final Semaphore begun = new Semaphore(0);

  /** Calls from now on that throw. */
  final AtomicInteger failures = new AtomicInteger();

  /** Calls from now on that throw an error. */
  final AtomicInteger errors = new AtomicInteger();

  /** Milliseconds that the next call takes. */
  final AtomicInteger stall = new AtomicInteger();

  static Gate closed() {
    return new Gate();
  }

  static Gate open() {
    Gate gate = new Gate();
    gate.open.release(Integer.MAX_VALUE / 2);
    return gate;
  }

  @Override
  public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    calls.add(levels.size());
    begun.release();
    open.acquireUninterruptibly();
    int slow = stall.getAndSet(0);
    if (slow > 0) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(slow));
    }
    if (failures.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
      throw new IllegalStateException("the network failed on purpose");
    }
    if (errors.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
      throw new AssertionError("an error on purpose");
    }
    double[] factors =
        levels.each(
            level ->
                level.noise()
                    / (level.signal() * level.signal() * VARIANCE + level.noise() * level.noise()));
    try (NDArray factor =
        x.getManager()
            .create(factors, new Shape(levels.size(), 1, 1, 1))
            .toType(x.getDataType(), false)) {
      return x.mul(factor);
    }
  }

  @Override
  public Optional<Shape> imageShape() {
    return Optional.of(new Shape(1, 2, 2));
  }
}
