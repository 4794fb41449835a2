package io.github.ddpm4j.internal.ops;

import io.github.ddpm4j.internal.ops.Script.Value;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The parts of a network in the order in which they were written down, so that gradients go back
 * part by part (Chen et al. 2016, "Training deep nets with sublinear memory cost"). Of a part that
 * is recomputed only the result is held from the forward pass; what its gradient needs is computed
 * again when its turn comes.
 *
 * <p>Each result is cut off from the graph that made it. Gradients are then those of the last part
 * with respect to its inputs and weights, of the part before it, and so on; where a result was used
 * several times, its gradients are added up.
 */
public final class ScriptTape {

  /**
   * @param made the result within the graph of the part; without one if the part is recomputed
   * @param result what later parts see: a leaf
   */
  private record Part(
      boolean recomputed,
      List<Value> inputs,
      Function<List<Value>, Value> body,
      Set<Integer> weights,
      Value made,
      Value result) {}

  static final String BETWEEN =
      "a part that may be recomputed must take results of other such parts, or inputs of the"
          + " network, so that its gradient reaches them; put what lies between into a part";

  private final Script script;
  private final Pattern weight;
  private final String weights;
  private final int weightCount;
  private final IntPredicate recomputes;
  private final List<Part> parts = new ArrayList<>();
  private final Set<Value> results = new HashSet<>();

  /** Values that no gradient flows to. */
  private final Set<Value> given = new HashSet<>();

  /** What was written between the parts, and where the last part ends. */
  private final StringBuilder outside = new StringBuilder();

  private int end;
  private boolean inside;

  /**
   * An empty tape.
   *
   * @param script where to write
   * @param weights the list of the weights in the script
   * @param weightCount how many there are
   * @param recomputes whether the parts of a level are recomputed
   */
  public ScriptTape(Script script, Value weights, int weightCount, IntPredicate recomputes) {
    this.script = script;
    this.weights = weights.name();
    this.weight = Pattern.compile("\\b" + Pattern.quote(this.weights) + "\\[(\\d+)]");
    this.weightCount = weightCount;
    this.recomputes = recomputes;
  }

  /** Takes note of a value from outside the network. */
  Value give(Value value) {
    given.add(value);
    return value;
  }

  /** Writes a part; see {@link io.github.ddpm4j.spi.Ops#recomputable}. */
  Value part(int level, List<Value> inputs, Function<List<Value>, Value> body) {
    if (inside) {
      return body.apply(inputs);
    }
    for (Value input : inputs) {
      if (!results.contains(input) && !given.contains(input)) {
        throw new IllegalArgumentException(BETWEEN);
      }
    }
    boolean recomputed = recomputes.test(level);
    if (recomputed) {
      script.run("torch.set_grad_enabled(False)");
    }
    int before = script.length();
    outside.append(script.since(end), 0, before - end);
    Value made = write(body, inputs);
    Set<Integer> used = weightsIn(script.since(before));
    if (recomputed) {
      script.run("torch.set_grad_enabled(True)");
    }
    Value result = script.let("torch.requires_grad_(torch.detach(%s))", made);
    end = script.length();
    results.add(result);
    parts.add(new Part(recomputed, List.copyOf(inputs), body, used, made, result));
    return result;
  }

  private Value write(Function<List<Value>, Value> body, List<Value> inputs) {
    inside = true;
    try {
      return body.apply(inputs);
    } finally {
      inside = false;
    }
  }

  private Set<Integer> weightsIn(String text) {
    return weight
        .matcher(text)
        .results()
        .map((MatchResult found) -> Integer.valueOf(found.group(1)))
        .collect(Collectors.toCollection(LinkedHashSet::new));
  }

  /**
   * Writes the gradients, from the last part to the first.
   *
   * @param of a scalar that was made of the results of parts
   * @return the list of the gradients of all weights
   * @throws IllegalArgumentException if the network was not written in parts, or weights are used
   *     outside them
   */
  public Value gradients(Value of) {
    requireAllWeights();
    requirePredictionOfTheLast();
    Map<Value, Value> sums = new LinkedHashMap<>();
    Part last = parts.get(parts.size() - 1);
    add(sums, List.of(last.result), take(of, List.of(last.result.name()), ""));
    Map<Integer, Value> ofWeights = new TreeMap<>();
    for (int i = parts.size() - 1; i >= 0; i--) {
      Part part = parts.get(i);
      Value gradient = sums.remove(part.result);
      if (gradient == null) {
        throw new IllegalArgumentException(
            "a part of the network does not contribute to the prediction; leave it out");
      }
      Value made = part.recomputed ? write(part.body, part.inputs) : part.made;
      List<Value> inputs = part.inputs.stream().filter(results::contains).distinct().toList();
      List<String> leaves = new ArrayList<>(inputs.stream().map(Value::name).toList());
      part.weights.forEach(index -> leaves.add(weights + "[" + index + "]"));
      if (leaves.isEmpty()) {
        continue;
      }
      List<Value> taken =
          take(made, leaves, ", annotate(List[Optional[Tensor]], [" + gradient + "])");
      add(sums, inputs, taken);
      int next = inputs.size();
      for (int index : part.weights) {
        Value own = taken.get(next++);
        ofWeights.merge(index, own, (a, b) -> script.let("torch.add(%s, %s)", a, b));
      }
    }
    return script.let("[%s]", join(ofWeights.values()));
  }

  /** Else the gradient would miss what reaches a result past the parts. */
  private void requirePredictionOfTheLast() {
    outside.append(script.since(end));
    for (Part part : parts.subList(0, parts.size() - 1)) {
      if (Pattern.compile("\\b" + part.result + "\\b").matcher(outside).find()) {
        throw new IllegalArgumentException(BETWEEN);
      }
    }
  }

  private void requireAllWeights() {
    long inParts = parts.stream().flatMap(part -> part.weights.stream()).distinct().count();
    if (parts.isEmpty() || inParts < weightCount) {
      throw new IllegalArgumentException(
          refusal(
              parts.isEmpty()
                  ? "this one has none"
                  : weightCount
                      - inParts
                      + " of its "
                      + weightCount
                      + " weights lie outside them"));
    }
  }

  static String refusal(String why) {
    return "recomputation needs a network that is written in parts by ops.recomputable(…), but "
        + why
        + "; train without recomputation, or put every layer into a part";
  }

  private List<Value> take(Value of, List<String> leaves, String gradient) {
    Value list = script.let("torch.grad([%s], [%s]%s)", of, String.join(", ", leaves), gradient);
    List<Value> taken = new ArrayList<>();
    for (int i = 0; i < leaves.size(); i++) {
      taken.add(script.let("unchecked_cast(Tensor, %s[%d])", list, i));
    }
    return taken;
  }

  private void add(Map<Value, Value> sums, List<Value> leaves, List<Value> gradients) {
    for (int i = 0; i < leaves.size(); i++) {
      sums.merge(leaves.get(i), gradients.get(i), (a, b) -> script.let("torch.add(%s, %s)", a, b));
    }
  }

  private static String join(Collection<Value> values) {
    return values.stream().map(Value::name).collect(Collectors.joining(", "));
  }
}
