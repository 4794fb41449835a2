package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.internal.description.History;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The life of weights over several runs, and what guidance reads in it. */
class ProvenanceTest {

  private static final int SIZE = 4;
  private static final String REFUSAL =
      "guidance asks the network without a condition, which it did not learn: the provenance of the"
          + " model has no conditionDropout; train with conditionDropout(0.1), use"
          + " classifierFree(1), or call evenUnlearned() on the guidance if it learned that in"
          + " another way";

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(10).denoiser(network).build();
  private final Dataset data =
      new ArrayDataset.Builder()
          .setData(manager.randomNormal(new Shape(4, 1, SIZE, SIZE), DataType.FLOAT32).clip(-1, 1))
          .setSampling(4, true)
          .build();

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private TrainedModel trained(DDPM model, int steps, double offset) {
    return model.training().batchSize(4).steps(steps).seed(1).offsetNoise(offset).fit(data);
  }

  private static List<Object> steps(DDPM model) {
    return History.runs(model.provenance()).stream().map(run -> run.get("steps")).toList();
  }

  @Test
  void training_thatGoesOn_tellsOfTheRunsBefore() {
    try (TrainedModel first = trained(ddpm, 7, 0.1)) {
      assertThat(first.ddpm().provenance())
          .containsEntry("steps", 7L)
          .containsEntry("offsetNoise", 0.1)
          .doesNotContainKey("before");
      goesOn(first);
    }
  }

  private void goesOn(TrainedModel first) {
    try (TrainedModel second = trained(first.ddpm(), 2, 0);
        TrainedModel third = trained(second.ddpm(), 3, 0)) {
      assertThat(second.raw().provenance())
          .containsEntry("steps", 2L)
          .containsEntry("weights", "last")
          .doesNotContainKey("offsetNoise");
      List<Map<String, Object>> runs = History.runs(second.raw().provenance());
      assertThat(runs).hasSize(2);
      assertThat(runs.get(0))
          .containsEntry("steps", 7L)
          .containsEntry("weights", "averaged")
          .containsEntry("offsetNoise", 0.1);
      assertThat(steps(third.ddpm())).containsExactly(7L, 2L, 3L);
      assertThat(History.runs(third.ddpm().provenance()).get(1))
          .containsEntry("weights", "averaged");
      assertThatThrownBy(() -> runs.get(0).put("steps", 8L))
          .isInstanceOf(UnsupportedOperationException.class);
    }
  }

  @Test
  void training_inPlace_addsToTheModelItself() {
    trained(ddpm, 7, 0.1).close();
    trained(ddpm, 2, 0).close();
    assertThat(steps(ddpm)).containsExactly(7L, 2L);
    assertThat(ddpm.provenance()).containsEntry("weights", "last");
  }

  /* --- guidance --- */

  private static void draw(Sampling run, Guidance guidance) {
    run.sampler(Samplers.ddim(2)).seed(1).guidance(guidance).generate(1).close();
  }

  /** Of a network that takes and ignores any condition. */
  private Sampling conditional(Map<String, Object> provenance) {
    DenoisingModel model =
        DenoisingModel.of(ddpm.model().diffusion(), (x, levels, condition) -> x.zerosLike());
    return Sampling.of(model, provenance).shape(1, SIZE, SIZE).condition(Condition.labels(3));
  }

  private static final Map<String, Object> WITHOUT = Map.of("steps", 7L);
  private static final Map<String, Object> WITH = Map.of("steps", 7L, "conditionDropout", 0.1);

  @Test
  void guidance_ofAModelWithoutConditionDropout_isRefused() {
    Condition other = Condition.labels(4);
    for (Guidance guidance :
        List.of(
            Guidance.classifierFree(3),
            Guidance.classifierFree(0),
            Guidance.extrapolating(2),
            Guidance.classifierFree(3).interval(0.1, 0.2),
            Guidance.towards(other, 0.5),
            Guidance.classifierFree(1).and(Guidance.towards(other, -1)),
            Guidance.classifierFree(0.5).and(Guidance.towards(other, 0.5).interval(1, 2)),
            Guidance.classifierFree(3).interval(5, Double.POSITIVE_INFINITY))) {
      assertThatThrownBy(() -> draw(conditional(WITHOUT), guidance))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(REFUSAL);
      draw(conditional(WITHOUT), guidance.evenUnlearned());
      draw(conditional(WITHOUT), guidance.evenUnlearned().and(Guidance.none()));
      draw(conditional(WITHOUT), guidance.evenUnlearned().interval(0, 9));
      draw(conditional(WITH), guidance);
      draw(conditional(Map.of()), guidance);
      draw(conditional(Map.of("source", "elsewhere")), guidance);
    }
  }

  @Test
  void guidance_thatNeedsNoUnconditionalPrediction_passes() {
    for (Guidance guidance :
        List.of(
            Guidance.none(),
            Guidance.classifierFree(1),
            Guidance.extrapolating(0),
            Guidance.classifierFree(0.5).and(Guidance.towards(Condition.labels(4), 0.5)),
            Guidance.classifier((x, levels) -> x.reshape(1, -1).mean(new int[] {1}), 1))) {
      draw(conditional(WITHOUT), guidance);
    }
  }

  /** Where guidance is off, a run without a condition asks without one. */
  @Test
  void guidance_offAtSomeLevels_countsThere() {
    Guidance towards = Guidance.towards(Condition.labels(4), 1);
    draw(conditional(WITHOUT).condition(Condition.none()), towards);
    draw(conditional(WITHOUT), Guidance.classifierFree(1).interval(1, 2));
    for (Guidance some : List.of(towards.interval(1, 1e9), towards.interval(0, 2))) {
      assertThatThrownBy(() -> draw(conditional(WITHOUT).condition(Condition.none()), some))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(REFUSAL);
    }
  }

  @Test
  void guidance_ofALifeWithConditionDropout_passes() {
    draw(conditional(Map.of("steps", 2L, "before", List.of(WITH))), Guidance.classifierFree(3));
    draw(
        conditional(Map.of("steps", 2L, "before", List.of(Map.of("file", "x")))),
        Guidance.classifierFree(3));
    assertThatThrownBy(
            () ->
                draw(
                    conditional(Map.of("steps", 2L, "before", List.of(WITHOUT))),
                    Guidance.classifierFree(3)))
        .hasMessage(REFUSAL);
  }

  @Test
  void guidance_ofATrainedModel_readsItsProvenance() {
    try (TrainedModel without = trained(ddpm, 1, 0)) {
      Sampling run = without.ddpm().sampling().condition(Condition.labels(3));
      assertThatThrownBy(() -> draw(run, Guidance.classifierFree(3))).hasMessage(REFUSAL);
      Sampling inPlace = ddpm.sampling().condition(Condition.labels(3));
      assertThatThrownBy(() -> draw(inPlace, Guidance.classifierFree(3))).hasMessage(REFUSAL);
      assertThatThrownBy(() -> inPlace.start(1)).hasMessage(REFUSAL);
    }
  }

  @Test
  void extrapolating_isOneLessThanTheScale() {
    assertThat(Guidance.extrapolating(2)).hasToString(Guidance.classifierFree(3).toString());
    assertThatThrownBy(() -> Guidance.extrapolating(Double.NaN))
        .hasMessage("guidance scale must be finite, but was NaN");
  }
}
