package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.training.StepLayout.Column;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
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
                said(ops, columns, Column.EARLIER_INPUT_SCALE, xr, still)));
    // 2. f(x_t, t) with the same noise
    T xt =
        NoiseLevels.noised(
            ops, columns.of(Column.SIGNAL), columns.of(Column.NOISE), batch.x0(), batch.noise());
    T denoised =
        LinearForm.apply(
            ops,
            columns.of(Coefficient.X0_OF_XT),
            xt,
            columns.of(Coefficient.X0_OF_OUTPUT),
            said(ops, columns, Column.INPUT_SCALE, xt, network));
    // 3. d(·, ·) / (t − r)
    return weighted(
        ops, columns, Given.returned(loss().perImage(ops, denoised, target), "loss " + loss()));
  }

  private <T> T said(Ops<T> ops, Columns<T> columns, Column scale, T x, UnaryOperator<T> network) {
    return split(ops, network.apply(seen(ops, columns, scale, x)), x).prediction();
  }
}
