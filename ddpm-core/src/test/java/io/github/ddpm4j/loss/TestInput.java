package io.github.ddpm4j.loss;

import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import java.util.Map;
import java.util.Optional;

/** What a loss looks at, given outright. */
public record TestInput<T>(
    Diffusion diffusion,
    T output,
    T target,
    Optional<T> variance,
    T x0,
    T xt,
    T networkInput,
    Map<Loss.Input.Coefficient, T> columns)
    implements Loss.Input<T> {

  @Override
  public T coefficient(Coefficient coefficient) {
    T column = columns.get(coefficient);
    if (column == null) {
      throw new IllegalArgumentException("no " + coefficient);
    }
    return column;
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
