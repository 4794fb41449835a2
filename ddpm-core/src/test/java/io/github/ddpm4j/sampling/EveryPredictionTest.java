package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Uses with networks of each prediction, and with schedules that end without signal. */
class EveryPredictionTest {

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private NDArray pictures() {
    return NoiseSource.seeded(3)
        .array(manager, 0, 0, new Shape(2, 1, 4, 4), DataType.FLOAT32)
        .mul(0.3)
        .clip(-1, 1);
  }

  private static Sampling sampling(Schedule schedule, Prediction prediction) {
    return DDPM.builder()
        .schedule(schedule)
        .prediction(prediction)
        .denoiser(StandIns.predicting(prediction, StandIns.gaussian(0, 0.09)))
        .build()
        .sampling()
        .seed(1)
        .clip(false);
  }

  static Stream<Prediction> invertible() {
    return Stream.of(
        Prediction.EPSILON,
        Prediction.VELOCITY,
        Prediction.FLOW,
        Prediction.X0,
        Prediction.edm(0.5));
  }

  @ParameterizedTest
  @MethodSource("invertible")
  void encode_anyPrediction_decodesToTheImages(Prediction prediction) {
    boolean needsNoise = prediction == Prediction.X0 || prediction.scalesInput();
    NDArray images = pictures();
    DdimSampler down = Samplers.ddim(500).spacing(TimestepSpacing.TRAILING);
    Schedule schedule = Schedules.linear(1000);
    try (Samples latents = sampling(schedule, prediction).encode(images, 500)) {
      NDArray x = latents.toNDArray(manager);
      assertThat(Math.sqrt(x.square().mean().getFloat()))
          .as("deviation of the latents of %s", prediction)
          .isBetween(0.7, 1.3);
      try (Samples decoded =
          sampling(schedule, prediction).sampler(down.endAtFirstTimestep(needsNoise)).decode(x)) {
        double[] back = Golden.values(decoded.toNDArray(manager));
        double[] expected = Golden.values(images);
        for (int i = 0; i < expected.length; i++) {
          assertThat(back[i])
              .as("pixel %d of %s", i, prediction)
              .isCloseTo(expected[i], within(0.015));
        }
      }
    }
  }

  /** Up to pure noise and back, on straight lines. */
  @Test
  void encode_flow_decodesToTheImages() {
    NDArray images = pictures();
    DDPM flow =
        DDPM.builder()
            .schedule(Schedules.flow(1000, 2))
            .prediction(Prediction.FLOW)
            .denoiser(StandIns.gaussianFlow(0, 0.09))
            .build();
    try (Samples latents = flow.sampling().clip(false).encode(images, 500)) {
      NDArray x = latents.toNDArray(manager);
      assertThat(Math.sqrt(x.square().mean().getFloat())).isBetween(0.7, 1.3);
      Sampler down = Samplers.ddim(500).spacing(TimestepSpacing.TRAILING);
      try (Samples decoded = flow.sampling().clip(false).sampler(down).decode(x)) {
        double[] back = Golden.values(decoded.toNDArray(manager));
        double[] expected = Golden.values(images);
        for (int i = 0; i < expected.length; i++) {
          assertThat(back[i]).as("pixel %d", i).isCloseTo(expected[i], within(0.015));
        }
      }
    }
  }

  @Test
  void encode_previousMean_saysWhatWould() {
    assertThatThrownBy(
            () ->
                DDPM.builder()
                    .timesteps(10)
                    .prediction(Prediction.PREVIOUS_MEAN)
                    .denoiser((x, levels, condition) -> x)
                    .build()
                    .sampling()
                    .encode(pictures(), 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "prediction PREVIOUS_MEAN cannot be inverted, because the network is asked at another"
                + " timestep than that of x; use a model of another prediction");
  }

  static Stream<Sampler> samplers() {
    return Stream.concat(
        Samplers.usual().stream().map(text -> Samplers.parse(text, 40)),
        Stream.of(
            Samplers.ddpm(),
            Samplers.ddim(30),
            Samplers.plms(30),
            Samplers.dpmSolver(30),
            Samplers.dpmSolverPlusPlus(30).spacing(NoiseSpacing.karras()),
            Samplers.dpmSolverPlusPlus(30).spacing(NoiseSpacing.uniformLogSnr()),
            Samplers.uniPc(30).spacing(NoiseSpacing.karras()),
            Samplers.euler(30).spacing(NoiseSpacing.karras()),
            Samplers.heun(30).spacing(NoiseSpacing.karras()),
            Samplers.eulerAncestral(30).spacing(NoiseSpacing.karras()),
            Samplers.edm(30),
            Samplers.edm(30).churn(5),
            Samplers.edm(30).spacing(NoiseSpacing.karras()).churn(5),
            Samplers.resampling(Samplers.ddim(30), 2, 2)));
  }

  @ParameterizedTest
  @MethodSource("samplers")
  void imageToImage_fromALevelWithSignal_worksWithoutTerminalSignal(Sampler sampler) {
    Schedule schedule = Schedules.zeroTerminalSnr(Schedules.linear(100));
    NDArray images = pictures();
    try (Samples drawn =
        sampling(schedule, Prediction.VELOCITY).sampler(sampler).imageToImage(images, 0.5)) {
      NDArray result = drawn.toNDArray(manager);
      double deviation = Math.sqrt(result.square().mean().getFloat());
      assertThat(deviation).as("deviation of %s", sampler).isBetween(0.2, 0.4);
    }
  }

  /** A mean of 3 stands for an x̂_0 far outside [−1, 1]. */
  @Test
  void previousMean_isClippedByTheX0BehindIt() {
    Schedule schedule = Schedules.linear(10);
    DDPM ddpm =
        DDPM.builder()
            .schedule(schedule)
            .prediction(Prediction.PREVIOUS_MEAN)
            .denoiser((x, levels, condition) -> x.zerosLike().add(3))
            .build();
    NDArray x = manager.ones(new Shape(1, 1, 1, 1));
    int t = 5;
    int row = 9 - t;
    NoiseSource none = (image, draw, target) -> {};
    float theirs = ddpm.sampling().noise(none).clip(false).step(row, x).x().toFloatArray()[0];
    float ours = ddpm.sampling().noise(none).step(row, x).x().toFloatArray()[0];
    assertThat(theirs).isCloseTo(3, within(1e-5f));
    assertThat((double) ours)
        .isCloseTo(schedule.posteriorMeanX0(t) + schedule.posteriorMeanXt(t), within(1e-6));
  }
}
