package io.github.ddpm4j.internal.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;

class TeacherTest {

  /** x̂_0 is 0.5 with a class and 0.1 without; 7, beyond the data range, with class 1. */
  private record Said() implements TrainableDenoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      double[] values = new double[levels.size()];
      for (int i = 0; i < values.length; i++) {
        OptionalInt label = condition.label(i);
        values[i] = label.isEmpty() ? 0.1 : label.getAsInt() == 1 ? 7 : 0.5;
      }
      return x.mul(0).add(PerImage.column(x, values));
    }

    @Override
    public NDArray predictForTraining(
        NDArray x, NoiseLevels levels, Condition condition, Pass pass) {
      throw new UnsupportedOperationException("the teacher is not trained");
    }

    @Override
    public Set<Kind> conditionKinds() {
      return Set.of(Kind.LABELS);
    }

    @Override
    public Map<String, NDArray> weights() {
      return Map.of();
    }

    @Override
    public Said copy() {
      return this;
    }

    @Override
    public String type() {
      return "said";
    }

    @Override
    public Map<String, Object> describe() {
      return Map.of();
    }

    @Override
    public void close() {}
  }

  /** x_0 + (1 − r/t) (w − 1) (x̂_0(c) − x̂_0), of which x̂_0 is at most 1. */
  @Test
  void guided_movesTheImagesTowardsTheirClass() {
    Schedule schedule = Schedules.linear(1000);
    Diffusion diffusion =
        new Diffusion(schedule, Prediction.X0, Variance.FIXED_LARGE, DataRange.DEFAULT);
    Level t = Level.ofSigma(schedule, 2);
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray images = manager.ones(new Shape(4, 1, 2, 2)).mul(0.2);
      NDArray noise = manager.zeros(images.getShape());
      TrainingBatch batch =
          new TrainingBatch(
              new TrainableDenoiser.Pass(0, 0),
              images,
              NoiseLevels.of(t, 4),
              noise,
              noise,
              Condition.labels(0, 0, Condition.ABSENT, 1),
              new TrainingBatch.Earlier(
                  NoiseLevels.of(
                      List.of(Level.ofSigma(schedule, 0.5), Level.CLEAN, Level.CLEAN, Level.CLEAN)),
                  images));
      Said said = new Said();
      TrainingBatch.Earlier moved =
          Objects.requireNonNull(
              new Teacher(DenoisingModel.of(diffusion, said), said, 3).guided(batch).earlier());

      float[] values = moved.images().toFloatArray();
      assertThat(values[0]).isCloseTo(0.2f + 0.75f * 2 * 0.4f, within(1e-6f));
      assertThat(values[4]).isCloseTo(0.2f + 2 * 0.4f, within(1e-6f));
      assertThat(values[8]).isCloseTo(0.2f, within(1e-6f));
      assertThat(values[12]).isCloseTo(0.2f + 2 * 0.9f, within(1e-6f));
      assertThat(moved.levels().level(0)).isEqualTo(Level.ofSigma(schedule, 0.5));
    }
  }
}
