package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.NoiseLevels;
import io.github.ddpm4j.torch.GradMode;
import java.util.List;
import java.util.function.ToDoubleBiFunction;
import java.util.stream.IntStream;

/**
 * Executes rows of {@link SamplingPlan}s. Chains that stand at different rows of different plans
 * share one network call, and each gets what it would get alone.
 */
final class PlanExecutor {

  private final Denoiser denoiser;

  PlanExecutor(Denoiser denoiser) {
    this.denoiser = denoiser;
  }

  boolean servesWith(PlanExecutor other) {
    return denoiser == other.denoiser;
  }

  /**
   * Takes every chain one row further. If the network fails, no chain has moved.
   *
   * @param chains at least one, none of them at its end, with images of one shape, type and device
   */
  void advance(List<Chain> chains) {
    NDManager owner = chains.get(0).manager();
    try (GradMode inference = GradMode.off();
        NDManager step = owner.newSubManager()) {
      try {
        chains.forEach(chain -> chain.attach(step));
        List<NDArray> outputs = ask(chains);
        for (int i = 0; i < chains.size(); i++) {
          chains.get(i).advance(outputs.get(i));
        }
      } finally {
        chains.forEach(chain -> chain.attach(chain.manager()));
      }
    }
  }

  /** One network call for all chains, and the part of the answer that is each one's. */
  private List<NDArray> ask(List<Chain> chains) {
    List<NoiseLevels> levels = chains.stream().map(Chain::levels).toList();
    NDArray x =
        chains.size() == 1
            ? chains.get(0).x()
            : NDArrays.concat(new NDList(chains.stream().map(Chain::x).toList()));
    NDArray output =
        denoiser.predict(
            x,
            NoiseLevels.of(
                all(levels, NoiseLevels::timestep),
                all(levels, NoiseLevels::signal),
                all(levels, NoiseLevels::noise)),
            Condition.none());
    requireAnswer(chains.get(0), x, output);
    if (chains.size() == 1) {
      return List.of(output);
    }
    long[] ends = new long[chains.size() - 1];
    long end = 0;
    for (int i = 0; i < ends.length; i++) {
      end += chains.get(i).images();
      ends[i] = end;
    }
    return output.split(ends);
  }

  private static void requireAnswer(Chain chain, NDArray x, NDArray output) {
    Shape expected = chain.answerShape(x.getShape());
    if (!output.getShape().equals(expected) || output.getDataType() != x.getDataType()) {
      throw new IllegalStateException(
          "the denoiser must return the shape and type of its input"
              + (expected.equals(x.getShape()) ? ", " : " with twice the channels, ")
              + expected
              + " "
              + x.getDataType()
              + ", but returned "
              + output.getShape()
              + " "
              + output.getDataType());
    }
  }

  private static double[] all(
      List<NoiseLevels> levels, ToDoubleBiFunction<NoiseLevels, Integer> field) {
    return levels.stream()
        .flatMapToDouble(
            one ->
                IntStream.range(0, one.size())
                    .mapToDouble(image -> field.applyAsDouble(one, image)))
        .toArray();
  }
}
