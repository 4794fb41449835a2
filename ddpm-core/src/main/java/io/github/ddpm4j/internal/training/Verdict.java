package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.training.StepLayout.Argument;
import io.github.ddpm4j.internal.training.StepLayout.Judged;
import io.github.ddpm4j.internal.training.StepLayout.LogColumn;
import io.github.ddpm4j.internal.training.StepLayout.StepNumber;
import io.github.ddpm4j.training.Guard;

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
 */
final class Verdict {

  /** 1 where nothing is to be updated. */
  private static final String SKIP = "skip";

  /** 1 − skip. */
  private static final String KEEP = "keep";

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

  Verdict(Guard guard) {
    this.guard = guard;
    this.skips = skips(guard);
  }

  /** Whether a run may go on after a bad step, or judges more than what is not finite. */
  static boolean skips(Guard guard) {
    return !guard.equals(Guard.stop());
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
    script.run(
        "torch.copy_(%1$s, torch.maximum(%1$s,"
            + " torch.to(torch.ge(torch.mul(torch.add(%2$s, 1), bad), %3$d), %4$d)))",
        Argument.BROKEN, IN_A_ROW, guard.mostInARow(), float32);
    script.run("%s = torch.maximum(%s, bad)", SKIP, Argument.BROKEN);
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
            "torch.select(%s, 0, int(%s[%d]))",
            Argument.LOG, Argument.NUMBERS, StepNumber.ROW.place());
    if (!skips) {
      script.run(
          "torch.copy_(torch.slice(%s, 0, 0, %d), torch.stack([%s, %s, %s]))",
          row, LogColumn.SKIPPED.place() + 1, mean, norm, Argument.BROKEN);
      return;
    }
    script.run(
        "torch.copy_(%s, torch.cat([torch.stack([%s, %s, %s]), %s]))",
        row, mean, norm, SKIP, USUAL);
    script.run("torch.copy_(%1$s, torch.mul(torch.add(%1$s, 1), %2$s))", IN_A_ROW, SKIP);
    script.run("torch.add_(%s, %s)", UPDATES, KEEP);
    script.run(
        "torch.copy_(%1$s, torch.where(torch.gt(%2$s, 0), torch.add(%1$s,"
            + " torch.div(torch.sub(now, %1$s), torch.clamp(%3$s, 1, %4$d))), %1$s))",
        USUAL, KEEP, UPDATES, Guard.WINDOW);
  }

  private static String state(Judged place) {
    return "torch.select(" + Argument.JUDGED + ", 0, " + place.place() + ")";
  }

  private static String emaWeight() {
    return "float(" + Argument.NUMBERS + "[" + StepNumber.EMA_WEIGHT.place() + "])";
  }
}
