package io.github.ddpm4j.internal.ops;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDScope;
import io.github.ddpm4j.internal.torch.GradMode;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * The parts of a network in the order in which they ran, so that gradients go back part by part:
 * {@link ScriptTape} on arrays. Owns the results of parts, which later parts see.
 */
public final class EagerTape implements AutoCloseable {

  /**
   * @param made the result within the graph of the part; null if the part is recomputed
   * @param leaf the result as later parts take it
   */
  private record Part(
      List<NDArray> inputs,
      Function<List<NDArray>, NDArray> body,
      @Nullable NDArray made,
      NDArray leaf) {}

  private final IntPredicate recomputes;
  private final List<Part> parts = new ArrayList<>();

  /** The leaf behind each result: the network closes results as it goes, and leaves stay. */
  private final IdentityHashMap<NDArray, NDArray> leaves = new IdentityHashMap<>();

  /** Values that no gradient flows to. */
  private final IdentityHashMap<NDArray, NDArray> given = new IdentityHashMap<>();

  private boolean inside;

  /**
   * An empty tape.
   *
   * @param recomputes whether the parts of a level are recomputed
   */
  public EagerTape(IntPredicate recomputes) {
    this.recomputes = recomputes;
  }

  /** Takes note of a value from outside the network. */
  NDArray give(NDArray value) {
    // The run may close it before the gradient is due.
    NDArray kept = value.duplicate();
    NDScope.unregister(kept);
    given.put(value, kept);
    return value;
  }

  /** Runs a part; see {@link io.github.ddpm4j.spi.Ops#recomputable}. */
  NDArray part(int level, List<NDArray> inputs, Function<List<NDArray>, NDArray> body) {
    if (inside) {
      return body.apply(inputs);
    }
    List<NDArray> own = new ArrayList<>();
    for (NDArray input : inputs) {
      NDArray leaf = leaves.getOrDefault(input, given.get(input));
      if (leaf == null) {
        throw new IllegalArgumentException(ScriptTape.BETWEEN);
      }
      own.add(leaf);
    }
    boolean recomputed = recomputes.test(level);
    NDArray made;
    if (recomputed) {
      try (GradMode off = GradMode.off()) {
        made = run(body, own);
      }
    } else {
      made = run(body, own);
      NDScope.unregister(made);
    }
    NDArray leaf = made.stopGradient();
    NDScope.unregister(leaf);
    leaf.setRequiresGradient(true);
    parts.add(new Part(own, body, recomputed ? null : made, leaf));
    NDArray result = leaf.reshape(leaf.getShape());
    leaves.put(result, leaf);
    return result;
  }

  private NDArray run(Function<List<NDArray>, NDArray> body, List<NDArray> inputs) {
    inside = true;
    try {
      return body.apply(inputs);
    } finally {
      inside = false;
    }
  }

  /**
   * Adds the gradients of a scalar to those of the weights, from the last part to the first.
   *
   * @param scalar made of the results of parts
   * @param backward adds the gradients of a scalar to those of the leaves that it was made of
   * @throws IllegalArgumentException if the network did not run in parts
   */
  public void backward(NDArray scalar, Consumer<NDArray> backward) {
    if (parts.isEmpty()) {
      throw new IllegalArgumentException(ScriptTape.refusal("this one has none"));
    }
    backward.accept(scalar);
    for (int i = parts.size() - 1; i >= 0; i--) {
      Part part = parts.get(i);
      try (NDScope temporary = new NDScope()) {
        NDArray gradient = part.leaf.getGradient();
        NDArray made = part.made == null ? run(part.body, part.inputs) : part.made;
        // The engine goes back from a scalar: that of ⟨gradient, made⟩ is what is wanted.
        backward.accept(made.mul(gradient).sum());
      }
    }
  }

  /** Frees the results of parts. */
  @Override
  public void close() {
    for (Part part : parts) {
      if (part.made != null) {
        part.made.close();
      }
      part.leaf.close();
    }
    given.values().forEach(NDArray::close);
    given.clear();
    parts.clear();
    leaves.clear();
  }
}
