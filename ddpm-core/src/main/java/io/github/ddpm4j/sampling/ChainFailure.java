package io.github.ddpm4j.sampling;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/** One of the chains that share a network call failed, by what is its own. */
final class ChainFailure extends RuntimeException {

  private static final long serialVersionUID = 1;

  /** Its place among the chains. */
  final int index;

  private final Throwable failure;

  private ChainFailure(int index, Throwable failure) {
    super(failure);
    this.index = index;
    this.failure = failure;
  }

  /** What it failed by. */
  Throwable failure() {
    return failure;
  }

  /** Does the work for a chain. */
  static <T> T of(int index, IntFunction<T> work) {
    try {
      return work.apply(index);
    } catch (RuntimeException | Error e) {
      throw new ChainFailure(index, e);
    }
  }

  /** Does the work for each of several chains, until one fails. */
  static <T> List<T> each(int chains, IntFunction<T> work) {
    List<T> results = new ArrayList<>(chains);
    for (int i = 0; i < chains; i++) {
      results.add(of(i, work));
    }
    return results;
  }

  /** The failure itself, for a chain that is alone. */
  RuntimeException unwrapped() {
    if (failure instanceof Error error) {
      throw error;
    }
    return (RuntimeException) failure;
  }
}
