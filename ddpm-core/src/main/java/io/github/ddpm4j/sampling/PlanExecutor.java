package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.torch.GradMode;
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
 * share one call of each network, and each gets what it would get alone. Contexts of different
 * numbers of tokens do not fit into one array, so there is a call for each number.
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
   * What every chain would be one row further, by one call of its network and of each second model,
   * or one for each number of tokens that contexts have. No chain has moved; each move is to be
   * taken or refused.
   *
   * @param chains at least one, none of them at its end, with images of one shape, type and device
   * @return the move of each, whose arrays belong to the chain's manager
   * @throws ChainFailure if it is one chain that fails, not the network
   */
  List<Chain.Move> moves(List<Chain> chains) {
    NDManager owner = chains.get(0).manager();
    List<Chain.Move> moves = new ArrayList<>();
    boolean done = false;
    try (GradMode inference = GradMode.off();
        NDManager step = owner.newSubManager()) {
      try {
        chains.forEach(chain -> chain.attach(step));
        List<Chain.Guided> answers = ask(chains);
        for (Chain.Move move : RowUpdate.moves(chains, answers)) {
          chains.get(moves.size()).keep(move);
          moves.add(move);
        }
        done = true;
      } finally {
        chains.forEach(chain -> chain.attach(chain.manager()));
        if (!done) {
          refuse(chains, moves);
        }
      }
    }
    return moves;
  }

  /** Leaves the chains where they are; of the last ones there may be no moves. */
  static void refuse(List<Chain> chains, List<Chain.Move> moves) {
    for (int i = 0; i < moves.size(); i++) {
      chains.get(i).refuse(moves.get(i));
    }
  }

  /** Takes a chain one row further, and gives what came of it to {@code owner}. */
  Sampling.Reversed reverse(Chain chain, NDManager owner) {
    try (GradMode inference = GradMode.off()) {
      List<Chain> alone = List.of(chain);
      Chain.Move move = RowUpdate.moves(alone, ask(alone)).get(0);
      for (NDArray array : List.of(move.x(), move.preview(), move.remembered())) {
        array.attach(owner);
      }
      return new Sampling.Reversed(move.x(), move.preview(), move.remembered());
    } catch (ChainFailure e) {
      throw e.unwrapped();
    }
  }

  /** The networks' answers to all that the chains ask, and what each chain makes of its own. */
  private static List<Chain.Guided> ask(List<Chain> chains) {
    List<List<Question>> asked = ChainFailure.each(chains.size(), i -> chains.get(i).questions());
    List<Question> all = asked.stream().flatMap(List::stream).toList();
    List<List<Integer>> calls = new ArrayList<>();
    for (int i = 0; i < all.size(); i++) {
      callOf(calls, all, i).add(i);
    }
    NDArray[] outputs = new NDArray[all.size()];
    for (List<Integer> places : calls) {
      List<NDArray> parts = outputs(places.stream().map(all::get).toList());
      for (int i = 0; i < parts.size(); i++) {
        outputs[places.get(i)] = parts.get(i);
      }
    }
    List<Chain.Guided> answers = new ArrayList<>();
    int first = 0;
    for (int i = 0; i < chains.size(); i++) {
      List<Question> own = asked.get(i);
      List<NDArray> said = List.of(outputs).subList(first, first + own.size());
      answers.add(ChainFailure.of(i, k -> chains.get(k).combine(own, said)));
      first += own.size();
    }
    return answers;
  }

  /** The call that a question fits into, of those that there are, or a new one. */
  private static List<Integer> callOf(List<List<Integer>> calls, List<Question> all, int place) {
    for (List<Integer> call : calls) {
      if (all.get(call.get(0)).sharesCallWith(all.get(place))) {
        return call;
      }
    }
    List<Integer> another = new ArrayList<>();
    calls.add(another);
    return another;
  }

  /** One network call, and what it says to each question. */
  private static List<NDArray> outputs(List<Question> questions) {
    NDList images = new NDList();
    List<NoiseLevels> levels = new ArrayList<>();
    List<Condition> conditions = new ArrayList<>();
    for (Question question : questions) {
      images.add(question.x());
      levels.add(question.levels());
      conditions.add(question.condition());
    }
    NDArray x = images.size() == 1 ? images.get(0) : NDArrays.concat(images);
    DenoisingModel model = questions.get(0).model();
    NDArray output = model.output(x, NoiseLevels.concat(levels), joined(conditions, levels));
    return images.size() == 1 ? List.of(output) : split(output, levels);
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
