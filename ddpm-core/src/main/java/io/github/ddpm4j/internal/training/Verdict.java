package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.training.StepLayout.Argument;
import io.github.ddpm4j.internal.training.StepLayout.Judged;
import io.github.ddpm4j.internal.training.StepLayout.LogColumn;
import io.github.ddpm4j.internal.training.StepLayout.StepNumber;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.training.Guard;
import java.util.Locale;

/**
 * Whether a step updates anything, in the text of a program: it is judged on the device, which Java
 * never waits for.
 *
 * <pre>
 *   good = finite(L) ∧ finite(‖g‖) ∧ (updates &lt; least ∨ |L| ≤ f · usual |L| ∧ ‖g‖ ≤ f · usual ‖g‖)
 *   updates ← updates + 1,   usual ← usual + (now − usual) / min(updates, window)        where good
 * </pre>
 *
 * <p>By default, where the first bad step ends the run, a flag is all that there is. Otherwise the
 * flag ends it after some bad steps in a row, and {@link #SKIP} is what the update hangs on: a
 * scalar that is 1 where weights, moments and averages stay as they are. The fused optimizer takes
 * it as {@code found_inf}; whatever else there is to update takes {@code where(skip, old, new)}, or
 * a weight of {@link #KEEP}.
 *
 * <p>A network that computes in float16, whose numbers end at 65504 and vanish below 6e-8, is
 * trained on a scaled loss (Micikevicius et al. 2018, "Mixed precision training"), as by PyTorch's
 * GradScaler:
 *
 * <pre>
 *   g = ∇(S · L) / S                       in float32, S from {@value #FIRST_SCALE}
 *   S ← S · {@value #BACKOFF}                            where ‖g‖ is not finite, and nothing is updated
 *   S ← S · {@value #GROWTH_FACTOR}                            after {@value #GROWTH_INTERVAL} finite ones in a row
 * </pre>
 *
 * <p>A gradient that is not finite is then no bad step, unless the loss is not finite either, or
 * the scale is down to 1: that is not for the scale to mend.
 */
final class Verdict {

  /** 1 where nothing is to be updated. */
  private static final String SKIP = "skip";

  /** 1 − skip. */
  private static final String KEEP = "keep";

  /** S of the step, before it is changed for the next. */
  private static final String LOSS_SCALE = "lossScale";

  /** PyTorch's init_scale: {@value}. */
  static final float FIRST_SCALE = 65536;

  /** PyTorch's backoff_factor: {@value}. */
  static final double BACKOFF = 0.5;

  /** PyTorch's growth_factor: {@value}. */
  static final double GROWTH_FACTOR = 2;

  /** PyTorch's growth_interval: {@value}. */
  static final int GROWTH_INTERVAL = 2000;

  /** TorchScript's number for whole numbers of 32 bits. */
  private static final int INT32 = 3;

  private static final String UPDATES = state(Judged.UPDATES);
  private static final String IN_A_ROW = state(Judged.IN_A_ROW);
  private static final String USUAL =
      "torch.slice("
          + Argument.JUDGED
          + ", 0, "
          + Judged.USUAL_LOSS.place()
          + ", "
          + (Judged.USUAL_NORM.place() + 1)
          + ")";

  private final Guard guard;
  private final boolean skips;
  private final boolean scales;

  /**
   * @param scales whether the loss is scaled
   */
  Verdict(Guard guard, boolean scales) {
    this.guard = guard;
    this.scales = scales;
    this.skips = skips(guard, scales);
  }

  /**
   * Whether a run may go on after a step that updates nothing, or judges more than what is not
   * finite.
   */
  static boolean skips(Guard guard, boolean scales) {
    return scales || !guard.equals(Guard.stop());
  }

  /** Whether the loss of a network is scaled: whether its program computes in float16. */
  static boolean scales(TrainableDenoiser network) {
    return network instanceof ScriptedDenoiser scripted
        && scripted.isCompiled()
        && scripted.computesIn() == DataType.FLOAT16;
  }

  /** What the first step is judged by. */
  static float[] first() {
    float[] judged = new float[Judged.values().length];
    judged[Judged.LOSS_SCALE.place()] = FIRST_SCALE;
    return judged;
  }

  /** S · L, of which gradients are taken. */
  Value scaled(Script script, Value loss) {
    return scales ? script.let("torch.mul(%s, %s)", loss, state(Judged.LOSS_SCALE)) : loss;
  }

  /** The norm of the gradient from that of S · L. */
  Value unscaled(Script script, Value norm) {
    if (!scales) {
      return norm;
    }
    script.run("%s = torch.clone(%s)", LOSS_SCALE, state(Judged.LOSS_SCALE));
    return script.let("torch.div(%s, %s)", norm, LOSS_SCALE);
  }

  /**
   * What the optimizer is to divide the gradient by.
   *
   * @param clip the greatest norm, or infinity
   * @return its name, or None
   */
  String divisor(Script script, Value norm, double clip) {
    if (Double.isFinite(clip)) {
      script.run("scale = torch.clamp_min(torch.div(%s, %s), 1.0)", norm, clip);
    }
    if (scales) {
      // S is a power of 2, so that one division rounds as two do.
      script.run(
          "scale = %s",
          Double.isFinite(clip) ? "torch.mul(scale, " + LOSS_SCALE + ")" : LOSS_SCALE);
    }
    return scales || Double.isFinite(clip) ? "scale" : "None";
  }

  /** What the optimizer takes as found_inf. */
  String bad() {
    return skips ? SKIP : Argument.BROKEN.toString();
  }

  /** Judges a step by its loss and the norm of its gradient, before anything is updated. */
  void judge(Script script, Value mean, Value norm, int float32) {
    if (!skips) {
      script.run(
          "torch.copy_(%1$s, torch.maximum(%1$s, torch.to(torch.logical_not(torch.logical_and("
              + "torch.isfinite(%2$s), torch.isfinite(%3$s))), %4$d)))",
          Argument.BROKEN, norm, mean, float32);
      script.run(
          "count = torch.full([1], float(%s[%d]), dtype=%d, device=%s.device)",
          Argument.NUMBERS, StepNumber.COUNT.place(), float32, norm);
      return;
    }
    script.run("now = torch.abs(torch.stack([%s, %s]))", mean, norm);
    script.run("good = torch.all(torch.isfinite(now))");
    if (Double.isFinite(guard.explosion())) {
      script.run(
          "good = torch.logical_and(good, torch.logical_or(torch.lt(%s, %d),"
              + " torch.all(torch.le(now, torch.mul(%s, %s)))))",
          UPDATES, Guard.LEAST, USUAL, guard.explosion());
    }
    script.run("bad = torch.to(torch.logical_not(good), %d)", float32);
    if (scales) {
      script.run("found = torch.to(torch.logical_not(torch.isfinite(%s)), %d)", norm, float32);
      script.run(
          "overflow = torch.mul(found, torch.to(torch.logical_and(torch.isfinite(%s),"
              + " torch.gt(%s, 1)), %d))",
          mean, LOSS_SCALE, float32);
      script.run("bad = torch.sub(bad, overflow)");
    }
    script.run(
        "torch.copy_(%1$s, torch.maximum(%1$s,"
            + " torch.to(torch.ge(torch.mul(torch.add(%2$s, 1), bad), %3$d), %4$d)))",
        Argument.BROKEN, IN_A_ROW, guard.mostInARow(), float32);
    script.run("%s = torch.maximum(%s, bad)", SKIP, Argument.BROKEN);
    if (scales) {
      script.run("%1$s = torch.maximum(%1$s, overflow)", SKIP);
    }
    script.run("%s = torch.sub(torch.ones_like(%s), %s)", KEEP, SKIP, SKIP);
    script.run("count = torch.reshape(torch.add(%s, 1), [1])", UPDATES);
  }

  /**
   * ā ← ā + (1 − d)(w − ā), of all weights.
   *
   * @param indent where the statement stands
   */
  void average(Script script, String indent, int weights) {
    if (!skips) {
      script.run(
          "%storch._foreach_lerp_(%s, %s, %s)",
          indent, Argument.AVERAGES, Argument.WEIGHTS, emaWeight());
      return;
    }
    script.run("%sif %s.is_cuda:", indent, SKIP);
    // Nothing waits for the device, so that the weight is a tensor, which no call for all takes.
    script.run("%s  share = torch.mul(%s, %s)", indent, KEEP, emaWeight());
    script.run("%s  for i in range(%d):", indent, weights);
    script.run(
        "%s    torch.lerp_(%s[i], %s[i], share)", indent, Argument.AVERAGES, Argument.WEIGHTS);
    script.run("%selse:", indent);
    script.run("%s  if bool(torch.eq(%s, 0)):", indent, SKIP);
    script.run(
        "%s    torch._foreach_lerp_(%s, %s, %s)",
        indent, Argument.AVERAGES, Argument.WEIGHTS, emaWeight());
  }

  /** The same of one weight in a loop on the CPU. */
  void averageOf(Script script, String indent, String index, String weight) {
    if (skips) {
      script.run("%sif bool(torch.eq(%s, 0)):", indent, SKIP);
    }
    script.run(
        "%storch.lerp_(%s[%s], %s, %s)",
        skips ? indent + "  " : indent, Argument.AVERAGES, index, weight, emaWeight());
  }

  /** Leaves what Java reads now and then, and what the next step is judged by. */
  void log(Script script, Value mean, Value norm) {
    String row =
        String.format(
            Locale.ROOT,
            "torch.select(%s, 0, int(%s[%d]))",
            Argument.LOG,
            Argument.NUMBERS,
            StepNumber.ROW.place());
    if (!skips) {
      script.run(
          "torch.copy_(torch.slice(%s, 0, 0, %d), torch.stack([%s, %s, %s]))",
          row, LogColumn.SKIPPED.place() + 1, mean, norm, Argument.BROKEN);
      return;
    }
    if (scales) {
      script.run(
          "torch.copy_(%1$s, torch.cat([torch.stack([%2$s, %3$s, torch.add(%4$s, overflow)]), %5$s,"
              + " torch.reshape(%6$s, [1])]))",
          row, mean, norm, SKIP, USUAL, LOSS_SCALE);
      script.run("torch.copy_(%1$s, torch.mul(torch.add(%1$s, bad), %2$s))", IN_A_ROW, SKIP);
      rescale(script);
    } else {
      script.run(
          "torch.copy_(torch.slice(%s, 0, 0, %d), torch.cat([torch.stack([%s, %s, %s]), %s]))",
          row, LogColumn.LOSS_SCALE.place(), mean, norm, SKIP, USUAL);
      script.run("torch.copy_(%1$s, torch.mul(torch.add(%1$s, 1), %2$s))", IN_A_ROW, SKIP);
    }
    script.run("torch.add_(%s, %s)", UPDATES, KEEP);
    script.run(
        "torch.copy_(%1$s, torch.where(torch.gt(%2$s, 0), torch.add(%1$s,"
            + " torch.div(torch.sub(now, %1$s), torch.clamp(%3$s, 1, %4$d))), %1$s))",
        USUAL, KEEP, UPDATES, Guard.WINDOW);
  }

  /** The scale of the next step, by PyTorch's own rule. */
  private static void rescale(Script script) {
    script.run("growth = torch.to(%s, %d)", state(Judged.GROWTH), INT32);
    script.run(
        "torch.copy_(%1$s, torch._amp_update_scale_(torch.clone(%1$s), growth, found, %2$s, %3$s,"
            + " %4$d))",
        state(Judged.LOSS_SCALE), GROWTH_FACTOR, BACKOFF, GROWTH_INTERVAL);
    script.run("torch.copy_(%s, growth)", state(Judged.GROWTH));
    script.run("torch.add_(%s, overflow)", state(Judged.OVERFLOWS));
  }

  private static String state(Judged place) {
    return "torch.select(" + Argument.JUDGED + ", 0, " + place.place() + ")";
  }

  private static String emaWeight() {
    return "float(" + Argument.NUMBERS + "[" + StepNumber.EMA_WEIGHT.place() + "])";
  }
}
