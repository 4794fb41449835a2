package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the first step would refuse is refused where a run is started, however that is done. */
class UNetStartTest {

  private final NDManager manager = NDManager.newBaseManager();
  private final UNet network =
      UNet.builder().image(1, 4, 4).levelChannels(4).groups(2).classes(3).seed(1).build();
  private final DDPM ddpm = DDPM.builder().timesteps(50).denoiser(network).build();

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private Sampling sampling() {
    return ddpm.sampling().sampler(Samplers.ddim(4)).seed(1);
  }

  private Map<String, Function<Sampling, SamplingRun>> starts() {
    NDArray images = manager.zeros(new Shape(2, 1, 4, 4));
    NDArray mask = manager.ones(new Shape(1, 1, 4, 4));
    Map<String, Function<Sampling, SamplingRun>> starts = new LinkedHashMap<>();
    starts.put("start", sampling -> sampling.start(2));
    starts.put("denoising", sampling -> sampling.startDenoising(images, 20));
    starts.put("image to image", sampling -> sampling.startImageToImage(images, 0.5));
    starts.put("inpainting", sampling -> sampling.startInpainting(images, mask));
    starts.put("decoding", sampling -> sampling.startDecoding(images));
    return starts;
  }

  private void assertAllRefuse(
      UnaryOperator<Sampling> change, Class<? extends Exception> type, String message) {
    starts()
        .forEach(
            (name, start) ->
                assertThatThrownBy(() -> start.apply(change.apply(sampling())).close())
                    .as(name)
                    .isInstanceOf(type)
                    .hasMessage(message));
  }

  @Test
  void start_labelOutOfRange_refused() {
    String message =
        "labels must be between 0 and 2, because the U-Net has 3 classes, but that of image %d was"
            + " 7; use Condition.ABSENT for an image without a class";
    assertAllRefuse(
        sampling -> sampling.condition(Condition.labels(1, 7)),
        IllegalArgumentException.class,
        String.format(Locale.ROOT, message, 1));
    assertAllRefuse(
        sampling ->
            sampling
                .condition(Condition.labels(1))
                .guidance(Guidance.towards(Condition.labels(7), 2)),
        IllegalArgumentException.class,
        String.format(Locale.ROOT, message, 0));
  }

  @Test
  void start_kindThatTheNetworkHasNot_refused() {
    Condition vectors = Condition.vectors(manager.ones(new Shape(1, 3)));
    assertAllRefuse(
        sampling -> sampling.condition(vectors),
        IllegalArgumentException.class,
        "the U-Net cannot be conditioned on vectors, but was given a Condition of 2 images by"
            + " vectors (3); build it with vectorCondition(length), or leave them out");
  }

  @Test
  void start_type_refused() {
    assertAllRefuse(
        sampling -> sampling.dataType(DataType.FLOAT64),
        IllegalArgumentException.class,
        "images must be float32, but are float64; convert them by toType");
  }

  @Test
  void start_closedNetwork_refused() {
    network.close();
    assertAllRefuse(
        sampling -> sampling,
        IllegalStateException.class,
        "the U-Net is closed and its weights are freed; build or load another one");
  }

  @Test
  void start_networkInTraining_refused() throws Exception {
    Runnable[] end = new Runnable[1];
    Thread trainer = new Thread(() -> end[0] = network.beginTraining(), "trainer");
    trainer.start();
    trainer.join();
    assertAllRefuse(
        sampling -> sampling,
        IllegalStateException.class,
        "the network is being trained on thread trainer; wait until fit() returns, or use"
            + " TrainingStepListener.Event.averaged() inside a TrainingStepListener, or a copy()"
            + " made before");
    end[0].run();
    try (SamplingRun run = sampling().start(1)) {
      assertThat(run.hasNext()).isTrue();
    }
  }

  @Test
  void start_levelThatThePredictionHasNot_refused() {
    DDPM edm =
        DDPM.builder().timesteps(50).prediction(Prediction.edm(0.5)).denoiser(network).build();
    assertThatThrownBy(
            () ->
                edm.sampling()
                    .sampler((diffusion, t) -> Samplers.ddimInversion(4).plan(diffusion))
                    .start(1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "prediction EDM(0.5) says nothing of the noise where x has none; invert a sampler with"
                + " endAtFirstTimestep(true)");
  }

  /** What is right goes on to start. */
  @Test
  void start_whatFits_isNotRefused() {
    starts()
        .forEach(
            (name, start) -> {
              try (SamplingRun run = start.apply(sampling().condition(Condition.labels(2)))) {
                run.next();
                assertThat(run.step()).as(name).isEqualTo(1);
              }
            });
  }
}
