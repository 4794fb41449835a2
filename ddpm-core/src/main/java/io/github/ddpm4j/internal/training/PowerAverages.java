package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.average.PowerProfile;
import io.github.ddpm4j.internal.checkpoint.AverageSnapshots;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Program;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The averages of {@link AverageSnapshots#WIDTHS} of a run. They are kept beside the step, in one
 * call of the engine each, so that a step of either form is what it is without them. After a step
 * that was skipped, the weights of before count once more, as weights of that step.
 */
final class PowerAverages implements AutoCloseable {

  private static final String METHOD = "average";

  private final StepState state;
  private final Program program = program();

  /** By width. */
  private final Map<Double, NDList> averages = new LinkedHashMap<>();

  /**
   * Makes averages of no step yet.
   *
   * @param manager owns what is made
   */
  PowerAverages(StepState state, NDManager manager) {
    this.state = state;
    AverageSnapshots.WIDTHS.forEach(width -> averages.put(width, state.zeros(manager)));
  }

  private static Program program() {
    Script script = new Script();
    // ā ← ā + (1 − d)(w − ā)
    script.run("torch._foreach_lerp_(averages, weights, float(share))");
    return Program.compile(
        script.method(
            METHOD,
            "share: Tensor, weights: List[Tensor], averages: List[Tensor]",
            "Tensor",
            "share"));
  }

  /**
   * Takes in the weights as a step leaves them.
   *
   * @param step the number of steps that are done, from 1
   * @param host owns what is uploaded to the CPU
   */
  void track(long step, NDManager host) {
    averages.forEach(
        (width, of) -> {
          double decay = PowerProfile.decay(PowerProfile.gammaOf(width), (double) step, 1);
          NDArray share =
              Upload.doubles(host, new double[] {1 - decay}, new Shape(), DataType.FLOAT64);
          program.call(METHOD, share, List.of(state.weights(), of)).close();
        });
  }

  /** The averages by the names that checkpoints and snapshots have for them. */
  Map<String, NDArray> arrays() {
    Map<String, NDArray> arrays = new TreeMap<>();
    averages.forEach(
        (width, of) -> {
          for (int i = 0; i < of.size(); i++) {
            arrays.put(AverageSnapshots.name(width, state.names().get(i)), of.get(i));
          }
        });
    return arrays;
  }

  @Override
  public void close() {
    program.close();
  }
}
