package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.model.Condition;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * What guidance asks the network at a level of noise, and how the answers add up:
 *
 * <pre>
 *   out' = w out(c) + Σ_i w_i out(c_i) + (1 − w − Σ_i w_i) out(∅) + Σ_j (w_j − 1) (out(c) − out_j(c))
 * </pre>
 *
 * <p>with the run's own condition c, those that guidance leads towards, and none, and with the
 * second models out_j of autoguidance, under the condition of the first term. What has a weight of
 * 0 is not asked, unless its deviation is wanted.
 *
 * @param terms the terms of the sum. The first is that of the condition which the images are drawn
 *     under: the run's own or, without one, the first that guidance leads towards. Its learned
 *     variance and its deviation are taken
 */
record Mixture(List<Term> terms) {

  /** Below it, what weights leave for the unconditional prediction is their rounding. */
  private static final double ROUNDING = 1e-12;

  /** Whose prediction a term is. */
  private enum Source {
    OWN,
    FREE,
    OTHER
  }

  /**
   * One prediction and its weight.
   *
   * @param other the condition where the source is {@code OTHER}
   * @param model the model whose it is; null for that of the run
   */
  private record Term(
      Source source, @Nullable Condition other, @Nullable SecondModel model, double weight) {

    Term(Source source, @Nullable Condition other, double weight) {
      this(source, other, null, weight);
    }

    Term plus(double more) {
      return new Term(source, other, model, weight + more);
    }
  }

  /**
   * What a model is asked about the images.
   *
   * @param model null for that of the run
   */
  record Asked(@Nullable SecondModel model, Condition condition) {}

  /**
   * The mixture of what is active.
   *
   * @param contrasts the second models that guidance leads away from
   * @param hasOwn whether the run has a condition. Where nothing pulls towards it, it counts as the
   *     network learned it, with w = 1
   * @param rescales whether the deviation of the first is wanted
   */
  static Mixture of(
      List<Guidance.Pull> active,
      List<Guidance.Contrast> contrasts,
      boolean hasOwn,
      boolean rescales) {
    double own = 0;
    double free = 1;
    boolean pullsToOwn = false;
    List<Term> others = new ArrayList<>();
    for (Guidance.Pull pull : active) {
      if (pull.towards() == null) {
        own += pull.scale();
        pullsToOwn = true;
      } else if (pull.scale() != 0) {
        others.add(new Term(Source.OTHER, pull.towards(), pull.scale()));
        free -= pull.scale();
      }
    }
    own = hasOwn && !pullsToOwn ? 1 : own;
    free -= own;
    double weights = Math.abs(own);
    for (Term other : others) {
      weights += Math.abs(other.weight);
    }
    if (Math.abs(free) < ROUNDING * (1 + weights)) {
      free = 0;
    }
    List<Term> terms = new ArrayList<>();
    if (own != 0 || (hasOwn && rescales)) {
      terms.add(new Term(Source.OWN, null, own));
    } else if (!hasOwn) {
      for (int i = 0; i < others.size() && terms.isEmpty(); i++) {
        if (others.get(i).weight > 0) {
          terms.add(others.remove(i));
        }
      }
    }
    if (free != 0) {
      terms.add(new Term(Source.FREE, null, free));
    }
    terms.addAll(others);
    for (Guidance.Contrast contrast : contrasts) {
      double more = contrast.scale() - 1;
      if (more != 0) {
        Term first = terms.get(0);
        terms.set(0, first.plus(more));
        terms.add(new Term(first.source, first.other, contrast.model(), -more));
      }
    }
    return new Mixture(List.copyOf(terms));
  }

  /** The number of predictions. */
  int size() {
    return terms.size();
  }

  /** Whether one prediction is all, and nothing is to be added up. */
  boolean isPlain() {
    return size() == 1;
  }

  /** Whether the network is asked without a condition. */
  boolean asksFree() {
    return terms.stream().anyMatch(term -> term.source == Source.FREE);
  }

  /**
   * The model and the condition of each term.
   *
   * @param own the run's condition of the images
   * @param rows selects the images of another condition
   */
  List<Asked> questions(Condition own, UnaryOperator<Condition> rows) {
    List<Condition> conditions = new ArrayList<>();
    Condition known = own;
    for (Term term : terms) {
      Condition other = term.other == null ? own : rows.apply(term.other);
      known = known.isNone() ? other : known;
      conditions.add(other);
    }
    List<Asked> asked = new ArrayList<>();
    for (int i = 0; i < conditions.size(); i++) {
      Term term = terms.get(i);
      asked.add(
          new Asked(term.model, term.source == Source.FREE ? known.dropped() : conditions.get(i)));
    }
    return asked;
  }

  /**
   * The sum of the predictions to each question, as what each adds to one of them: with great
   * weights of both signs, the sum of products would lose digits.
   */
  NDArray sum(List<NDArray> predictions) {
    int base = 0;
    for (int i = 0; i < terms.size(); i++) {
      if (terms.get(i).source == Source.FREE && terms.get(i).model == null) {
        base = i;
      }
    }
    NDArray from = predictions.get(base);
    NDArray sum = from;
    for (int i = 0; i < terms.size(); i++) {
      double weight = terms.get(i).weight;
      if (i != base && weight != 0) {
        sum = sum.add(Guidance.scaled(predictions.get(i).sub(from), weight));
      }
    }
    return sum;
  }
}
