package io.github.ddpm4j.training;

import io.github.ddpm4j.loss.LossInput;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import java.util.Optional;
import java.util.function.Function;

/**
 * What the loss of a step looks at.
 *
 * @param coefficients makes a column of numbers per image
 * @param diffusion what the model is
 * @param <T> what the operations work on
 */
record Seen<T>(
    T output,
    T target,
    Optional<T> variance,
    T x0,
    T xt,
    Function<Coefficient, T> coefficients,
    Diffusion diffusion)
    implements LossInput<T> {

  @Override
  public T coefficient(Coefficient coefficient) {
    return coefficients.apply(coefficient);
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
