package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Answer;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Executes rows of {@link SamplingPlan}s. Chains that stand at different rows of different plans
 * share one network call, and each gets what it would get alone.
 */
final class PlanExecutor {

  private final DenoisingModel model;

  PlanExecutor(DenoisingModel model) {
    this.model = model;
  }

  boolean servesWith(PlanExecutor other) {
    return model.sharesCallsWith(other.model);
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
        List<Answer> answers = ask(chains);
        for (int i = 0; i < chains.size(); i++) {
          chains.get(i).advance(answers.get(i));
        }
      } finally {
        chains.forEach(chain -> chain.attach(chain.manager()));
      }
    }
  }

  /** Takes a chain one row further, and gives what came of it to {@code owner}. */
  Sampling.Reversed reverse(Chain chain, NDManager owner) {
    try (GradMode inference = GradMode.off()) {
      NDArray remembered = chain.advance(ask(List.of(chain)).get(0));
      SamplingRun.Event event = chain.event();
      for (NDArray array : List.of(event.x(), event.predictedX0(), remembered)) {
        array.attach(owner);
      }
      return new Sampling.Reversed(event.x(), event.predictedX0(), remembered);
    }
  }

  /** One network call for all chains and all that each asks, and each one's answer. */
  private List<Answer> ask(List<Chain> chains) {
    NDList images = new NDList();
    List<NoiseLevels> levels = new ArrayList<>();
    List<Condition> conditions = new ArrayList<>();
    List<Integer> questions = new ArrayList<>();
    boolean selfConditions = model.denoiser().conditionKinds().contains(Condition.Kind.PREVIOUS_X0);
    for (Chain chain : chains) {
      List<Condition> own = chain.questions(selfConditions);
      questions.add(own.size());
      for (Condition condition : own) {
        images.add(chain.x());
        levels.add(chain.levels());
        conditions.add(condition);
      }
    }
    NDArray x = images.size() == 1 ? images.get(0) : NDArrays.concat(images);
    NDArray output = model.output(x, NoiseLevels.concat(levels), joined(conditions, levels));
    List<NDArray> parts = images.size() == 1 ? List.of(output) : split(output, levels);
    List<Answer> answers = new ArrayList<>();
    int first = 0;
    for (int i = 0; i < chains.size(); i++) {
      answers.add(chains.get(i).combine(parts.subList(first, first + questions.get(i))));
      first += questions.get(i);
    }
    return answers;
  }

  private static List<NDArray> split(NDArray output, List<NoiseLevels> levels) {
    long[] ends = new long[levels.size() - 1];
    long end = 0;
    for (int i = 0; i < ends.length; i++) {
      end += levels.get(i).size();
      ends[i] = end;
    }
    return output.split(ends);
  }

  /** The conditions of all images; where only some have one, the others' is absent. */
  private static Condition joined(List<Condition> conditions, List<NoiseLevels> levels) {
    Optional<Condition> known = conditions.stream().filter(one -> !one.isNone()).findFirst();
    if (known.isEmpty()) {
      return Condition.none();
    }
    return IntStream.range(0, conditions.size())
        .mapToObj(
            i -> {
              Condition own = conditions.get(i);
              return own.isNone() ? known.get().absent(levels.get(i).size()) : own;
            })
        .reduce(Condition::concat)
        .orElseThrow();
  }
}
