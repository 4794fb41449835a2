package io.github.ddpm4j.training;

import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.LossInput.Coefficient;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A training step written down as TorchScript. Its methods take the {@link StepState}, and the
 * numbers that change from step to step as one float64 tensor on the CPU.
 *
 * <ul>
 *   <li>{@link #STEP}: forward, loss, gradients and update, in one call;
 *   <li>{@link #ACCUMULATE}: forward, loss and gradients of one of several batches, which are added
 *       up;
 *   <li>{@link #UPDATE}: norm, clipping, Adam and the average, from gradients that are there.
 * </ul>
 *
 * <p>The first two exist for networks that can be written down. They return the loss of each image,
 * weighted, but without what makes up for how often its level is drawn.
 */
final class StepProgram {

  static final String STEP = "step";
  static final String ACCUMULATE = "accumulate";
  static final String UPDATE = "update";

  /** What the numbers are, by their place; the seeds of dropout follow. */
  static final int LEARNING_RATE = 0;

  static final int EPSILON = 1;
  static final int EMA_WEIGHT = 2;
  static final int COUNT = 3;
  static final int ROW = 4;
  static final int SEEDS = 5;

  /** What the first columns of a row per image are; what the network takes levels in as follows. */
  static final int SIGNAL = 0;

  static final int NOISE = 1;
  static final int TARGET_X0 = 2;
  static final int TARGET_NOISE = 3;

  /** How much the loss of the image counts, and makes up for how often its level is drawn. */
  static final int WEIGHT = 4;

  static final int IMPORTANCE = 5;

  /** The factor of x_t as the network sees it, where that is not 1. */
  static final int INPUT_SCALE = 6;

  /** Those of {@link Coefficient} that the loss asked for, each at its place; the others are 0. */
  static final int COEFFICIENTS = 7;

  static final int LEVELS = COEFFICIENTS + Coefficient.values().length;

  /** The column of a coefficient. */
  static int column(Coefficient coefficient) {
    return COEFFICIENTS + List.of(Coefficient.values()).indexOf(coefficient);
  }

  // Lists that are written to must be arguments: an update of one that was made inside a script is
  // dropped as dead code.
  private static final String LISTS =
      "weights: List[Tensor], firstMoments: List[Tensor], secondMoments: List[Tensor], averages:"
          + " List[Tensor]";
  private static final String TENSORS = ", numbers: Tensor, broken: Tensor, log: Tensor";
  private static final String BATCH = ", inputNoise: Tensor, noise: Tensor, rows: Tensor";

  /** TorchScript's number for the type. */
  private static final int FLOAT32 = 6;

  private final AdamOptimizer adam;
  private final double clip;
  private final int batches;
  private final Diffusion diffusion;
  private final int count;
  private final Set<Coefficient> used;

  private StepProgram(
      AdamOptimizer adam,
      double clip,
      int batches,
      Diffusion diffusion,
      int count,
      Set<Coefficient> used) {
    this.adam = adam;
    this.clip = clip;
    this.batches = batches;
    this.diffusion = diffusion;
    this.count = count;
    this.used = used;
  }

  /**
   * Writes and compiles a step.
   *
   * @param clip the largest norm of the gradient, or infinity
   * @param batches how many batches make up a step
   * @param used receives what the loss asks for per image, if the network is written down
   */
  static Program compile(
      AdamOptimizer adam,
      double clip,
      int batches,
      Loss loss,
      Diffusion diffusion,
      TrainableDenoiser denoiser,
      Set<Coefficient> used) {
    StepProgram program =
        new StepProgram(adam, clip, batches, diffusion, denoiser.weights().size(), used);
    ScriptedDenoiser scripted = scripted(denoiser);
    if (scripted == null) {
      return Program.compile(program.update());
    }
    return Program.compile(
        batches == 1
            ? program.step(loss, scripted)
            : program.accumulate(loss, scripted) + program.update());
  }

  /** The denoiser if it wants to be written down. */
  static @Nullable ScriptedDenoiser scripted(TrainableDenoiser denoiser) {
    return denoiser instanceof ScriptedDenoiser network && network.isCompiled() ? network : null;
  }

  private String step(Loss loss, ScriptedDenoiser network) {
    Script script = new Script();
    Value leaves = leaves(script, network);
    Value each = loss(script, loss, network, leaves);
    Value mean = mean(script, each);
    Value made = gradients(script, mean, leaves);
    Value detached = script.let("torch.detach(%s)", mean);
    script.run("torch.set_grad_enabled(False)");
    Value norm = norm(script, detached, made);
    if (network.computesIn() == Script.Type.FLOAT32) {
      update(script, "", floats(made));
    } else {
      // On the CPU one by one: a gradient in float32 is there for its own update alone, and the
      // average finds the weight in the cache. On a GPU many small calls would cost more.
      script.run("if %s.is_cuda:", norm);
      update(script, "  ", floats(made));
      script.run("else:");
      script.run("  for i in range(%d):", count);
      // A list that is used after the update, which is dropped as dead code otherwise.
      script.run("    weight = [weights[i]]");
      adam(
          script,
          "    ",
          "weight",
          "[torch.contiguous(torch.to(" + made + "[i], " + FLOAT32 + "))]",
          "[firstMoments[i]]",
          "[secondMoments[i]]",
          1);
      script.run("    torch.lerp_(averages[i], weight[0], float(numbers[%d]))", EMA_WEIGHT);
    }
    log(script, detached, norm);
    return script.method(
        STEP,
        "x0: Tensor, " + LISTS + TENSORS + BATCH + tensors(conditions(network)),
        "Tensor",
        script.let("torch.detach(%s)", each));
  }

  private String accumulate(Loss loss, ScriptedDenoiser network) {
    Script script = new Script();
    Value leaves = leaves(script, network);
    Value each = loss(script, loss, network, leaves);
    Value share = script.let("torch.div(%s, %d)", mean(script, each), batches);
    Value made = gradients(script, share, leaves);
    script.run("torch.set_grad_enabled(False)");
    script.run("torch._foreach_add_(gradients, %s)", floats(made));
    script.run("torch.add_(total, torch.detach(%s))", share);
    return script.method(
        ACCUMULATE,
        "x0: Tensor, weights: List[Tensor], gradients: List[Tensor], numbers: Tensor, total:"
            + " Tensor"
            + BATCH
            + tensors(conditions(network)),
        "Tensor",
        script.let("torch.detach(%s)", each));
  }

  private String update() {
    Script script = new Script();
    script.run("torch.set_grad_enabled(False)");
    Value loss = new Value("loss");
    Value norm = norm(script, loss, new Value("gradients"));
    update(script, "", "gradients");
    log(script, loss, norm);
    script.run("torch._foreach_zero_(gradients)");
    return script.method(
        UPDATE, "loss: Tensor, " + LISTS + ", gradients: List[Tensor]" + TENSORS, "Tensor", loss);
  }

  /**
   * What the network is written over and gradients are taken of: the weights, or kernels and
   * matrices in the network's type, so that their gradients come in it too.
   */
  private static Value leaves(Script script, ScriptedDenoiser network) {
    return network.computesIn() == Script.Type.FLOAT32
        ? new Value("weights")
        : script.let(
            "[(torch.requires_grad_(torch.to(torch.detach(w), %d)) if torch.gt(torch.dim(w), 1)"
                + " else w) for w in weights]",
            network.computesIn().code());
  }

  /** The loss of each image of a batch, weighted. */
  private Value loss(Script script, Loss loss, ScriptedDenoiser network, Value leaves) {
    // x_t = signal · x_0 + noise · ε, and the target is such a sum too
    Value xt = sum(script, SIGNAL, NOISE, "inputNoise");
    Value target = sum(script, TARGET_X0, TARGET_NOISE, "noise");
    Value levels = script.let("torch.slice(rows, 1, %d)", LEVELS);
    Value seeds = script.let("torch.slice(numbers, 0, %d)", SEEDS);
    Value output =
        network.write(
            script,
            IntStream.range(0, count).mapToObj(i -> new Value(leaves + "[" + i + "]")).toList(),
            input(script, xt),
            levels,
            conditions(network),
            seeds);
    Optional<Value> variance = Optional.empty();
    if (network.predictsVariance()) {
      if (diffusion.variance().isLearned()) {
        variance = Optional.of(script.let("torch.slice(%s, 1, torch.size(x0, 1))", output));
      }
      output = script.let("torch.slice(%s, 1, 0, torch.size(x0, 1))", output);
    }
    Seen<Value> seen =
        new Seen<>(
            output,
            target,
            variance,
            new Value("x0"),
            xt,
            coefficient -> {
              used.add(coefficient);
              return script.let(
                  "torch.reshape(torch.select(rows, 1, %d), [-1, 1, 1, 1])", column(coefficient));
            },
            diffusion);
    ScriptOps ops = ScriptOps.training(script, Script.Type.FLOAT32, seeds);
    return script.let("torch.mul(%s, torch.select(rows, 1, %d))", loss.perImage(ops, seen), WEIGHT);
  }

  /** The noisy images as the network sees them. */
  private Value input(Script script, Value xt) {
    return diffusion.prediction().sigmaData().isEmpty()
        ? xt
        : script.let(
            "torch.mul(%s, torch.reshape(torch.select(rows, 1, %d), [-1, 1, 1, 1]))",
            xt, INPUT_SCALE);
  }

  /** The mean loss of a batch, a scalar. */
  private static Value mean(Script script, Value each) {
    return script.let("torch.mean(torch.mul(%s, torch.select(rows, 1, %d)))", each, IMPORTANCE);
  }

  /** The arguments that hold what {@link ScriptedDenoiser#conditionInputs} gives. */
  private static List<Value> conditions(ScriptedDenoiser network) {
    return IntStream.range(0, network.conditionKinds().size())
        .mapToObj(i -> new Value("c" + i))
        .toList();
  }

  private static String tensors(List<Value> arguments) {
    return arguments.stream().map(value -> ", " + value + ": Tensor").collect(Collectors.joining());
  }

  private static Value sum(Script script, int ofX0, int ofNoise, String noise) {
    return script.let(
        "torch.add(torch.mul(x0, torch.reshape(torch.select(rows, 1, %d), [-1, 1, 1, 1])),"
            + " torch.mul(%s, torch.reshape(torch.select(rows, 1, %d), [-1, 1, 1, 1])))",
        ofX0, noise, ofNoise);
  }

  private static Value gradients(Script script, Value loss, Value leaves) {
    return script.let("[unchecked_cast(Tensor, g) for g in torch.grad([%s], %s)]", loss, leaves);
  }

  /** The update reads memory in order, whatever the strides. */
  private static String floats(Value gradients) {
    return "[torch.contiguous(torch.to(g, " + FLOAT32 + ")) for g in " + gradients + "]";
  }

  /**
   * The global norm, and what follows from it: once it or the loss is not finite, nothing is
   * updated any more, and the gradient is clipped.
   */
  private Value norm(Script script, Value loss, Value gradients) {
    Value norm =
        script.let(
            "torch.linalg_vector_norm(torch.stack(torch._foreach_norm(%s, 2, dtype=%d)))",
            gradients, FLOAT32);
    script.run(
        "torch.copy_(broken, torch.maximum(broken, torch.to(torch.logical_not(torch.logical_and("
            + "torch.isfinite(%s), torch.isfinite(%s))), %d)))",
        norm, loss, FLOAT32);
    script.run(
        "count = torch.full([1], float(numbers[%d]), dtype=%d, device=%s.device)",
        COUNT, FLOAT32, norm);
    if (Double.isFinite(clip)) {
      // Adam divides the gradient by it.
      script.run("scale = torch.clamp_min(torch.div(%s, %s), 1.0)", norm, clip);
    }
    return norm;
  }

  /** Adam and the average of all weights at once. */
  private void update(Script script, String indent, String gradients) {
    adam(script, indent, "weights", gradients, "firstMoments", "secondMoments", count);
    // ā ← ā + (1 − d)(w − ā)
    script.run("%storch._foreach_lerp_(averages, weights, float(numbers[%d]))", indent, EMA_WEIGHT);
  }

  private void adam(
      Script script,
      String indent,
      String weights,
      String gradients,
      String first,
      String second,
      int tensors) {
    script.run(
        "%storch._fused_adamw_(%s, %s, %s, %s, annotate(List[Tensor], []),"
            + " torch.mul([count], %d), lr=float(numbers[%d]), beta1=%s, beta2=%s,"
            + " weight_decay=%s, eps=float(numbers[%d]), amsgrad=False, maximize=False,"
            + " grad_scale=%s, found_inf=broken)",
        indent,
        weights,
        gradients,
        first,
        second,
        tensors,
        LEARNING_RATE,
        adam.beta1(),
        adam.beta2(),
        adam.weightDecay(),
        EPSILON,
        Double.isInfinite(clip) ? "None" : "scale");
  }

  /** What Java reads now and then. */
  private static void log(Script script, Value loss, Value norm) {
    script.run(
        "torch.copy_(torch.select(log, 0, int(numbers[%d])), torch.stack([%s, %s]))",
        ROW, loss, norm);
  }
}
