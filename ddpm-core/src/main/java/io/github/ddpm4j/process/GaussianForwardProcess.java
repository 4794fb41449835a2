package io.github.ddpm4j.process;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.schedule.Schedule;
import java.util.Arrays;
import java.util.function.IntToDoubleFunction;

/** The forward process of the paper: every step adds Gaussian noise. */
final class GaussianForwardProcess implements ForwardProcess {

  private final Schedule schedule;

  GaussianForwardProcess(Schedule schedule) {
    this.schedule = schedule;
  }

  @Override
  public Schedule schedule() {
    return schedule;
  }

  @Override
  public NDArray sample(NDArray x0, int[] t, NDArray noise) {
    check("x0", x0, "noise", noise, t);
    return PerImage.sum(each(t, schedule::signal), x0, each(t, schedule::noise), noise);
  }

  @Override
  public NDArray step(NDArray previous, int[] t, NDArray noise) {
    check("previous", previous, "noise", noise, t);
    return PerImage.sum(
        each(t, i -> Math.sqrt(schedule.alpha(i))),
        previous,
        each(t, i -> Math.sqrt(schedule.beta(i))),
        noise);
  }

  @Override
  public NDArray posteriorMean(NDArray x0, NDArray xt, int[] t) {
    check("x0", x0, "xt", xt, t);
    return PerImage.sum(
        each(t, schedule::posteriorMeanX0), x0, each(t, schedule::posteriorMeanXt), xt);
  }

  @Override
  public double posteriorVariance(int t) {
    return schedule.posteriorVariance(t);
  }

  @Override
  public NDArray velocity(NDArray x0, NDArray noise, int[] t) {
    check("x0", x0, "noise", noise, t);
    return PerImage.sum(each(t, i -> -schedule.noise(i)), x0, each(t, schedule::signal), noise);
  }

  @Override
  public String toString() {
    return "ForwardProcess[" + schedule + "]";
  }

  private static void check(
      String firstName, NDArray first, String secondName, NDArray second, int[] t) {
    PerImage.requireBatch(firstName, first);
    PerImage.requireLike(secondName, second, firstName, first);
    PerImage.requireOnePerImage("t", t.length, firstName, first);
  }

  private static double[] each(int[] t, IntToDoubleFunction coefficient) {
    return Arrays.stream(t).mapToDouble(coefficient).toArray();
  }
}
