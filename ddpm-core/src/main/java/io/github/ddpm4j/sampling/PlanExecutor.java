package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.NoiseLevels;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.ops.PerImage;
import io.github.ddpm4j.ops.Upload;
import io.github.ddpm4j.prediction.LinearForm;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.torch.GradMode;
import java.util.Arrays;
import java.util.concurrent.CancellationException;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * The loop that executes any {@link SamplingPlan}: for each row one network call, then the row's
 * linear update, with coefficients uploaded per image.
 */
final class PlanExecutor {

  private final Denoiser denoiser;
  private final Diffusion diffusion;
  private final @Nullable DataRange clip;
  private final NoiseSource noise;
  private final SamplingListener listener;

  PlanExecutor(
      Denoiser denoiser,
      Diffusion diffusion,
      @Nullable DataRange clip,
      NoiseSource noise,
      SamplingListener listener) {
    this.denoiser = denoiser;
    this.diffusion = diffusion;
    this.clip = clip;
    this.noise = noise;
    this.listener = listener;
  }

  /**
   * Runs a plan on one batch.
   *
   * @param start x before the first row, (N, C, H, W); taken over and closed
   * @param firstImage the index in the run of the first image
   * @return x after the last row, attached to the manager of {@code start}
   */
  NDArray run(NDArray start, SamplingPlan plan, long firstImage) {
    NDManager manager = start.getManager();
    int images = Math.toIntExact(start.getShape().get(0));
    int rows = plan.steps().size();
    NDArray[] past = new NDArray[plan.depth()];
    NDArray x = start;
    try (GradMode inference = GradMode.off()) {
      for (int row = 0; row < rows; row++) {
        if (Thread.currentThread().isInterrupted()) {
          throw new CancellationException(
              "sampling was interrupted before step "
                  + row
                  + " of "
                  + rows
                  + " of the images from "
                  + firstImage
                  + "; no image was kept");
        }
        try (NDManager step = manager.newSubManager()) {
          x.attach(step);
          attach(past, step);
          SamplingStep[] perImage = new SamplingStep[images];
          Arrays.fill(perImage, plan.steps().get(row));
          x = tick(x, perImage, plan.memory(), past, firstImage, row, rows);
          x.attach(manager);
          attach(past, manager);
        }
      }
    }
    Arrays.stream(past).filter(array -> array != null).forEach(NDArray::close);
    return x;
  }

  private static void attach(NDArray[] past, NDManager owner) {
    for (NDArray array : past) {
      if (array != null) {
        array.attach(owner);
      }
    }
  }

  /** One row for every image; the result and the memory are attached to the manager of x. */
  private NDArray tick(
      NDArray x,
      SamplingStep[] rows,
      SamplingPlan.Memory memory,
      NDArray[] past,
      long firstImage,
      int row,
      int steps) {
    // 1. ask the network
    NoiseLevels levels =
        NoiseLevels.of(
            column(rows, SamplingStep::timestep),
            column(rows, SamplingStep::signal),
            column(rows, SamplingStep::noise));
    NDArray output = denoiser.predict(x, levels, Condition.none());
    if (!output.getShape().equals(x.getShape()) || output.getDataType() != x.getDataType()) {
      throw new IllegalStateException(
          "the denoiser must return the shape and type of its input, "
              + x.getShape()
              + " "
              + x.getDataType()
              + ", but returned "
              + output.getShape()
              + " "
              + output.getDataType());
    }
    // 2. estimate x̂_0 and ε̂
    NDArray x0 = combine(x, output, levels, diffusion.prediction()::x0);
    if (clip != null) {
      x0 = x0.clip(clip.min(), clip.max());
    }
    NDArray epsilon = null;
    boolean usesEpsilon = memory == SamplingPlan.Memory.EPSILON || any(rows, SamplingStep::cEps);
    if (usesEpsilon) {
      epsilon = combine(x, output, levels, diffusion.prediction()::epsilon);
    }
    // 3. the row's linear update
    NDArray next = x0.mul(PerImage.column(x, column(rows, SamplingStep::cX0)));
    if (any(rows, SamplingStep::cX)) {
      next = next.add(x.mul(PerImage.column(x, column(rows, SamplingStep::cX))));
    }
    if (epsilon != null && any(rows, SamplingStep::cEps)) {
      next = next.add(epsilon.mul(PerImage.column(x, column(rows, SamplingStep::cEps))));
    }
    for (int k = 0; k < past.length; k++) {
      int back = k;
      ToDoubleFunction<SamplingStep> factor =
          step -> back < step.past().size() ? step.past().get(back) : 0;
      NDArray remembered = past[k];
      if (remembered != null && any(rows, factor)) {
        next = next.add(remembered.mul(PerImage.column(x, column(rows, factor))));
      }
    }
    // 4. fresh noise
    if (any(rows, SamplingStep::noiseHigh)) {
      NDArray z =
          Upload.normal(x.getManager(), noise, firstImage, row + 1L, x.getShape(), x.getDataType());
      next = next.add(z.mul(PerImage.column(x, column(rows, SamplingStep::noiseHigh))));
    }
    listener.onStep(new SamplingEvent(firstImage, row, steps, rows[0].timestep(), next, x0));
    // 5. remember
    if (past.length > 0) {
      System.arraycopy(past, 0, past, 1, past.length - 1);
      past[0] = memory == SamplingPlan.Memory.EPSILON && epsilon != null ? epsilon : x0;
    }
    return next;
  }

  /** A conversion of {@code Prediction}, as a linear form of (x, output) per image. */
  @FunctionalInterface
  private interface Conversion {
    LinearForm at(Schedule schedule, double timestep, double signal, double noise);
  }

  private NDArray combine(NDArray x, NDArray output, NoiseLevels levels, Conversion conversion) {
    double[] ofX = new double[levels.size()];
    double[] ofOutput = new double[levels.size()];
    for (int i = 0; i < levels.size(); i++) {
      LinearForm form =
          conversion.at(
              diffusion.schedule(), levels.timestep(i), levels.signal(i), levels.noise(i));
      ofX[i] = form.first();
      ofOutput[i] = form.second();
    }
    return PerImage.sum(ofX, x, ofOutput, output);
  }

  private static double[] column(SamplingStep[] rows, ToDoubleFunction<SamplingStep> field) {
    return Arrays.stream(rows).mapToDouble(field).toArray();
  }

  private static boolean any(SamplingStep[] rows, ToDoubleFunction<SamplingStep> field) {
    return Arrays.stream(rows).mapToDouble(field).anyMatch(value -> value != 0);
  }
}
