package io.github.ddpm4j.process;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.schedule.Schedule;
import java.util.function.IntFunction;

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
    return NoiseLevels.of(schedule, requireTimesteps(t, "x0", x0)).noised(x0, noise);
  }

  @Override
  public NDArray step(NDArray previous, int[] t, NDArray noise) {
    return combine(
        t,
        s -> new LinearForm(Math.sqrt(schedule.alpha(s)), Math.sqrt(schedule.beta(s))),
        "previous",
        previous,
        "noise",
        noise);
  }

  @Override
  public NDArray posteriorMean(NDArray x0, NDArray xt, int[] t) {
    return combine(
        t,
        s -> new LinearForm(schedule.posteriorMeanX0(s), schedule.posteriorMeanXt(s)),
        "x0",
        x0,
        "xt",
        xt);
  }

  @Override
  public double posteriorVariance(int t) {
    return schedule.posteriorVariance(t);
  }

  @Override
  public NDArray velocity(NDArray x0, NDArray noise, int[] t) {
    return combine(
        t, s -> new LinearForm(-schedule.noise(s), schedule.signal(s)), "x0", x0, "noise", noise);
  }

  @Override
  public String toString() {
    return "ForwardProcess[" + schedule + "]";
  }

  private NDArray combine(
      int[] t,
      IntFunction<LinearForm> form,
      String firstName,
      NDArray first,
      String secondName,
      NDArray second) {
    return NoiseLevels.of(schedule, requireTimesteps(t, firstName, first))
        .combine(level -> form.apply((int) level.timestep()), firstName, first, secondName, second);
  }

  private static int[] requireTimesteps(int[] t, String batchName, NDArray batch) {
    PerImage.requireBatch(batchName, batch);
    PerImage.requireOnePerImage("t", t.length, batchName, batch);
    return t;
  }
}
