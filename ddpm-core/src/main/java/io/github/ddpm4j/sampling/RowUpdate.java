package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Answer;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * What a row makes of the network's answer, as {@link SamplingPlan.Step} says. Chains whose rows
 * add up the same terms are calculated together, each image with factors of its own: for small
 * images, to call the engine takes longer than what it does. Products and sums of an image do not
 * depend on what is beside it, so that all bits are those of the chain alone.
 */
final class RowUpdate {

  /**
   * What is added up. Rows of one kind are calculated together.
   *
   * @param lone the place of a chain that is calculated alone; else −1
   */
  private record Kind(
      DenoisingModel model,
      String limit,
      SamplingPlan.Memory memory,
      boolean x,
      boolean epsilon,
      List<Boolean> past,
      boolean noise,
      int lone) {

    static Kind of(Chain chain, Answer answer, int place) {
      SamplingPlan.Step step = chain.step();
      return new Kind(
          chain.model(),
          chain.limit().name(),
          chain.plan().memory(),
          step.cX() != 0,
          step.cEps() != 0,
          step.past().stream().map(factor -> factor != 0).toList(),
          step.noiseHigh() != 0,
          answer.variance().isPresent() ? place : -1);
    }
  }

  private final List<Chain> chains;
  private final List<Chain.Guided> guided;
  private final Answer answer;

  /**
   * @param chains chains of one kind
   * @param guided what guidance made of each
   * @param answer the answers of these as one
   */
  private RowUpdate(List<Chain> chains, List<Chain.Guided> guided, Answer answer) {
    this.chains = chains;
    this.guided = guided;
    this.answer = answer;
  }

  /**
   * What each chain would be one row further; they stand where they were.
   *
   * @param chains the chains, whose images have one shape and type
   * @param answers what the network said of each, after guidance
   * @return the move of each; the arrays belong to the manager of the images
   * @throws ChainFailure if it is one chain that fails
   */
  static List<Chain.Move> moves(List<Chain> chains, List<Chain.Guided> answers) {
    Map<Kind, List<Integer>> alike = new LinkedHashMap<>();
    for (int i = 0; i < chains.size(); i++) {
      Kind kind = Kind.of(chains.get(i), answers.get(i).answer(), i);
      alike.computeIfAbsent(kind, none -> new ArrayList<>()).add(i);
    }
    Chain.Move[] moves = new Chain.Move[chains.size()];
    for (List<Integer> places : alike.values()) {
      List<Chain.Move> some = moves(chains, answers, places);
      for (int i = 0; i < places.size(); i++) {
        moves[places.get(i)] = some.get(i);
      }
    }
    return List.of(moves);
  }

  private static List<Chain.Move> moves(
      List<Chain> chains, List<Chain.Guided> answers, List<Integer> places) {
    if (places.size() > 1) {
      try {
        return together(
            places.stream().map(chains::get).toList(), places.stream().map(answers::get).toList());
      } catch (RuntimeException | Error e) {
        // One by one, it turns out whose failure it is.
      }
    }
    List<Chain.Move> moves = new ArrayList<>();
    for (int place : places) {
      moves.add(ChainFailure.of(place, i -> alone(chains.get(i), answers.get(i))));
    }
    return moves;
  }

  private static Chain.Move alone(Chain chain, Chain.Guided guided) {
    return new RowUpdate(List.of(chain), List.of(guided), guided.answer()).moves().get(0);
  }

  private static List<Chain.Move> together(List<Chain> chains, List<Chain.Guided> guided) {
    List<Answer> answers = guided.stream().map(Chain.Guided::answer).toList();
    Diffusion diffusion = chains.get(0).model().diffusion();
    Answer all =
        Answer.of(
            diffusion.prediction(),
            diffusion.schedule(),
            joined(chains, Chain::x),
            NoiseLevels.concat(answers.stream().map(Answer::levels).toList()),
            joined(answers, Answer::prediction));
    return new RowUpdate(chains, guided, all).moves();
  }

  private List<Chain.Move> moves() {
    Chain first = chains.get(0);
    SamplingPlan.Step step = first.step();
    // 1. estimate x̂_0 and ε̂
    NDArray x0 = first.limit().apply(answer.x0());
    NDArray epsilon = null;
    boolean remembersEpsilon = first.plan().memory() == SamplingPlan.Memory.EPSILON;
    if (remembersEpsilon || step.cEps() != 0) {
      epsilon = answer.epsilon();
    }
    // 2. the row's linear update
    NDArray next = times(SamplingPlan.Step::cX0, x0);
    if (step.cX() != 0) {
      next = next.add(times(SamplingPlan.Step::cX, answer.x()));
    }
    if (epsilon != null && step.cEps() != 0) {
      next = next.add(times(SamplingPlan.Step::cEps, epsilon));
    }
    for (int k = 0; k < step.past().size(); k++) {
      int ago = k;
      if (step.past().get(k) != 0) {
        NDArray past = joined(chains, chain -> chain.past()[ago]);
        next = next.add(times(row -> row.past().get(ago), past));
      }
    }
    // 3. fresh noise
    if (step.noiseHigh() != 0) {
      NDArray z = joined(chains, chain -> chain.normal(chain.row() + 1L));
      next =
          next.add(
              step.learnsVariance() && answer.variance().isPresent()
                  ? z.mul(deviation(step, answer.variance().get()))
                  : times(SamplingPlan.Step::noiseHigh, z));
    }
    return apart(next, x0, remembersEpsilon ? epsilon : null);
  }

  /** The move of each chain, with arrays of its own, and 4. what it remembers. */
  private List<Chain.Move> apart(NDArray next, NDArray x0, @Nullable NDArray epsilon) {
    List<NDArray> images = split(next);
    List<NDArray> estimates = split(x0);
    List<NDArray> remembered = epsilon == null ? estimates : split(epsilon);
    List<Chain.Move> moves = new ArrayList<>();
    for (int i = 0; i < chains.size(); i++) {
      Chain chain = chains.get(i);
      NDArray added = guided.get(i).move();
      NDArray moved = added == null ? images.get(i) : images.get(i).add(added);
      NDArray x = chain.hook().apply(chain, moved, estimates.get(i));
      moves.add(new Chain.Move(x, estimates.get(i), remembered.get(i)));
    }
    return moves;
  }

  /** Copies: a view would keep the memory of all for as long as one chain lasts. */
  private List<NDArray> split(NDArray all) {
    if (chains.size() == 1) {
      return List.of(all);
    }
    long[] ends = new long[chains.size() - 1];
    long end = 0;
    for (int i = 0; i < ends.length; i++) {
      end += chains.get(i).images();
      ends[i] = end;
    }
    return all.split(ends).stream().map(NDArray::duplicate).toList();
  }

  private static <T> NDArray joined(List<T> parts, Function<T, NDArray> array) {
    return parts.size() == 1
        ? array.apply(parts.get(0))
        : NDArrays.concat(new NDList(parts.stream().map(array).toList()));
  }

  private NDArray times(ToDoubleFunction<SamplingPlan.Step> factor, NDArray array) {
    double[] factors = new double[answer.levels().size()];
    int first = 0;
    for (Chain chain : chains) {
      Arrays.fill(factors, first, first += chain.images(), factor.applyAsDouble(chain.step()));
    }
    return array.mul(PerImage.column(array, factors));
  }

  /** low^(1 − f) · high^f with f = (v + 1) / 2, and what is beside it. */
  private NDArray deviation(SamplingPlan.Step step, NDArray v) {
    double span = Math.log(step.noiseHigh() / step.noiseLow());
    NDArray said = times(SamplingPlan.Step::noiseLow, v.add(1).mul(span / 2).exp());
    double beside = step.noiseBeside();
    return beside == 0 ? said : said.square().add(beside * beside).sqrt();
  }
}
