package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.ops.ScriptTape;
import io.github.ddpm4j.internal.training.StepLayout.Argument;
import io.github.ddpm4j.internal.training.StepLayout.Method;
import io.github.ddpm4j.internal.training.StepLayout.StepNumber;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.training.Recomputation;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The methods of {@link StepLayout} as TorchScript: around the {@link Objective}, which writes
 * itself down, what no operation on arrays can do: gradients, the fused optimizer and the log.
 *
 * <p>Lists that are written to must be arguments: an update of one that was made inside a script is
 * dropped as dead code.
 */
final class StepScript {

  /** TorchScript's number for the type. */
  private static final int FLOAT32 = Script.Type.FLOAT32.code();

  /** The dimensions of an image of a network that does not tell its shape. */
  private static final int IMAGE = 3;

  private final AdamOptimizer adam;
  private final double clip;
  private final int batches;
  private final TrainingSettings settings;
  private final int weights;
  private final Recomputation recomputation;
  private final Verdict verdict;
  private final Method stepping;
  private final Method accumulating;

  /** What the optimizer divides gradients by, once that was written. */
  private String divisor = "None";

  /**
   * @param weights how many weights there are
   * @param scales whether the loss is scaled
   */
  StepScript(TrainingSettings settings, int weights, boolean scales) {
    this.adam = settings.optimizer();
    this.clip = settings.gradientClip();
    this.batches = settings.accumulation();
    this.settings = settings;
    this.weights = weights;
    this.recomputation = settings.recomputation();
    this.verdict = new Verdict(settings.guard(), scales);
    Method adding = scales ? Method.ACCUMULATE_SCALED : Method.ACCUMULATE;
    this.stepping = compares() ? Method.STEP.with(Argument.EARLIER_X0) : Method.STEP;
    this.accumulating = compares() ? adding.with(Argument.EARLIER_X0) : adding;
  }

  private boolean compares() {
    return settings.consistency() != null;
  }

  /** The method that is a whole step. */
  Method stepping() {
    return stepping;
  }

  /** The method that adds up gradients. */
  Method accumulating() {
    return accumulating;
  }

  /**
   * The methods of a run of a network that is written down.
   *
   * @param used receives what the loss asks for per image
   */
  String methods(DenoisingModel model, ScriptedDenoiser network, Set<Coefficient> used) {
    return batches == 1 ? step(model, network, used) : accumulate(model, network, used) + update();
  }

  /** {@link #stepping()}. */
  private String step(DenoisingModel model, ScriptedDenoiser network, Set<Coefficient> used) {
    Script script = new Script();
    Value leaves = leaves(script, network);
    @Nullable ScriptTape tape = tape(script, leaves);
    Objective.Result<Value> result = objective(script, model, network, leaves, used, tape);
    Value made = gradients(script, verdict.scaled(script, result.mean()), leaves, tape);
    Value detached = script.let("torch.detach(%s)", result.mean());
    script.run("torch.set_grad_enabled(False)");
    Value norm = norm(script, detached, made);
    if (network.computesIn() == DataType.FLOAT32) {
      update(script, "", floats(made));
    } else {
      // On the CPU one by one: a gradient in float32 is there for its own update alone, and the
      // average finds the weight in the cache. On a GPU many small calls would cost more.
      script.run("if %s.is_cuda:", norm);
      update(script, "  ", floats(made));
      script.run("else:");
      script.run("  for i in range(%d):", weights);
      // A list that is used after the update, which is dropped as dead code otherwise.
      script.run("    weight = [%s[i]]", Argument.WEIGHTS);
      adam(
          script,
          "    ",
          "weight",
          "[torch.contiguous(torch.to(" + made + "[i], " + FLOAT32 + "))]",
          "[" + Argument.FIRST_MOMENTS + "[i]]",
          "[" + Argument.SECOND_MOMENTS + "[i]]",
          1);
      verdict.averageOf(script, "    ", "i", "weight[0]");
    }
    verdict.log(script, detached, norm);
    return script.method(
        stepping.text(),
        stepping.signature(network.conditionKinds().size()),
        "Tensor",
        script.let("torch.detach(%s)", result.each()));
  }

  /** {@link #accumulating()}. */
  private String accumulate(DenoisingModel model, ScriptedDenoiser network, Set<Coefficient> used) {
    Script script = new Script();
    Value leaves = leaves(script, network);
    @Nullable ScriptTape tape = tape(script, leaves);
    Objective.Result<Value> result = objective(script, model, network, leaves, used, tape);
    Value share = script.let("torch.div(%s, %d)", result.mean(), batches);
    Value made = gradients(script, verdict.scaled(script, share), leaves, tape);
    script.run("torch.set_grad_enabled(False)");
    script.run("torch._foreach_add_(%s, %s)", Argument.GRADIENTS, floats(made));
    script.run("torch.add_(%s, torch.detach(%s))", Argument.TOTAL, share);
    return script.method(
        accumulating.text(),
        accumulating.signature(network.conditionKinds().size()),
        "Tensor",
        script.let("torch.detach(%s)", result.each()));
  }

  /** {@link Method#UPDATE}, which needs no network. */
  String update() {
    Script script = new Script();
    script.run("torch.set_grad_enabled(False)");
    Value mean = argument(Argument.LOSS);
    Value norm = norm(script, mean, argument(Argument.GRADIENTS));
    update(script, "", Argument.GRADIENTS.toString());
    verdict.log(script, mean, norm);
    script.run("torch._foreach_zero_(%s)", Argument.GRADIENTS);
    return script.method(Method.UPDATE.text(), Method.UPDATE.signature(0), "Tensor", mean);
  }

  private Objective.Result<Value> objective(
      Script script,
      DenoisingModel model,
      ScriptedDenoiser network,
      Value leaves,
      Set<Coefficient> used,
      @Nullable ScriptTape tape) {
    Value seeds = script.let("torch.slice(%s, 0, %d)", Argument.NUMBERS, StepLayout.SEEDS);
    int features = features(model, network);
    int axes = network.imageShape().map(Shape::dimension).orElse(IMAGE) - 1;
    ScriptOps whole =
        ScriptOps.training(script, Script.Type.of(network.computesIn()), seeds).axes(axes);
    ScriptOps inside = tape == null ? whole : whole.on(tape);
    List<Value> each =
        IntStream.range(0, weights).mapToObj(i -> new Value(leaves + "[" + i + "]")).toList();
    List<Value> conditions =
        IntStream.range(0, network.conditionKinds().size())
            .mapToObj(kind -> new Value(StepLayout.condition(kind)))
            .toList();
    return Objective.of(model, settings)
        .of(
            ScriptOps.training(script, Script.Type.FLOAT32, seeds).axes(axes),
            new ScriptColumns(script, axes, used),
            new Objective.Batch<>(
                argument(Argument.X0),
                argument(Argument.NOISE),
                argument(Argument.INPUT_NOISE),
                argument(compares() ? Argument.EARLIER_X0 : Argument.X0)),
            x -> network.forward(inside, each, x, levels(script, 0, features), conditions),
            x ->
                network.forward(
                    whole, still(script, leaves), x, levels(script, 1, features), conditions));
  }

  /** How many numbers of a level the network takes in. */
  private static int features(DenoisingModel model, ScriptedDenoiser network) {
    NoiseLevels first = NoiseLevels.of(model.diffusion().schedule(), 0);
    return network.levelFeatures(model.told(first)).length;
  }

  /** The first levels of the rows, or the second ones. */
  private static Value levels(Script script, int which, int features) {
    int from = StepLayout.LEVELS + which * features;
    return script.let("torch.slice(%s, 1, %d, %d)", Argument.ROWS, from, from + features);
  }

  /** The weights as values that no gradient is recorded for. */
  private List<Value> still(Script script, Value leaves) {
    Value detached = script.let("[torch.detach(w) for w in %s]", leaves);
    return IntStream.range(0, weights).mapToObj(i -> new Value(detached + "[" + i + "]")).toList();
  }

  /**
   * What the network is written over and gradients are taken of: the weights, or kernels and
   * matrices in the network's type, so that their gradients come in it too.
   */
  private static Value leaves(Script script, ScriptedDenoiser network) {
    return network.computesIn() == DataType.FLOAT32
        ? argument(Argument.WEIGHTS)
        : script.let(
            "[(torch.requires_grad_(torch.to(torch.detach(w), %d)) if torch.gt(torch.dim(w), 1)"
                + " else w) for w in %s]",
            Script.Type.of(network.computesIn()).code(), Argument.WEIGHTS);
  }

  private static Value argument(Argument argument) {
    return new Value(argument.toString());
  }

  private static String number(StepNumber number) {
    return "float(" + Argument.NUMBERS + "[" + number.place() + "])";
  }

  private @Nullable ScriptTape tape(Script script, Value leaves) {
    return recomputation.isNone()
        ? null
        : new ScriptTape(script, leaves, weights, recomputation::includes);
  }

  private static Value gradients(Script script, Value of, Value leaves, @Nullable ScriptTape tape) {
    return tape == null
        ? script.let("[unchecked_cast(Tensor, g) for g in torch.grad([%s], %s)]", of, leaves)
        : tape.gradients(of);
  }

  /** The update reads memory in order, whatever the strides. */
  private static String floats(Value gradients) {
    return "[torch.contiguous(torch.to(g, " + FLOAT32 + ")) for g in " + gradients + "]";
  }

  /** The global norm, and what follows from it: the verdict on the step, and the clipping. */
  private Value norm(Script script, Value mean, Value gradients) {
    Value norm =
        verdict.unscaled(
            script,
            script.let(
                "torch.linalg_vector_norm(torch.stack(torch._foreach_norm(%s, 2, dtype=%d)))",
                gradients, FLOAT32));
    verdict.judge(script, mean, norm, FLOAT32);
    divisor = verdict.divisor(script, norm, clip);
    return norm;
  }

  /** Adam and the average of all weights at once. */
  private void update(Script script, String indent, String gradients) {
    adam(
        script,
        indent,
        Argument.WEIGHTS.toString(),
        gradients,
        Argument.FIRST_MOMENTS.toString(),
        Argument.SECOND_MOMENTS.toString(),
        weights);
    verdict.average(script, indent, weights);
  }

  private void adam(
      Script script,
      String indent,
      String of,
      String gradients,
      String first,
      String second,
      int tensors) {
    script.run(
        "%storch._fused_adamw_(%s, %s, %s, %s, annotate(List[Tensor], []),"
            + " torch.mul([count], %d), lr=%s, beta1=%s, beta2=%s,"
            + " weight_decay=%s, eps=%s, amsgrad=False, maximize=False,"
            + " grad_scale=%s, found_inf=%s)",
        indent,
        of,
        gradients,
        first,
        second,
        tensors,
        number(StepNumber.LEARNING_RATE),
        adam.beta1(),
        adam.beta2(),
        adam.weightDecay(),
        number(StepNumber.EPSILON),
        divisor,
        verdict.bad());
  }
}
