package io.github.ddpm4j.benchmark;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.Program;
import java.util.List;
import java.util.Locale;

/** The update as a compiled training step makes it: one operator of the engine for all weights. */
final class FusedUpdate implements Update {

  private final Tensors tensors;
  private final NDArray unused;
  private final Program program;

  FusedUpdate(Tensors tensors, NDManager manager) {
    this.tensors = tensors;
    unused = manager.ones(new Shape(1));
    program =
        Program.compile(
            String.format(
                Locale.ROOT,
                """
                  def optimize(self: __torch__.Program, x: Tensor, weights: List[Tensor], \
                gradients: List[Tensor], m: List[Tensor], v: List[Tensor]) -> Tensor:
                    steps = torch.mul([torch.full([1], 1., dtype=6, device=x.device)], %d)
                    torch._fused_adamw_(weights, gradients, m, v, annotate(List[Tensor], []), steps, \
                lr=%s, beta1=%s, beta2=%s, weight_decay=%s, eps=%s, amsgrad=False, maximize=False)
                    return x
                  def average(self: __torch__.Program, x: Tensor, averages: List[Tensor], \
                weights: List[Tensor]) -> Tensor:
                    torch._foreach_lerp_(averages, weights, %s)
                    return x
                """,
                tensors.weights().size(),
                Constants.LEARNING_RATE,
                Constants.BETA1,
                Constants.BETA2,
                Constants.WEIGHT_DECAY,
                Constants.EPSILON,
                1 - Constants.EMA_DECAY));
  }

  @Override
  public void optimize() {
    program
        .call(
            "optimize",
            unused,
            List.of(
                tensors.weights(),
                tensors.gradients(),
                tensors.firstMoments(),
                tensors.secondMoments()))
        .close();
  }

  @Override
  public void average() {
    program.call("average", unused, List.of(tensors.averages(), tensors.weights())).close();
  }

  @Override
  public void close() {
    program.close();
  }
}
