package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.internal.ops.NetworkOutput;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import java.util.Optional;

/**
 * What the loss of a step looks at.
 *
 * @param said what the network said
 * @param columns the numbers per image
 * @param diffusion what the model is
 * @param <T> what the operations work on
 */
record Seen<T>(
    NetworkOutput<T> said,
    T target,
    T x0,
    T xt,
    T networkInput,
    Columns<T> columns,
    Diffusion diffusion)
    implements Loss.Input<T> {

  @Override
  public T output() {
    return said.prediction();
  }

  @Override
  public Optional<T> variance() {
    return said.variance();
  }

  @Override
  public T coefficient(Coefficient coefficient) {
    return columns.of(coefficient);
  }

  @Override
  public DataRange dataRange() {
    return diffusion.dataRange();
  }

  @Override
  public int timesteps() {
    return diffusion.schedule().timesteps();
  }
}
