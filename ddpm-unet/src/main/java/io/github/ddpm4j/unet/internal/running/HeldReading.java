package io.github.ddpm4j.unet.internal.running;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import java.util.Collection;

/**
 * Reads weights that are to be held in 16 bits, one after the other through one array of float32:
 * memory that floats once took is not given back to the system where it lies between others, so
 * that an array for each would leave the process as large as all of them.
 */
public final class HeldReading implements AutoCloseable {

  private final NDManager manager;
  private final Holding holding;
  private final Holding.Converter to;
  private final NDArray floats;
  private long used;
  private int open;

  /**
   * Begins to read.
   *
   * @param manager owns the weights
   * @param holding what they are to be held in, not float32
   * @param shapes those of all weights
   */
  public HeldReading(NDManager manager, Holding holding, Collection<Shape> shapes) {
    this.manager = manager;
    this.holding = holding;
    this.to = holding.converter();
    long most = shapes.stream().filter(holding::holds).mapToLong(Shape::size).max().orElse(1);
    this.floats = manager.create(new Shape(most));
  }

  /**
   * Takes the weight of a block away, which was not written to yet, until {@link #put} brings the
   * one that is held.
   *
   * @param parameter that of the weight; a vector stays
   */
  public void clear(Parameter parameter) {
    if (holding.holds(parameter.getArray().getShape())) {
      Holding.replace(parameter, manager.create(new Shape(1, 1)));
    }
  }

  /**
   * Where a weight is to be read into.
   *
   * @param shape that of the weight, one that is held
   * @return float32, for {@link #rounded}
   */
  public NDArray target(Shape shape) {
    open++;
    if (used + shape.size() > floats.size()) {
      return manager.create(shape); // of several that are read together
    }
    try (NDArray part = floats.get(new NDIndex("{}:{}", used, used + shape.size()))) {
      used += shape.size();
      return part.reshape(shape);
    }
  }

  /**
   * Rounds what was read.
   *
   * @param target from {@link #target}; closed
   * @return what is held, attached to the manager of the weights
   */
  public NDArray rounded(NDArray target) {
    open--;
    if (open == 0) {
      used = 0;
    }
    try (target) {
      NDArray held = to.narrowed(target);
      held.attach(manager);
      NDScope.unregister(held);
      return held;
    }
  }

  /**
   * Brings the weight of a block.
   *
   * @param parameter one that was {@linkplain #clear cleared}
   * @param target from {@link #target}; closed
   */
  public void put(Parameter parameter, NDArray target) {
    Holding.replace(parameter, rounded(target));
  }

  @Override
  public void close() {
    floats.close();
    to.close();
  }
}
