package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.DivergenceException;
import io.github.ddpm4j.training.Ema;
import io.github.ddpm4j.training.TrainingStepListener;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TrainingDoctorTest {

  private static final int STEPS = 64;
  private static final int BATCH = 8;
  private static final int SIDE = 4;
  private static final int TIMESTEPS = 100;

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIDE, 0, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(TIMESTEPS).denoiser(network).build();

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private Dataset data() {
    return new ArrayDataset.Builder().setData(images(1, 16)).setSampling(BATCH, false).build();
  }

  private Training training() {
    return ddpm.training().batchSize(BATCH).steps(STEPS).learningRate(5e-3).seed(2);
  }

  /** Grey images in the middle of the data range. */
  private NDArray images(long seed, int count) {
    double[][] rows = Gaussian.draw(seed, count, new double[SIDE * SIDE], filled(SIDE * SIDE, 0.3));
    double[] flat = Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    float[] floats = new float[flat.length];
    for (int i = 0; i < flat.length; i++) {
      floats[i] = (float) Math.max(-0.99, Math.min(0.99, flat[i]));
    }
    return manager.create(floats, new Shape(count, 1, SIDE, SIDE)).duplicate();
  }

  private static double[] filled(int size, double value) {
    double[] filled = new double[size];
    Arrays.fill(filled, value);
    return filled;
  }

  private static TrainingDoctor.Finding finding(
      TrainingDoctor.Diagnosis diagnosis, String subject) {
    return diagnosis.findings().stream()
        .filter(finding -> finding.subject().equals(subject))
        .findAny()
        .orElseThrow(() -> new AssertionError(subject + " is not in\n" + diagnosis));
  }

  /* --- training --- */

  @Test
  void report_hasTheLossesOfEachQuarterOfTheSchedule() {
    TrainingDoctor doctor = ddpm.trainingDoctor();
    List<TrainingStepListener.Event> events = new ArrayList<>();
    training().listener(doctor).listener(events::add).fit(data()).close();

    TrainingDoctor.Diagnosis report = doctor.report();

    String[] subjects = {
      "loss, 1st quarter (least noise)",
      "loss, 2nd quarter",
      "loss, 3rd quarter",
      "loss, 4th quarter (most noise)"
    };
    for (int q = 0; q < 4; q++) {
      double before = mean(events.subList(STEPS / 2, 3 * STEPS / 4), q);
      double last = mean(events.subList(3 * STEPS / 4, STEPS), q);
      assertThat(finding(report, subjects[q]).figures())
          .isEqualTo(
              String.format(
                  Locale.ROOT,
                  "%.4g over the last 16 steps, %.4g over the 16 before (%+.1f %%)",
                  last,
                  before,
                  100 * (last / before - 1)));
    }
    assertThat(report.findings()).hasSize(6);
    assertThat(report.toString().lines()).hasSize(6);
    double greatest =
        events.stream().mapToDouble(TrainingStepListener.Event::gradientNorm).max().orElseThrow();
    assertThat(finding(report, "gradient norm").figures())
        .endsWith(
            String.format(
                Locale.ROOT, "greatest %.4g, above 10 times the mean in 0 of 64 steps", greatest));
    assertThat(finding(report, "gradient norm").concern()).isFalse();
  }

  /** More steps than there are windows: some were merged before the checkpoint, some after it. */
  @Test
  void report_ofAResumedRun_isThatOfOneInOneGo() {
    TrainingDoctor whole = ddpm.trainingDoctor();
    List<TrainingStepListener.Event> events = new ArrayList<>();
    training().steps(150).listener(events::add).fit(data()).close();
    events.forEach(whole::onStep);
    TrainingDoctor first = ddpm.trainingDoctor();
    events.subList(0, 77).forEach(first::onStep);
    TrainingDoctor second = ddpm.trainingDoctor();
    second.restore(first.state());
    events.subList(77, 150).forEach(second::onStep);

    assertThat(second.report()).isEqualTo(whole.report());
    assertThat(second.state()).isEqualTo(whole.state());
  }

  @Test
  void restore_ofAnotherListenersState_isRefused() {
    for (String state : new String[] {"", "7", "of something else"}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> ddpm.trainingDoctor().restore(state))
          .withMessage(
              "the checkpoint has the state of another listener in the place of the training"
                  + " doctor; add the same listeners in the same order");
    }
  }

  /** By timestep, as the quarters of 100 timesteps of even draws are. */
  private static double mean(List<TrainingStepListener.Event> events, int quarter) {
    double sum = 0;
    long images = 0;
    for (TrainingStepListener.Event event : events) {
      double[] losses = event.imageLosses();
      for (int i = 0; i < losses.length; i++) {
        if ((int) event.levels().timestep(i) / (TIMESTEPS / 4) == quarter) {
          sum += losses[i];
          images++;
        }
      }
    }
    return sum / images;
  }

  @Test
  void report_averageWithoutWarmUp_isStillWhatTrainingBeganWith() {
    TrainingDoctor doctor = ddpm.trainingDoctor();
    training().ema(Ema.constant(0.99)).listener(doctor).fit(data()).close();

    // 0.99^64 = 52.6 %; ln(0.01 / 0.526) / ln 0.99 = 394.2 steps more.
    assertThat(finding(doctor.report(), "averaged weights"))
        .hasToString(
            "! averaged weights: 52.6 % of them are the initial weights, and they lag 47 steps"
                + " behind; still in part what training began with: some 395 more steps, or draw"
                + " from the raw weights");
  }

  @Test
  void report_slowAverage_namesADecay() {
    TrainingDoctor doctor = ddpm.trainingDoctor();
    training().steps(200).ema(Ema.constant(0.977)).listener(doctor).fit(data()).close();

    assertThat(finding(doctor.report(), "averaged weights").toString())
        .startsWith("! averaged weights: 1.0 % of them are the initial weights, and they lag 42 ")
        .endsWith("slow for a run of 200 steps: ema(0.95), or draw from the raw weights");
  }

  /** Rounded to four digits, that of a long run would be 1, which no average can have. */
  @Test
  void decay_ofALongRun_isBelowOne() {
    assertThat(TrainingDoctor.decayFor(8)).isEqualTo("0");
    assertThat(TrainingDoctor.decayFor(200)).isEqualTo("0.95");
    assertThat(TrainingDoctor.decayFor(1_000_000)).isEqualTo("0.99999");
  }

  @Test
  void report_fastAverage_isFit() {
    TrainingDoctor doctor = ddpm.trainingDoctor();
    training().ema(0.9).listener(doctor).fit(data()).close();

    TrainingDoctor.Finding finding = finding(doctor.report(), "averaged weights");
    assertThat(finding.concern()).isFalse();
    assertThat(finding.advice()).isEqualTo("fit to draw from");
  }

  @Test
  void report_weightsThatJump_showAsSpikeAndRise() {
    TrainingDoctor doctor = ddpm.trainingDoctor();
    training()
        .learningRate(1e-5)
        .listener(doctor)
        .listener(jumpAfter(3 * STEPS / 4, 3))
        .fit(data())
        .close();

    TrainingDoctor.Diagnosis report = doctor.report();

    assertThat(report.concerns())
        .extracting(TrainingDoctor.Finding::subject)
        .contains("loss, 4th quarter (most noise)", "gradient norm");
    assertThat(finding(report, "loss, 4th quarter (most noise)").advice())
        .isEqualTo("rising: lower the learning rate, or clip the gradient");
    assertThat(finding(report, "gradient norm").advice()).startsWith("clip it: gradientClip(");
  }

  private TrainingStepListener jumpAfter(int step, float value) {
    return event -> {
      if (event.step() == step) {
        NDArray weight = Objects.requireNonNull(network.weights().get("second.weight"));
        try (GradMode off = GradMode.off();
            NDArray large = weight.onesLike();
            NDArray scaled = large.mul(value)) {
          weight.set(new NDIndex("..."), scaled);
        }
      }
    };
  }

  @Test
  void report_lossThatFalls_asksForMoreSteps() {
    TrainingDoctor doctor = ddpm.trainingDoctor();
    training().steps(256).learningRate(1e-3).listener(doctor).fit(data()).close();

    TrainingDoctor.Finding finding = finding(doctor.report(), "loss, 4th quarter (most noise)");

    assertThat(finding.concern()).isFalse();
    assertThat(finding.advice()).isEqualTo("still falling: more steps will help");
  }

  @Test
  void report_ofARunThatFailed_isOfTheStepsBefore() {
    TrainingDoctor doctor = ddpm.trainingDoctor();
    Throwable failed =
        catchThrowable(
            () ->
                training()
                    .listener(doctor)
                    .listener(jumpAfter(20, Float.POSITIVE_INFINITY))
                    .fit(data()));

    assertThat(failed).isInstanceOf(DivergenceException.class);
    assertThat(failed.getSuppressed()).isEmpty();
    assertThat(finding(doctor.report(), "gradient norm").figures()).endsWith("of 20 steps");
  }

  @Test
  void report_tooEarly_isRefused() {
    TrainingDoctor doctor = ddpm.trainingDoctor();
    training().steps(7).listener(doctor).fit(data()).close();

    assertThatIllegalStateException()
        .isThrownBy(doctor::report)
        .withMessage(
            "a report needs at least 8 steps of training, but has seen 7; add the doctor as a"
                + " listener before fit()");
  }

  /* --- windows --- */

  @Test
  void windows_ofManySteps_areMerged_andTheFourthsAreTheLast() {
    LossWindows windows = new LossWindows();
    for (int i = 0; i < 1000; i++) {
      LossWindows.Window step = new LossWindows.Window();
      step.add(2, i);
      windows.add(step);
    }

    // 1,000 steps make 62.5 windows of 16: 15 windows are a fourth, the last of them half full.
    assertThat(windows.fourth(0).steps()).isEqualTo(232);
    assertThat(windows.fourth(1).steps()).isEqualTo(240);
    assertThat(windows.fourth(0).mean(2)).isCloseTo((768 + 999) / 2.0, within(1e-9));
    assertThat(windows.fourth(1).mean(2)).isCloseTo((528 + 767) / 2.0, within(1e-9));
    assertThat(windows.fourth(0).images(2)).isEqualTo(232);
    assertThat(windows.fourth(0).images(1)).isZero();
    // The variance of 232 consecutive whole numbers is 232 · 233 / 12.
    assertThat(windows.fourth(0).varianceOfMean(2)).isCloseTo(233 / 12.0, within(1e-6));
  }

  /* --- samples --- */

  @Test
  void examine_imagesOfTheSameKind_findsNothing() {
    TrainingDoctor.Diagnosis diagnosis =
        ddpm.trainingDoctor().examine(images(5, 60), images(6, 80));

    assertThat(diagnosis.concerns()).isEmpty();
    assertThat(diagnosis.findings())
        .extracting(TrainingDoctor.Finding::subject)
        .containsExactly("clipping", "colour, channel 0", "copying");
    assertThat(finding(diagnosis, "clipping"))
        .hasToString(
            "  clipping: 0.0 % of the values lie at the ends of the data range, of the training"
                + " images 0.0 %; as the data");
  }

  @Test
  void examine_brighterImages_drift() {
    TrainingDoctor.Diagnosis diagnosis =
        ddpm.trainingDoctor().examine(images(5, 60).add(0.2), images(6, 80));

    assertThat(diagnosis.concerns())
        .extracting(TrainingDoctor.Finding::subject)
        .containsExactly("colour, channel 0");
    assertThat(finding(diagnosis, "colour, channel 0").figures())
        .matches(
            "mean 0\\.\\d+ beside -?\\d\\.\\S+ of the data \\(\\+\\d+\\.\\d standard errors\\),"
                + " contrast [01]\\.\\d\\d of the data's");
    assertThat(finding(diagnosis, "colour, channel 0").advice()).startsWith("drifts: ");
  }

  @Test
  void examine_oneChannelOfThree_isNamed() {
    NDArray three = images(5, 60).repeat(1, 3);
    NDArray real = images(6, 80).repeat(1, 3);
    three.set(new NDIndex(":, 1"), three.get(":, 1").sub(0.2));

    assertThat(ddpm.trainingDoctor().examine(three, real).concerns())
        .extracting(TrainingDoctor.Finding::subject)
        .containsExactly("colour, channel 1");
  }

  @Test
  void examine_contrast_washedOutAndHarsh() {
    NDArray real = images(6, 80);

    assertThat(
            finding(
                    ddpm.trainingDoctor().examine(images(5, 60).mul(0.7), real),
                    "colour, channel 0")
                .advice())
        .isEqualTo("washed out: train longer, or draw with more steps");
    assertThat(
            finding(
                    ddpm.trainingDoctor().examine(images(5, 60).mul(1.4), real),
                    "colour, channel 0")
                .advice())
        .isEqualTo("too harsh: weaken the guidance, or draw with more steps");
  }

  @Test
  void examine_saturatedImages_areClipped() {
    TrainingDoctor.Diagnosis diagnosis =
        ddpm.trainingDoctor().examine(images(5, 60).mul(6).clip(-1, 1), images(6, 80));

    assertThat(finding(diagnosis, "clipping").concern()).isTrue();
    assertThat(finding(diagnosis, "clipping").figures())
        .matches(
            "5\\d\\.\\d % of the values lie at the ends of the data range, of the training images"
                + " 0\\.0 %");
  }

  @Test
  void examine_copiesWithALittleNoise_areFound() {
    NDArray real = images(6, 80);
    NDArray copies = real.get("0:60").add(images(7, 60).mul(0.1));

    TrainingDoctor.Finding finding =
        finding(ddpm.trainingDoctor().examine(copies, real), "copying");

    assertThat(finding.concern()).isTrue();
    assertThat(finding.figures())
        .matches(
            "the nearest training image is 0\\.1\\d+ away, the median of 60; between training"
                + " images 1\\.\\d+, the median of 80 \\(ratio 0\\.1\\d\\)");
  }

  /**
   * Training images that repeat are 0 apart, and copies of them 0 away: 0 is not below half of 0.
   */
  @Test
  void examine_exactCopies_areFound() {
    NDArray real = images(6, 40);
    NDArray twice = real.concat(real);

    for (NDArray training : List.of(real, twice)) {
      TrainingDoctor.Finding finding =
          finding(ddpm.trainingDoctor().examine(real.get("0:20"), training), "copying");
      assertThat(finding.concern()).isTrue();
      assertThat(finding.advice()).startsWith("the network repeats training images: ");
      assertThat(finding.figures())
          .doesNotContain("NaN")
          .startsWith("the nearest training image is 0.000 away");
    }
    assertThat(finding(ddpm.trainingDoctor().examine(images(5, 20), twice), "copying").figures())
        .endsWith("; between training images 0.000, the median of 80");
  }

  @Test
  void examine_constantChannel_hasNumbers() {
    NDArray black = images(6, 40).mul(0).sub(0.5);
    TrainingDoctor doctor = ddpm.trainingDoctor();

    assertThat(finding(doctor.examine(black.get("0:20"), black), "colour, channel 0"))
        .hasToString(
            "  colour, channel 0: mean -0.5000 beside -0.5000 of the data, deviation 0.000 where"
                + " the data has none; as the data");
    assertThat(finding(doctor.examine(black.add(0.25), black), "colour, channel 0").toString())
        .startsWith(
            "! colour, channel 0: mean -0.2500 beside -0.5000 of the data, deviation 0.000 where"
                + " the data has none; drifts: ");
    assertThat(
            finding(doctor.examine(black.add(images(5, 40)), black), "colour, channel 0").advice())
        .isEqualTo("too harsh: weaken the guidance, or draw with more steps");
    assertThat(
            finding(doctor.examine(black, images(5, 40).sub(0.5)), "colour, channel 0").figures())
        .endsWith(", contrast 0.00 of the data's");
  }

  /** Every timestep, of schedules whose timesteps four divides and of others. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 7, 100, 1000})
  void quarter_ofEachTimestep_isThatOfTheSchedule(int timesteps) {
    for (Schedule schedule : List.of(Schedules.linear(timesteps), Schedules.cosine(timesteps))) {
      TrainingDoctor doctor =
          new TrainingDoctor(
              new Diffusion(schedule, Prediction.EPSILON, Variance.FIXED_LARGE, DataRange.DEFAULT));
      for (int t = 0; t < timesteps; t++) {
        int expected = 0;
        for (int q = 1; q < 4; q++) {
          expected += t >= q * timesteps / 4 ? 1 : 0;
        }
        assertThat(doctor.quarter(Level.of(schedule, t))).as("of %d", t).isEqualTo(expected);
      }
    }
  }

  /**
   * Between two timesteps a quarter ends where the ratios are as far from one as from the other.
   */
  @Test
  void quarter_betweenTimesteps_endsInTheMiddle() {
    Schedule schedule = ddpm.schedule();
    TrainingDoctor doctor = ddpm.trainingDoctor();
    for (int q = 1; q < 4; q++) {
      int t = q * TIMESTEPS / 4;
      double middle =
          Math.sqrt(Level.of(schedule, t - 1).sigma()) * Math.sqrt(Level.of(schedule, t).sigma());
      assertThat(doctor.quarter(Level.ofSigma(schedule, middle * (1 - 1e-9)))).isEqualTo(q - 1);
      assertThat(doctor.quarter(Level.ofSigma(schedule, middle * (1 + 1e-9)))).isEqualTo(q);
    }
  }

  @Test
  void examine_badImages_areRefused() {
    TrainingDoctor doctor = ddpm.trainingDoctor();

    assertThatIllegalArgumentException()
        .isThrownBy(() -> doctor.examine(images(5, 4), images(5, 4).repeat(1, 3)))
        .withMessage(
            "samples and training images must have shapes (N, C, H, W) and (M, C, H, W), but had (4,"
                + " 1, 4, 4) and (4, 3, 4, 4)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> doctor.examine(images(5, 1), images(5, 4)))
        .withMessage("samples must be at least 2 for an examination, but were 1; make more");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> doctor.examine(images(5, 2).mul(Float.NaN), images(5, 4)))
        .withMessageStartingWith("samples must be finite, but feature 0 of image 0 was NaN");
  }
}
