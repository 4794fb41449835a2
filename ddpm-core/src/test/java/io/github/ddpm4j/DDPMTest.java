package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class DDPMTest {

  private static final int SIZE = 4;

  /* --- building --- */

  /** Ho et al. 2020, section 4. */
  @Test
  void build_defaults_areThePapers() {
    DDPM ddpm = DDPM.builder().build();
    Schedule schedule = ddpm.schedule();
    assertThat(schedule.timesteps()).isEqualTo(1000);
    assertThat(schedule.beta(0)).isEqualTo(1e-4);
    assertThat(schedule.beta(999)).isEqualTo(0.02);
    assertThat(schedule.beta(333)).isCloseTo(1e-4 + 333 / 999.0 * (0.02 - 1e-4), within(1e-15));
    assertThat(ddpm.prediction()).isEqualTo(Prediction.EPSILON);
    assertThat(ddpm.variance()).isEqualTo(Variance.FIXED_LARGE);
    assertThat(ddpm.dataRange()).isEqualTo(new DataRange(-1, 1)).hasToString("[-1.0, 1.0]");
    assertThat(ddpm.denoiser()).isEmpty();
    assertThat(ddpm.provenance()).isEmpty();
    assertThat(ddpm.forwardProcess().schedule()).isSameAs(schedule);
  }

  @Test
  void build_settings_arrive() {
    Schedule schedule = Schedules.cosine(50);
    Denoiser denoiser = (x, levels, condition) -> x;
    DDPM ddpm =
        DDPM.builder()
            .timesteps(50)
            .schedule(schedule)
            .prediction(Prediction.VELOCITY)
            .variance(Variance.FIXED_SMALL)
            .dataRange(0, 255)
            .denoiser(denoiser)
            .build();
    assertThat(ddpm.schedule()).isSameAs(schedule);
    assertThat(ddpm.prediction()).isEqualTo(Prediction.VELOCITY);
    assertThat(ddpm.variance()).isEqualTo(Variance.FIXED_SMALL);
    assertThat(ddpm.dataRange()).isEqualTo(new DataRange(0, 255));
    assertThat(ddpm.denoiser()).containsSame(denoiser);
  }

  @Test
  void dataRange_perChannel_isThatOfEach() {
    DataRange range = new DataRange(List.of(-2.0, 0.0), List.of(1.0, 3.0));
    assertThat(range).hasToString("[-2.0, 1.0] × [0.0, 3.0]");
    assertThat(range.isPerChannel()).isTrue();
    assertThat(range.min()).isEqualTo(-2);
    assertThat(range.max()).isEqualTo(3);
    assertThat(range.channel(1)).isEqualTo(new DataRange(0, 3));
    assertThat(DDPM.builder().dataRange(range).build().dataRange()).isEqualTo(range);

    DataRange alike = new DataRange(List.of(-2.0, -2.0), List.of(1.0, 1.0));
    assertThat(alike).isEqualTo(new DataRange(-2, 1));
    assertThat(alike.isPerChannel()).isFalse();
    assertThat(alike.channel(7)).isEqualTo(alike);
  }

  @Test
  void dataRange_perChannelThatDoesNotFit_isRefused() {
    assertThatThrownBy(() -> new DataRange(List.of(0.0, 1.0), List.of(1.0)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "a data range needs a least and a greatest value per channel, or one of each for all,"
                + " but has [0.0, 1.0] and [1.0]");
    assertThatThrownBy(() -> new DataRange(List.of(0.0, 1.0), List.of(1.0, 1.0)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "data range must have finite ends with min < max, but was [1.0, 1.0] in channel 1");
    DataRange range = new DataRange(List.of(-2.0, 0.0), List.of(1.0, 3.0));
    try (TinyDenoiser network = new TinyDenoiser(6, 0, 1)) {
      DDPM.Builder builder = DDPM.builder().dataRange(range).denoiser(network);
      assertThatThrownBy(builder::build)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the data range is one of 2 channels, [-2.0, 1.0] × [0.0, 3.0], but the network's"
                  + " images have 1; give a range for each, or one for all");
    }
  }

  @Test
  void build_again_givesAnotherModelAndLeavesTheFirst() {
    DDPM.Builder builder = DDPM.builder().timesteps(10);
    DDPM first = builder.build();
    DDPM same = builder.build();
    DDPM longer = builder.timesteps(20).prediction(Prediction.X0).build();
    assertThat(same.schedule().timesteps()).isEqualTo(10);
    assertThat(longer.schedule().timesteps()).isEqualTo(20);
    assertThat(first.schedule().timesteps()).isEqualTo(10);
    assertThat(first.prediction()).isEqualTo(Prediction.EPSILON);
  }

  @Test
  void build_mathsAlone_noisesImages() {
    DDPM ddpm = DDPM.builder().timesteps(10).build();
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray x0 = manager.ones(new Shape(2, 1, 2, 2));
      NDArray xt = ddpm.forwardProcess().sample(x0, new int[] {0, 9}, x0.zerosLike());
      assertThat((double) xt.getFloat(1, 0, 0, 0))
          .isCloseTo(ddpm.schedule().signal(9), within(1e-7));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1})
  void timesteps_lessThanOne_areRefused(int timesteps) {
    assertThatThrownBy(() -> DDPM.builder().timesteps(timesteps))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("timesteps must be at least 1, but was " + timesteps);
  }

  @Test
  void build_timestepsOfAnotherSchedule_areRefused() {
    DDPM.Builder builder = DDPM.builder().timesteps(100).schedule(Schedules.cosine(50));
    assertThatThrownBy(builder::build)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "timesteps(100) does not match the schedule, which has 50; leave timesteps() out");
  }

  static Stream<Prediction> predictions() {
    return Stream.concat(Prediction.plain().stream(), Stream.of(Prediction.edm(0.5)));
  }

  @ParameterizedTest
  @MethodSource("predictions")
  void build_zeroTerminalSnr_needsAPredictionThatServesIt(Prediction prediction) {
    DDPM.Builder builder =
        DDPM.builder()
            .schedule(Schedules.zeroTerminalSnr(Schedules.linear(100)))
            .prediction(prediction);
    if (prediction == Prediction.VELOCITY
        || prediction == Prediction.FLOW
        || prediction == Prediction.X0) {
      assertThat(builder.build().schedule().alphaBar(99)).isZero();
    } else {
      assertThatThrownBy(builder::build)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "prediction "
                  + prediction
                  + " cannot be used with a schedule of zero terminal SNR: at timestep 99 no signal"
                  + " is left, so x_0 cannot be told from it; use Prediction.VELOCITY,"
                  + " Prediction.FLOW or Prediction.X0");
    }
  }

  static Stream<Schedule> withoutSignal() {
    return Stream.of(Schedules.linear(18_000), Schedules.constant(1000, 0.2));
  }

  /** Their last signals are 1.6e-40 and 3.5e-49, whose reciprocals float32 does not have. */
  @ParameterizedTest
  @MethodSource("withoutSignal")
  void build_signalBelowFloat32_needsAPredictionThatServesIt(Schedule schedule) {
    int last = schedule.timesteps() - 1;
    for (Prediction prediction : predictions().toList()) {
      DDPM.Builder builder = DDPM.builder().schedule(schedule).prediction(prediction);
      if (prediction == Prediction.EPSILON || prediction == Prediction.PREVIOUS_MEAN) {
        assertThatThrownBy(builder::build)
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageMatching(
                "prediction "
                    + prediction
                    + " divides by the signal, but at timestep "
                    + last
                    + " that is \\S+, so that the factors of x̂_0 reach \\S+, where float32 holds no"
                    + " images beyond 1.0E30; use smaller betas, fewer timesteps,"
                    + " Prediction.VELOCITY or Prediction.X0");
      } else {
        assertSamplesAreFinite(builder);
      }
    }
  }

  private static void assertSamplesAreFinite(DDPM.Builder builder) {
    Denoiser zero = (x, levels, condition) -> x.mul(0);
    for (String sampler : new String[] {"ddpm:7, trailing", "ddim:7, trailing", "dpm++:7"}) {
      try (NDManager manager = NDManager.newBaseManager();
          DDPM ddpm = builder.denoiser(zero).build();
          Samples samples =
              ddpm.sampling().sampler(Samplers.parse(sampler)).shape(1, 2, 2).seed(1).generate(1)) {
        assertThat(samples.toNDArray(manager).toFloatArray()).as(sampler).doesNotContain(Float.NaN);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1, -1", "0, 0", "NaN, 1", "-Infinity, 1"})
  void dataRange_thatIsNone_isRefused(double min, double max) {
    assertThatThrownBy(() -> DDPM.builder().dataRange(min, max))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "data range must have finite ends with min < max, but was [" + min + ", " + max + "]");
  }

  /* --- models without a network, or with one that cannot be trained --- */

  @Test
  void use_withoutDenoiser_isRefused() {
    DDPM maths = DDPM.builder().build();
    assertThatThrownBy(maths::sampling)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "sampling needs a denoiser, but the model has none; set denoiser(...) when building"
                + " DDPM");
    assertThatThrownBy(maths::training)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "a model without a denoiser cannot be trained; set denoiser(...) when building DDPM");
    assertThatThrownBy(() -> maths.save(Path.of("nowhere")))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "a model without a denoiser cannot be saved; set denoiser(...) when building DDPM");
    maths.close();
  }

  @Test
  void use_denoiserThatCannotBeTrained_isRefused() {
    Denoiser plain = new Identity();
    DDPM ddpm = DDPM.builder().denoiser(plain).build();
    String name = plain.getClass().getName();
    assertThatThrownBy(ddpm::training)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "a denoiser of class "
                + name
                + " cannot be trained; it must implement TrainableDenoiser, as UNet does");
    assertThatThrownBy(() -> ddpm.save(Path.of("nowhere")))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "a denoiser of class "
                + name
                + " cannot be saved; it must implement TrainableDenoiser, as UNet does");
    assertThatThrownBy(
            () -> DDPM.builder().denoiser((x, levels, condition) -> x).build().training())
        .isInstanceOf(IllegalStateException.class)
        .hasMessageStartingWith("a denoiser of class io.github.ddpm4j.DDPMTest$$Lambda")
        .hasMessageEndingWith(
            " cannot be trained; it must implement TrainableDenoiser, as UNet does");
  }

  private static final class Identity implements Denoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      return x;
    }
  }

  /* --- who owns the network --- */

  @Test
  void close_leavesTheNetworkOfTheUser() {
    try (TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      ddpm.close();
      DDPM.builder().build().withDenoiser(network).close();
      assertThat(network.isClosed()).isFalse();
    }
  }

  @Test
  void close_loadedModel_closesItsNetwork(@TempDir Path folder) throws IOException {
    try (TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      int before = NativeResources.ofSystem();
      DDPM.builder().denoiser(network).build().save(folder.resolve("model"));
      DDPM loaded = DDPM.load(folder.resolve("model"));
      TinyDenoiser own = (TinyDenoiser) loaded.denoiser().orElseThrow();
      loaded.close();
      assertThat(own.isClosed()).isTrue();
      assertThat(network.isClosed()).isFalse();
      assertThat(NativeResources.ofSystem()).isEqualTo(before);
    }
  }

  @Test
  void close_trainingResult_closesTheAverageAlone() {
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1)) {
      ArrayDataset data =
          new ArrayDataset.Builder()
              .setData(manager.ones(new Shape(2, 1, SIZE, SIZE)))
              .setSampling(1, false)
              .build();
      int before = NativeResources.ofSystem();
      TrainedModel result =
          DDPM.builder()
              .denoiser(network)
              .build()
              .training()
              .batchSize(2)
              .steps(1)
              .seed(11)
              .fit(data);
      TinyDenoiser averaged = (TinyDenoiser) result.ddpm().denoiser().orElseThrow();
      assertThat(result.seed()).isEqualTo(11);
      assertThat(result.raw().denoiser()).containsSame(network);
      result.raw().close();
      result.close();
      assertThat(averaged.isClosed()).isTrue();
      assertThat(network.isClosed()).isFalse();
      assertThat(result.losses().steps()).isEqualTo(1);
      assertThat(NativeResources.ofSystem()).isEqualTo(before);
    }
  }

  @Test
  void withDenoiser_keepsTheRest() {
    Denoiser first = (x, levels, condition) -> x;
    Denoiser second = (x, levels, condition) -> x.neg();
    DDPM ddpm =
        DDPM.builder()
            .timesteps(7)
            .prediction(Prediction.X0)
            .variance(Variance.FIXED_SMALL)
            .dataRange(0, 1)
            .denoiser(first)
            .build();
    DDPM other = ddpm.withDenoiser(second);
    assertThat(other.denoiser()).containsSame(second);
    assertThat(ddpm.denoiser()).containsSame(first);
    assertThat(other.schedule()).isSameAs(ddpm.schedule());
    assertThat(other.prediction()).isEqualTo(ddpm.prediction());
    assertThat(other.variance()).isEqualTo(ddpm.variance());
    assertThat(other.dataRange()).isEqualTo(ddpm.dataRange());
  }

  @Test
  void provenance_cannotBeChanged() {
    DDPM ddpm = DDPM.builder().build();
    assertThatThrownBy(() -> ddpm.provenance().put("seed", 1))
        .isInstanceOf(UnsupportedOperationException.class);
  }
}
