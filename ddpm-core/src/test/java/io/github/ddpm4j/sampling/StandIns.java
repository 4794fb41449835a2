package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/** Denoisers in closed form, and recorded noise. */
final class StandIns {

  private StandIns() {}

  /** Model A of the golden data: ε = 0.1 x + 0.01 sin(t / 100). */
  static Denoiser modelA() {
    return (x, levels, condition) ->
        x.mul(0.1).add(column(x, levels, i -> 0.01 * Math.sin(levels.timestep(i) / 100)));
  }

  /** The exact score of N(mean, variance) data, as ε. */
  static Denoiser gaussian(double mean, double variance) {
    return (x, levels, condition) -> {
      IntToDoubleFunction total =
          i -> levels.signal(i) * levels.signal(i) * variance + levels.noise(i) * levels.noise(i);
      return x.sub(column(x, levels, i -> levels.signal(i) * mean))
          .mul(column(x, levels, i -> levels.noise(i) / total.applyAsDouble(i)));
    };
  }

  /** The exact score of N(0, variance) data, as ε, with a variance for each image. */
  static Denoiser gaussians(double... variances) {
    return (x, levels, condition) ->
        x.mul(
            column(
                x,
                levels,
                i ->
                    levels.noise(i)
                        / (levels.signal(i) * levels.signal(i) * variances[i]
                            + levels.noise(i) * levels.noise(i))));
  }

  /** The exact velocity of N(mean, variance) data, as {@link Prediction#FLOW}. */
  static Denoiser gaussianFlow(double mean, double variance) {
    return (x, told, condition) -> {
      for (int i = 0; i < told.size(); i++) {
        double expected = 1000 * told.noise(i) / (told.signal(i) + told.noise(i));
        if (Math.abs(told.timestep(i) - expected) > 1e-9) {
          throw new IllegalStateException(told + " should say " + expected);
        }
      }
      IntToDoubleFunction total =
          i -> told.signal(i) * told.signal(i) * variance + told.noise(i) * told.noise(i);
      IntToDoubleFunction slope =
          i -> (told.noise(i) - told.signal(i) * variance) / total.applyAsDouble(i);
      return x.sub(column(x, told, i -> told.signal(i) * mean))
          .mul(column(x, told, slope))
          .sub(mean);
    };
  }

  /** Model G of the golden data: the exact score of N(0.3, 0.5²). */
  static Denoiser modelG() {
    return gaussian(0.3, 0.25);
  }

  /** An ε-denoiser, asked for something else. */
  static Denoiser predicting(Prediction prediction, Denoiser epsilonDenoiser) {
    return (x, levels, condition) -> {
      if (prediction.sigmaData().isPresent()) {
        return preconditioned(prediction, epsilonDenoiser, x, levels, condition);
      }
      NDArray epsilon = epsilonDenoiser.predict(x, levels, condition);
      NDArray x0 =
          x.sub(epsilon.mul(column(x, levels, levels::noise)))
              .mul(column(x, levels, i -> 1 / levels.signal(i)));
      return switch (prediction.name()) {
        case "EPSILON" -> epsilon;
        case "X0" -> x0;
        case "VELOCITY" ->
            epsilon
                .mul(column(x, levels, levels::signal))
                .sub(x0.mul(column(x, levels, levels::noise)));
        case "FLOW" -> epsilon.sub(x0);
        default -> throw new IllegalArgumentException("not in the golden data");
      };
    };
  }

  /** Undoes the scaling, asks, and says what is left of x̂_0 beside its linear guess. */
  private static NDArray preconditioned(
      Prediction edm, Denoiser epsilonDenoiser, NDArray seen, NoiseLevels told, Condition of) {
    double data = edm.sigmaData().getAsDouble();
    IntToDoubleFunction deviation = i -> Math.hypot(told.noise(i), told.signal(i) * data);
    for (int i = 0; i < told.size(); i++) {
      double expected = Math.log(told.noise(i) / told.signal(i)) / 4;
      if (Math.abs(told.timestep(i) - expected) > 1e-9) {
        throw new IllegalStateException(told + " should say " + expected);
      }
    }
    NDArray x = seen.mul(column(seen, told, deviation));
    NDArray epsilon = epsilonDenoiser.predict(x, told, of);
    NDArray x0 =
        x.sub(epsilon.mul(column(x, told, told::noise)))
            .mul(column(x, told, i -> 1 / told.signal(i)));
    return x0.mul(column(x, told, i -> told.noise(i) / (deviation.applyAsDouble(i) * data)))
        .sub(epsilon.mul(column(x, told, i -> told.signal(i) * data / deviation.applyAsDouble(i))));
  }

  /** Draw 0 is the start, draw k + 1 the noise of step k, each (images, size) flattened. */
  static NoiseSource recorded(double[] start, double[] steps, int images) {
    int size = start.length / images;
    return (image, draw, target) -> {
      double[] source = draw == 0 ? start : steps;
      long offset = draw == 0 ? 0 : (draw - 1) * start.length;
      System.arraycopy(source, Math.toIntExact(offset + image * size), target, 0, size);
    };
  }

  private static NDArray column(NDArray x, NoiseLevels levels, IntToDoubleFunction value) {
    return PerImage.column(x, IntStream.range(0, levels.size()).mapToDouble(value).toArray());
  }
}
