package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.NetworkOutput;
import io.github.ddpm4j.internal.training.StepLayout.Column;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * The loss of a batch in consistency tuning (Geng et al. 2024).
 *
 * <pre>
 *   L = d(f(x_t, t), sg f(x_r, r)) / (t − r)
 * </pre>
 */
final class ConsistencyObjective extends Objective {

  ConsistencyObjective(DenoisingModel model, Loss loss) {
    super(model, loss);
    if (loss.trainsVariance()) {
      throw new IllegalArgumentException(
          "consistency tuning compares images, but loss "
              + loss
              + " is about a variance; use Losses.pseudoHuber(c) or Losses.simple()");
    }
  }

  @Override
  <T> Result<T> of(
      Ops<T> ops,
      Columns<T> columns,
      Batch<T> batch,
      UnaryOperator<T> network,
      UnaryOperator<T> still) {
    // 1. sg f(x_r, r), first, so that what it needs is freed
    T xr =
        NoiseLevels.noised(
            ops,
            columns.of(Column.EARLIER_SIGNAL),
            columns.of(Column.EARLIER_NOISE),
            batch.earlierX0(),
            batch.noise());
    T target =
        ops.detach(
            LinearForm.apply(
                ops,
                columns.of(Column.EARLIER_OF_X),
                xr,
                columns.of(Column.EARLIER_OF_OUTPUT),
                said(ops, seen(ops, columns, Column.EARLIER_INPUT_SCALE, xr), xr, still)));
    // 2. f(x_t, t) with the same noise
    T xt =
        NoiseLevels.noised(
            ops, columns.of(Column.SIGNAL), columns.of(Column.NOISE), batch.x0(), batch.noise());
    T seen = seen(ops, columns, Column.INPUT_SCALE, xt);
    T denoised =
        LinearForm.apply(
            ops,
            columns.of(Coefficient.X0_OF_XT),
            xt,
            columns.of(Coefficient.X0_OF_OUTPUT),
            said(ops, seen, xt, network));
    // 3. d(·, ·) / (t − r)
    NetworkOutput<T> image = new NetworkOutput<>(denoised, Optional.empty());
    return weighted(
        ops,
        columns,
        Given.returned(
            loss().perImage(ops, input(image, target, batch.x0(), xt, seen, columns)),
            "loss " + loss()));
  }

  private <T> T said(Ops<T> ops, T seen, T x, UnaryOperator<T> network) {
    return split(ops, network.apply(seen), x).prediction();
  }

  @Override
  <T> Loss.Input<T> input(
      NetworkOutput<T> said, T target, T x0, T xt, T networkInput, Columns<T> columns) {
    Columns<T> own = new NoCoefficients<>(columns, loss());
    return new Seen<>(said, target, x0, xt, networkInput, own, diffusion());
  }

  /** Two images have nothing of the network's own output, so its coefficients mean nothing. */
  private record NoCoefficients<T>(Columns<T> columns, Loss loss) implements Columns<T> {

    @Override
    public T of(Column column) {
      return columns.of(column);
    }

    @Override
    public T of(Coefficient coefficient) {
      throw new IllegalArgumentException(
          "consistency tuning compares x̂_0 of two levels, but loss "
              + loss
              + " asks for "
              + coefficient
              + ", which belongs to the network's own output; use a loss of output, target and"
              + " images, such as Losses.pseudoHuber(c)");
    }

    @Override
    public T each(Column column) {
      return columns.each(column);
    }
  }
}
