package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Schedules;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows of chains that are calculated together give the bits of each alone. */
class RowUpdateTest {

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private double[] pixels(Samples samples) {
    try (samples;
        NDArray array = samples.toNDArray(manager)) {
      return Golden.values(array);
    }
  }

  private static List<UnaryOperator<Sampling>> settings() {
    List<UnaryOperator<Sampling>> all = new ArrayList<>();
    for (Sampler sampler :
        List.of(
            Samplers.ddpm(7),
            Samplers.ddim(4),
            Samplers.ddim(6).eta(0.7),
            Samplers.dpmSolverPlusPlus(5),
            Samplers.dpmSolver(5),
            Samplers.uniPc(6),
            Samplers.plms(6),
            Samplers.heun(4),
            Samplers.eulerAncestral(5))) {
      all.add(s -> s.sampler(sampler));
    }
    all.add(s -> s.sampler(Samplers.ddim(5)).clip(false));
    all.add(s -> s.sampler(Samplers.ddim(5)).dynamicThresholding(0.9, 2));
    all.add(
        s ->
            s.sampler(Samplers.ddim(4))
                .guidance(Guidance.classifier((x, t) -> x.sum(new int[] {1, 2, 3}), 0.1)));
    return all;
  }

  private static Stream<Prediction> predictions() {
    return Stream.of(Prediction.EPSILON, Prediction.X0, Prediction.VELOCITY);
  }

  /** Two or three of each, so that they are of one kind, of one to three images. */
  @ParameterizedTest
  @MethodSource("predictions")
  void moves_everySampler_bitsOfEachAlone(Prediction prediction) {
    DDPM ddpm =
        DDPM.builder()
            .schedule(Schedules.linear(40))
            .prediction(prediction)
            .denoiser(StandIns.predicting(prediction, StandIns.modelG()))
            .build();
    List<SamplingRun> runs = new ArrayList<>();
    List<double[]> alone = new ArrayList<>();
    int resources = NativeResources.inAll();
    for (int i = 0; i < 30; i++) {
      UnaryOperator<Sampling> setting = settings().get(i % settings().size());
      Sampling sampling = setting.apply(ddpm.sampling()).shape(1, 3, 3).batchSize(2).seed(i);
      alone.add(pixels(sampling.generate(1 + i % 3)));
      runs.add(sampling.start(1 + i % 3));
    }
    for (int call = 0; runs.stream().anyMatch(SamplingRun::hasNext); call++) {
      // One begins in each call, so that they stand at different rows.
      List<SamplingRun> going =
          runs.subList(0, Math.min(runs.size(), 1 + call)).stream()
              .filter(SamplingRun::hasNext)
              .toList();
      if (!going.isEmpty()) {
        SamplingRun.advance(going);
      }
    }
    for (int i = 0; i < runs.size(); i++) {
      assertThat(pixels(runs.get(i).finish())).as("run " + i).isEqualTo(alone.get(i));
    }
    assertThat(NativeResources.inAll()).as("arrays and managers").isEqualTo(resources);
  }

  /** What follows a row, such as the known pixels of inpainting, is each chain's own. */
  @Test
  void moves_inpaintingBesideOthers_bitsOfEachAlone() {
    DDPM ddpm = DDPM.builder().timesteps(40).denoiser(StandIns.modelG()).build();
    NDArray known = manager.ones(new Shape(2, 1, 2, 2)).mul(0.5f);
    NDArray mask = manager.create(new float[] {1, 0, 0, 1}, new Shape(1, 1, 2, 2));
    Sampling sampling = ddpm.sampling().sampler(Samplers.ddim(5).eta(1)).shape(1, 2, 2);
    double[] filled = pixels(sampling.seed(1).startInpainting(known, mask).finish());
    double[] free = pixels(sampling.seed(2).generate(2));
    try (SamplingRun one = sampling.seed(1).startInpainting(known, mask);
        SamplingRun other = sampling.seed(2).start(2)) {
      while (one.hasNext()) {
        SamplingRun.advance(List.of(one, other));
      }
      assertThat(pixels(one.finish())).isEqualTo(filled);
      assertThat(pixels(other.finish())).isEqualTo(free);
    }
  }
}
