package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedules;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The exact score said in the way of Karras et al. 2022: every sampler draws the same images. */
class PreconditioningTest {

  static Stream<Sampler> samplers() {
    return Stream.of(
        Samplers.edm(12).spacing(NoiseSpacing.karras()),
        Samplers.edm(12).spacing(NoiseSpacing.karras()).churn(5),
        Samplers.heun(12),
        Samplers.ddpm(),
        Samplers.ddim(20),
        Samplers.dpmSolverPlusPlus(10));
  }

  @ParameterizedTest
  @MethodSource("samplers")
  void generate_preconditioned_asTheNoiseItself(Sampler sampler) {
    double[] expected = draw(sampler, Prediction.EPSILON, StandIns.modelG());
    for (double data : new double[] {0.5, 2}) {
      Prediction edm = Prediction.edm(data);
      Golden.assertClose(
          sampler + " " + edm,
          draw(sampler, edm, StandIns.predicting(edm, StandIns.modelG())),
          expected,
          1e-9);
    }
  }

  private static double[] draw(Sampler sampler, Prediction prediction, Denoiser denoiser) {
    Diffusion diffusion =
        new Diffusion(Schedules.linear(200), prediction, Variance.FIXED_SMALL, DataRange.DEFAULT);
    try (Samples samples =
            Sampling.of(DenoisingModel.of(diffusion, denoiser))
                .sampler(sampler)
                .shape(1, 2, 3)
                .clip(false)
                .dataType(DataType.FLOAT64)
                .seed(4)
                .generate(3);
        NDManager manager = NDManager.newBaseManager();
        NDArray images = samples.toNDArray(manager)) {
      return Golden.values(images);
    }
  }
}
