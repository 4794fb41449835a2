package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.util.Progress;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.model.WithVariance;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Against closed forms, against improved-diffusion's numbers, and against itself.
 *
 * <p>For data N(0, s²) the optimal denoiser is known, and each L_t is quadratic in (x_0, ε). So an
 * image of four values and a noise that have the moments of the two Gaussians exactly give the
 * expectation itself.
 */
class BitsPerDimTest {

  private static final double DATA_VARIANCE = 0.25;

  /** Mean 0, variance 1 and no correlation with the image below. */
  private static final double[] NOISE = {1, -1, 1, -1};

  private static final double[] IMAGE = {0.5, 0.5, -0.5, -0.5};

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /* ---------------- Closed forms ---------------- */

  @ParameterizedTest
  @CsvSource({"FIXED_SMALL, 6.302436875928334", "FIXED_LARGE, 5.6456410417709355"})
  void of_gaussianData_isTheExpectation(Variance variance, double expected) {
    BitsPerDimResult result = exact(gaussian(variance).bitsPerDim()).of(image(1));

    double terms = result.rate().value() - result.prior().value();
    assertThat(terms).as("sum of L_t, t >= 1").isCloseTo(expected, within(1e-9));
    if (variance == Variance.FIXED_LARGE) {
      assertThat(termsOfFixedLarge(1000)).isCloseTo(expected, within(1e-9));
    }
    assertThat(result.total().value())
        .isCloseTo(result.rate().value() + result.decoder().value(), within(1e-12));
    assertThat(result.images()).isOne();
    Schedule schedule = Schedules.linear(1000);
    double alphaBar = schedule.alphaBar(999);
    assertThat(result.prior().value())
        .isCloseTo(
            (alphaBar * DATA_VARIANCE - alphaBar - Math.log1p(-alphaBar)) / 2 / Math.log(2),
            within(1e-15));
  }

  /** The sum of the divergences was worked out apart, by the rules of joint Gaussians. */
  @ParameterizedTest
  @CsvSource({
    "1, FIXED_SMALL, 10.996454122852365",
    "1, FIXED_LARGE, 8.965357474022339",
    "3, FIXED_SMALL, 9.393896982514546",
    "3, FIXED_LARGE, 7.381046205737818"
  })
  void of_flow_isTheExpectation(double shift, Variance variance, double expected) {
    DDPM flow =
        DDPM.builder()
            .schedule(Schedules.flow(1000, shift))
            .prediction(Prediction.FLOW)
            .variance(variance)
            .denoiser(optimalFlow(DATA_VARIANCE))
            .build();
    BitsPerDimResult result = exact(flow.bitsPerDim()).of(image(1));
    assertThat(result.prior().value()).isZero();
    assertThat(result.rate().value()).isCloseTo(expected, within(1e-9));
  }

  /** Each step: the error of the optimal estimate, and what was sent before. */
  @Test
  void steps_gaussianData_rateAndDistortionAreExact() {
    BitsPerDimResult result = exact(gaussian(Variance.FIXED_SMALL).bitsPerDim()).of(image(1));
    Schedule schedule = Schedules.linear(1000);
    double rate = result.prior().value();
    assertThat(result.steps()).hasSize(1000);
    for (int i = 0; i < 1000; i++) {
      BitsPerDimResult.Step step = result.steps().get(i);
      int t = 999 - i;
      double error =
          DATA_VARIANCE
              * (1 - schedule.alphaBar(t))
              / (schedule.alphaBar(t) * DATA_VARIANCE + 1 - schedule.alphaBar(t));
      assertThat(step.firstTimestep()).isEqualTo(t);
      assertThat(step.lastTimestep()).isEqualTo(t);
      assertThat(step.rate()).isCloseTo(rate, within(1e-12));
      assertThat(step.distortion())
          .as("distortion at %d", t)
          .isCloseTo(127.5 * Math.sqrt(error), within(1e-9));
      if (t > 0) {
        double factor = schedule.posteriorMeanX0(t);
        assertThat(step.bits().value())
            .isCloseTo(
                factor * factor * error / schedule.posteriorVariance(t) / 2 / Math.log(2),
                within(1e-12));
      }
      rate += step.bits().value();
    }
    assertThat(rate).isCloseTo(result.total().value(), within(1e-12));
  }

  /** v = −1 and 1 are the fixed variances; what LEARNED is told outright is too. */
  @Test
  void of_learnedVariances_asTheFixedOnesTheyStandFor() {
    double small = terms(small(Variance.FIXED_SMALL, optimal(DATA_VARIANCE)));
    double large = terms(small(Variance.FIXED_LARGE, optimal(DATA_VARIANCE)));
    Schedule schedule = Schedules.linear(100);
    Denoiser optimal = optimal(DATA_VARIANCE);

    assertThat(terms(learned(Variance.LEARNED_RANGE, optimal, t -> -1)))
        .isCloseTo(small, within(1e-9));
    assertThat(terms(learned(Variance.LEARNED_RANGE, optimal, t -> 1)))
        .isCloseTo(large, within(1e-9));
    assertThat(
            terms(
                learned(
                    Variance.LEARNED, optimal, t -> Variance.FIXED_LARGE.logVariance(schedule, t))))
        .isCloseTo(large, within(1e-9));
    // the divergence is convex in ln σ²: between the two it lies below the line
    assertThat(terms(learned(Variance.LEARNED_RANGE, optimal, t -> 0.8)))
        .isLessThan(0.1 * small + 0.9 * large - 1e-3);
  }

  /** Real data and noise: the expectation lies within the standard errors. */
  @Test
  void of_seededNoise_expectationWithinStandardError() {
    Random random = new Random(5);
    double[] values = random.doubles(600).map(u -> random.nextGaussian() / 2).toArray();
    BitsPerDimResult result =
        DDPM.builder()
            .timesteps(100)
            .variance(Variance.FIXED_LARGE)
            .dataRange(-4, 4)
            .denoiser(optimal(DATA_VARIANCE))
            .build()
            .bitsPerDim()
            .clip(false)
            .seed(3)
            .batchSize(600)
            .of(manager.create(values, new Shape(600, 1, 1, 1)));
    BitsPerDimResult.Mean rate = result.rate();
    assertThat(rate.standardError()).isBetween(1e-4, 0.1);
    assertThat(rate.value() - result.prior().value())
        .isCloseTo(termsOfFixedLarge(100), within(4 * rate.standardError()));
    assertThat(result.seed()).hasValue(3);
  }

  /** Σ KL(N(μ̃, β̃) ‖ N(μ_θ, β)) over t ≥ 1, of the optimal denoiser, in bits. */
  private static double termsOfFixedLarge(int timesteps) {
    Schedule schedule = Schedules.linear(timesteps);
    double sum = 0;
    for (int t = 1; t < timesteps; t++) {
      double noise = 1 - schedule.alphaBar(t);
      double error = DATA_VARIANCE * noise / (schedule.alphaBar(t) * DATA_VARIANCE + noise);
      double factor = schedule.posteriorMeanX0(t);
      double ratio = schedule.posteriorVariance(t) / schedule.beta(t);
      sum += (ratio + factor * factor * error / schedule.beta(t) - 1 - Math.log(ratio)) / 2;
    }
    return sum / Math.log(2);
  }

  /** The terms depend on t alone here, so that all that varies is which timesteps are drawn. */
  @ParameterizedTest
  @ValueSource(ints = {2, 5, 20})
  void timesteps_some_estimateIsUnbiasedAndItsErrorKnown(int calls) {
    BitsPerDimResult all = exact(small().bitsPerDim()).of(image(1));
    List<Double> distances = new ArrayList<>();
    for (int seed = 0; seed < 40; seed++) {
      BitsPerDimResult some =
          exact(small().bitsPerDim()).timesteps(calls).seed(seed).batchSize(100).of(image(100));
      assertThat(some.steps()).hasSize(calls);
      assertThat(some.decoder().value()).isCloseTo(all.decoder().value(), within(1e-9));
      distances.add((some.total().value() - all.total().value()) / some.total().standardError());
    }
    double mean = distances.stream().mapToDouble(d -> d).average().orElseThrow();
    double square = distances.stream().mapToDouble(d -> d * d).average().orElseThrow();
    assertThat(mean).as("bias in standard errors").isCloseTo(0, within(4 / Math.sqrt(40)));
    assertThat(square).as("variance in those told").isBetween(0.4, 2.0);
  }

  @Test
  void timesteps_all_asWithout() {
    BitsPerDimResult without = exact(small().bitsPerDim()).of(image(3));
    BitsPerDimResult all = exact(small().bitsPerDim()).timesteps(100).of(image(3));
    assertThat(all.total()).isEqualTo(without.total());
    assertThat(all.steps()).isEqualTo(without.steps());
  }

  @ParameterizedTest
  @CsvSource({"2, 2", "10, 3", "100, 2", "100, 99", "1000, 50", "1000, 700"})
  void ranges_anyNumber_coverEveryTimestepOnce(int timesteps, int count) {
    TimestepRanges ranges = TimestepRanges.widening(timesteps, count);
    assertThat(ranges.count()).isEqualTo(count);
    assertThat(ranges.first(0)).isZero();
    assertThat(ranges.last(0)).isZero();
    for (int i = 1; i < count; i++) {
      assertThat(ranges.first(i)).isEqualTo(ranges.last(i - 1) + 1);
      assertThat(ranges.size(i)).isPositive();
    }
    assertThat(ranges.last(count - 1)).isEqualTo(timesteps - 1);
  }

  /* ---------------- improved-diffusion ---------------- */

  /** Its bits of single steps, of each kind of variance, with x̂_0 clipped and not. */
  @ParameterizedTest
  @CsvSource({
    "FIXED_SMALL, true",
    "FIXED_LARGE, false",
    "LEARNED_RANGE, true",
    "LEARNED_RANGE, false",
    "LEARNED, false",
  })
  void steps_goldenNumbers_agree(Variance variance, boolean clip) {
    Golden inputs = Golden.load("ddpm_steps.json").at("inputs");
    Golden golden = Golden.load("improved_steps.json");
    double[] noise = inputs.data("noise");
    double[] output = inputs.data("model_output");
    double[] v = inputs.data("learned_v");
    int size = noise.length / 2;
    BitsPerDimResult result =
        DDPM.builder()
            .variance(variance)
            .denoiser(
                WithVariance.where(
                    variance.isLearned(),
                    (x, levels, condition) -> {
                      NDArray says = x.getManager().create(output, x.getShape());
                      return variance.isLearned()
                          ? says.concat(x.getManager().create(v, x.getShape()), 1)
                          : says;
                    }))
            .build()
            .bitsPerDim()
            .dataType(DataType.FLOAT64)
            .approximateIntegral()
            .clip(clip)
            .noise(
                (image, draw, target) ->
                    System.arraycopy(noise, (int) image * size, target, 0, size))
            .of(inputs.array(manager, DataType.FLOAT64, "x0"));
    int compared = 0;
    for (int t : new int[] {0, 1, 500, 999}) {
      String key =
          String.format(
              Locale.ROOT, "linear|%s|EPSILON|clip=%s|t=%d", variance, clip ? "True" : "False", t);
      if (golden.has(key)) {
        double[] each = golden.data(key, "vb_bpd");
        double mean = (each[0] + each[1]) / 2;
        double error = Math.abs(each[0] - each[1]) / 2;
        BitsPerDimResult.Mean bits = result.steps().get(999 - t).bits();
        assertThat(bits.value()).as(key).isCloseTo(mean, within(1e-9 * (1 + mean)));
        assertThat(bits.standardError()).as(key).isCloseTo(error, within(1e-9 * (1 + mean)));
        compared++;
      }
    }
    assertThat(compared).as("golden steps of %s, clip %s", variance, clip).isPositive();
  }

  /* ---------------- The same whatever the way ---------------- */

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 7, 64})
  void of_anyBatchSize_theSame(int batchSize) {
    try (TinyDenoiser network = new TinyDenoiser(4, 0, 1)) {
      NDArray images = pictures(7, 4);
      DDPM ddpm = DDPM.builder().timesteps(20).denoiser(network).build();
      for (int calls : new int[] {20, 6}) {
        BitsPerDimResult whole = ddpm.bitsPerDim().timesteps(calls).seed(1).batchSize(7).of(images);
        List<Long> heard = new ArrayList<>();
        BitsPerDimResult parts =
            ddpm.bitsPerDim()
                .timesteps(calls)
                .seed(1)
                .batchSize(batchSize)
                .listener(result -> heard.add(result.images()))
                .of(new ArrayDataset.Builder().setData(images).setSampling(7, true, true).build());
        requireSame(parts, whole, 1e-5);
        assertThat(heard).hasSize((7 + batchSize - 1) / batchSize).endsWith(7L);
      }
    }
  }

  @Test
  void merge_parts_theWhole() {
    try (TinyDenoiser network = new TinyDenoiser(4, 0, 1)) {
      NDArray images = pictures(9, 4);
      DDPM ddpm = DDPM.builder().timesteps(20).denoiser(network).build();
      BitsPerDimResult whole = ddpm.bitsPerDim().timesteps(7).seed(2).of(images);
      BitsPerDimResult first = ddpm.bitsPerDim().timesteps(7).seed(2).images(4).of(images);
      BitsPerDimResult rest =
          ddpm.bitsPerDim().timesteps(7).seed(2).firstImage(4).of(images.get("4:"));
      assertThat(first.images()).isEqualTo(4);
      requireSame(first.merge(rest), whole, 1e-5);
      requireSame(rest.merge(first), whole, 1e-5);
      assertThat(first.images()).as("merging changes neither").isEqualTo(4);
      assertThatThrownBy(() -> whole.merge(ddpm.bitsPerDim().seed(2).of(images)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "results can be merged if they visited the timesteps alike, but one has 7 ranges of 20"
                  + " timesteps and the other 20 ranges of 20 timesteps; evaluate both with the same"
                  + " model and timesteps(...)");
    }
  }

  /** A dataset with a batch size of its own, of which only the first images are wanted. */
  @Test
  void images_streamingDataset_thoseAlone() {
    NDArray images = pictures(6, 4);
    Dataset stream = new Stream(images, 4);
    try (TinyDenoiser network = new TinyDenoiser(4, 0, 1)) {
      DDPM ddpm = DDPM.builder().timesteps(5).denoiser(network).build();
      for (int count : new int[] {3, 4, 5, 6, 99}) {
        BitsPerDimResult some = ddpm.bitsPerDim().seed(1).images(count).of(stream);
        requireSame(some, ddpm.bitsPerDim().seed(1).images(count).of(images), 1e-5);
        assertThat(some.images()).isEqualTo(Math.min(6, count));
      }
    }
  }

  /** Where the indices of a dataset must be, wherever the network is. */
  @Test
  void of_dataset_isReadOnTheCpu() {
    List<Device> devices = new ArrayList<>();
    DDPM ddpm = DDPM.builder().timesteps(2).denoiser(new Elsewhere(Device.gpu())).build();
    assertThatThrownBy(() -> ddpm.bitsPerDim().of(new Reader(devices)))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessage("the dataset could not be read: only asked where");
    assertThat(devices).containsExactly(Device.cpu());
  }

  @Test
  void of_otherSeed_otherNoise() {
    try (TinyDenoiser network = new TinyDenoiser(4, 0, 1)) {
      NDArray images = pictures(2, 4);
      DDPM ddpm = DDPM.builder().timesteps(5).denoiser(network).build();
      assertThat(ddpm.bitsPerDim().seed(1).of(images).total())
          .isEqualTo(ddpm.bitsPerDim().seed(1).of(images).total())
          .isNotEqualTo(ddpm.bitsPerDim().seed(2).of(images).total());
      BitsPerDimResult drawn = ddpm.bitsPerDim().of(images);
      assertThat(ddpm.bitsPerDim().seed(drawn.seed().orElseThrow()).of(images).total())
          .isEqualTo(drawn.total());
      assertThat(ddpm.bitsPerDim().noise(NoiseSource.seeded(1)).of(images).seed()).isEmpty();
    }
  }

  /** In another data range the same pictures take the same bits. */
  @Test
  void of_otherDataRange_decoderAndDistortionTheSame() {
    Denoiser blind = (x, levels, condition) -> x.zerosLike().add(0.25);
    NDArray images = pictures(3, 4);
    BitsPerDimResult.Step one = lastStep(-1, 1, blind, images);
    BitsPerDimResult.Step other =
        lastStep(0, 1, (x, levels, condition) -> x.zerosLike().add(0.625), images.add(1).div(2));
    assertThat(other.distortion()).isCloseTo(one.distortion(), within(1e-4));
  }

  private static BitsPerDimResult.Step lastStep(
      double min, double max, Denoiser denoiser, NDArray images) {
    return DDPM.builder()
        .timesteps(5)
        .prediction(Prediction.X0)
        .dataRange(min, max)
        .denoiser(denoiser)
        .build()
        .bitsPerDim()
        .seed(1)
        .of(images)
        .steps()
        .get(4);
  }

  /** The fewer levels, the fewer bits: a model that knows the picture needs none. */
  @Test
  void levels_few_costLess() {
    NDArray black = manager.full(new Shape(2, 1, 2, 2), -1f);
    DDPM ddpm =
        DDPM.builder()
            .prediction(Prediction.X0)
            .timesteps(5)
            .denoiser((x, levels, condition) -> x.zerosLike().sub(0.97))
            .build();
    double fine = ddpm.bitsPerDim().seed(1).of(black).decoder().value();
    double coarse = ddpm.bitsPerDim().seed(1).levels(17).of(black).decoder().value();
    assertThat(coarse).isLessThan(fine).isGreaterThanOrEqualTo(0);
  }

  /* ---------------- Conditions ---------------- */

  @Test
  void of_networkWithClasses_labelsAreTheClasses() {
    List<Integer> asked = new ArrayList<>();
    DDPM ddpm = DDPM.builder().timesteps(2).denoiser(new Classes(asked)).build();
    NDArray images = pictures(3, 4);
    Dataset labelled =
        new ArrayDataset.Builder()
            .setData(images)
            .optLabels(manager.create(new long[] {5, 0, 9}))
            .setSampling(2, true)
            .build();
    ddpm.bitsPerDim().seed(1).batchSize(2).of(labelled);
    assertThat(asked).containsExactly(5, 0, 5, 0, 9, 9);

    asked.clear();
    ddpm.bitsPerDim()
        .seed(1)
        .condition((pictures, labels) -> Condition.labels(labels.head().add(1)))
        .of(labelled);
    assertThat(asked).containsExactly(6, 1, 10, 6, 1, 10);

    asked.clear();
    ddpm.bitsPerDim().seed(1).of(images);
    assertThat(asked).as("without labels").isEmpty();
  }

  @Test
  void condition_arraysThatItMakes_goWithTheirBatch() {
    NDArray images = pictures(6, 4);
    Set<NDManager> owners = new HashSet<>();
    int before = manager.getManagedArrays().size();
    small()
        .bitsPerDim()
        .timesteps(2)
        .batchSize(2)
        .condition(
            (pictures, labels) -> {
              NDArray made = pictures.mul(2);
              owners.add(made.getManager());
              return Condition.images(made);
            })
        .of(images);
    assertThat(owners).hasSize(3).noneMatch(NDManager::isOpen);
    assertThat(manager.getManagedArrays()).hasSize(before);
    assertThat(images.isReleased()).isFalse();
  }

  @Test
  void condition_ofOtherCount_isRefused() {
    refused(
        () -> small().bitsPerDim().condition((images, labels) -> Condition.labels(1)).of(image(3)),
        "the condition of a batch of 3 images must be of as many, but was of 1");
  }

  /* ---------------- Interruption ---------------- */

  @Test
  void of_interrupted_stopsAndLeavesNothingBehind() {
    int before = NativeResources.ofSystem();
    try {
      assertThatThrownBy(
              () ->
                  small()
                      .bitsPerDim()
                      .batchSize(2)
                      .listener(result -> Thread.currentThread().interrupt())
                      .of(image(4)))
          .isInstanceOf(CancellationException.class)
          .hasMessage(
              "the evaluation was interrupted after 2 images; those that were done are lost, unless"
                  + " a listener has kept their result");
      assertThat(Thread.currentThread().isInterrupted()).isTrue();
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
    assertThat(NativeResources.ofSystem()).isEqualTo(before);
  }

  /* ---------------- Bad input ---------------- */

  @Test
  void settings_outOfRange_areRefused() {
    BitsPerDim run = small().bitsPerDim();
    refused(() -> run.batchSize(0), "batchSize must be at least 1, but was 0");
    refused(() -> run.images(0), "images must be at least 1, but was 0");
    refused(() -> run.firstImage(-1), "firstImage must be at least 0, but was -1");
    refused(
        () -> run.levels(1), "levels must be at least 2, but was 1; pictures of 8 bits have 256");
    for (int timesteps : new int[] {1, 101}) {
      refused(
          () -> run.timesteps(timesteps),
          "timesteps must be from 2 to the schedule's 100, but was "
              + timesteps
              + "; leave it out to visit all");
    }
    refused(
        () -> run.dataType(DataType.INT32),
        "dataType of an evaluation must be FLOAT32 or FLOAT64, but was int32");
  }

  @Test
  void of_badImages_areRefused() {
    BitsPerDim run = small().bitsPerDim();
    refused(
        () -> run.of(manager.ones(new Shape(2, 1, 2, 2), DataType.INT32)),
        "the batch of images from number 0 on must be float32 or float64, but was int32; convert"
            + " it and scale it to [-1.0, 1.0]");
    refused(
        () -> run.of(manager.ones(new Shape(2, 4))),
        "the batch of images from number 0 on must have shape (N, C, H, W), but had (2, 4)");
    refused(
        () -> run.of(manager.ones(new Shape(2, 1, 2, 2)).mul(2)),
        "the batch of images from number 0 on must lie in the data range [-1.0, 1.0], but holds"
            + " values from 2.0 to 2.0; scale them to the range, or set dataRange(min, max) when"
            + " building DDPM");
    refused(
        () -> run.of(manager.full(new Shape(2, 1, 2, 2), Float.NaN)),
        "the batch of images from number 0 on must be finite, but holds NaN or infinity; look for"
            + " broken images");
    refused(
        () -> run.of(manager.create(new Shape(0, 1, 2, 2))),
        "images must have shape (N, C, H, W) with at least one image, but had (0, 1, 2, 2)");
    refused(
        () -> run.of(new Stream(manager.create(new Shape(0, 1, 2, 2)), 1)),
        "the dataset is empty; an evaluation needs at least one image");
    try (TinyDenoiser network = new TinyDenoiser(8, 0, 1)) {
      refused(
          () -> DDPM.builder().denoiser(network).build().bitsPerDim().of(pictures(2, 4)),
          "the batch of images from number 0 on must have shape (N, C, H, W) with (C, H, W) = (1, 8,"
              + " 8), but had (2, 1, 4, 4)");
    }
  }

  @Test
  void of_imagesOf0To1_areRefusedUnlessTheyAreMeant() {
    BitsPerDim run = small().bitsPerDim();
    NDArray many = manager.arange(64).toType(DataType.FLOAT32, false).div(63).reshape(16, 1, 2, 2);
    refused(
        () -> run.of(many),
        "images must fill the data range [-1.0, 1.0], but the first hold values from 0.0 to 1.0,"
            + " which looks like 0..1; map them by images.mul(2).sub(1), or call anyRange() on the"
            + " evaluation if they are meant");
    assertThat(run.of(many.get("0:15")).images()).isEqualTo(15); // few may be bright by right
    assertThat(run.of(many.mul(2).sub(1)).images()).isEqualTo(16);
    assertThat(run.anyRange().of(many).images()).isEqualTo(16);
  }

  @Test
  void of_badDenoiser_isRefused() {
    assertThatThrownBy(() -> DDPM.builder().build().bitsPerDim())
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "bitsPerDim needs a denoiser, but the model has none; set denoiser(...) when building"
                + " DDPM");
    assertThatThrownBy(() -> of((x, levels, condition) -> x.mul(Float.NaN), Variance.FIXED_SMALL))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the bits of image 0 at timestep 9 are NaN; look at what the denoiser returns there");
    assertThatThrownBy(() -> of(new WithVariance((x, levels, condition) -> x), Variance.LEARNED))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the denoiser must return the shape and type of its input with twice the channels, (1, 2,"
                + " 2, 2) float32, but returned (1, 1, 2, 2) float32");
    assertThatThrownBy(() -> of((x, levels, condition) -> x, Variance.LEARNED))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "variance LEARNED is the network's to say, but the network predicts none; build it with"
                + " UNet.builder().learnedVariance(), let your own say so by predictsVariance(), or"
                + " build DDPM with Variance.FIXED_LARGE");
    assertThatThrownBy(() -> of((x, levels, condition) -> x.concat(x, 1), Variance.FIXED_SMALL))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the denoiser must return the shape and type of its input, (1, 1, 2, 2) float32, but"
                + " returned (1, 2, 2, 2) float32");
  }

  /** Published networks with the variance in their outputs are used with fixed ones. */
  @Test
  void of_variancePredictedButFixed_isThatOfThePredictionAlone() {
    Denoiser plain = optimal(DATA_VARIANCE);
    Denoiser more =
        new WithVariance(
            (x, levels, condition) -> {
              NDArray says = plain.predict(x, levels, condition);
              return says.concat(says.mul(7), 1);
            });
    DDPM.Builder builder = DDPM.builder().timesteps(10).variance(Variance.FIXED_SMALL);
    assertThat(terms(builder.denoiser(more).build()))
        .isEqualTo(terms(builder.denoiser(plain).build()));
  }

  /** L_0 of 256 levels was worked out apart, with Python's erf. */
  @Test
  void toString_hasTheFigures() {
    BitsPerDim run = exact(gaussian(Variance.FIXED_SMALL).bitsPerDim()).levels(256);
    BitsPerDimResult result = run.of(image(2));
    assertThat(result.decoder().value()).isCloseTo(2.5099468610, within(1e-9));
    assertThat(result)
        .hasToString(
            "8.8124 ± 0.0000 bits/dim over 2 images (rate 6.3024 ± 0.0000, of which the prior 7.3e-06;"
                + " L_0 2.5099 ± 0.0000)");
  }

  /* ---------------- Helpers ---------------- */

  private static void refused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  private void of(Denoiser denoiser, Variance variance) {
    DDPM.builder()
        .timesteps(10)
        .variance(variance)
        .denoiser(denoiser)
        .build()
        .bitsPerDim()
        .of(image(1));
  }

  private static void requireSame(
      BitsPerDimResult actual, BitsPerDimResult expected, double tolerance) {
    assertThat(actual.images()).isEqualTo(expected.images());
    requireSame(actual.total(), expected.total(), tolerance);
    requireSame(actual.rate(), expected.rate(), tolerance);
    requireSame(actual.prior(), expected.prior(), 1e-12);
    for (int i = 0; i < expected.steps().size(); i++) {
      BitsPerDimResult.Step step = actual.steps().get(i);
      BitsPerDimResult.Step other = expected.steps().get(i);
      assertThat(step.lastTimestep()).isEqualTo(other.lastTimestep());
      requireSame(step.bits(), other.bits(), tolerance);
      assertThat(step.rate()).isCloseTo(other.rate(), within(tolerance * (1 + other.rate())));
      assertThat(step.distortion())
          .isCloseTo(other.distortion(), within(tolerance * (1 + other.distortion())));
    }
  }

  private static void requireSame(
      BitsPerDimResult.Mean actual, BitsPerDimResult.Mean expected, double tolerance) {
    assertThat(actual.value())
        .isCloseTo(expected.value(), within(tolerance * (1 + expected.value())));
    assertThat(actual.standardError())
        .isCloseTo(expected.standardError(), within(tolerance * (1 + expected.standardError())));
  }

  /** With the moments of the Gaussians, in float64. */
  private static BitsPerDim exact(BitsPerDim run) {
    return run.clip(false)
        .levels(5)
        .dataType(DataType.FLOAT64)
        .noise((image, draw, target) -> System.arraycopy(NOISE, 0, target, 0, NOISE.length));
  }

  private static double terms(DDPM ddpm) {
    try (NDManager manager = NDManager.newBaseManager()) {
      BitsPerDimResult result =
          exact(ddpm.bitsPerDim()).of(manager.create(IMAGE, new Shape(1, 1, 2, 2)));
      return result.rate().value() - result.prior().value();
    }
  }

  private NDArray image(int count) {
    double[] all = new double[count * IMAGE.length];
    Arrays.setAll(all, i -> IMAGE[i % IMAGE.length]);
    return manager.create(all, new Shape(count, 1, 2, 2));
  }

  private NDArray pictures(int count, int side) {
    Random random = new Random(8);
    float[] values = new float[count * side * side];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextInt(256) / 127.5f - 1;
    }
    return manager.create(values, new Shape(count, 1, side, side));
  }

  private static DDPM gaussian(Variance variance) {
    return DDPM.builder().variance(variance).denoiser(optimal(DATA_VARIANCE)).build();
  }

  private static DDPM small() {
    return DDPM.builder().timesteps(100).denoiser(optimal(DATA_VARIANCE)).build();
  }

  private static DDPM small(Variance variance, Denoiser denoiser) {
    return DDPM.builder().timesteps(100).variance(variance).denoiser(denoiser).build();
  }

  private static DDPM learned(Variance variance, Denoiser mean, IntToDoubleFunction v) {
    return small(
        variance,
        new WithVariance(
            (x, levels, condition) ->
                mean.predict(x, levels, condition)
                    .concat(x.zerosLike().add(v.applyAsDouble((int) levels.timestep(0))), 1)));
  }

  /** ε of the optimal denoiser of N(0, variance). */
  private static Denoiser optimal(double variance) {
    return (x, levels, condition) ->
        x.mul(
            PerImage.column(
                x,
                IntStream.range(0, levels.size())
                    .mapToDouble(
                        i ->
                            levels.noise(i)
                                / (levels.signal(i) * levels.signal(i) * variance
                                    + levels.noise(i) * levels.noise(i)))
                    .toArray()));
  }

  /** The velocity E[ε − x_0 | x], likewise. */
  private static Denoiser optimalFlow(double variance) {
    return (x, levels, condition) ->
        x.mul(
            PerImage.column(
                x,
                IntStream.range(0, levels.size())
                    .mapToDouble(
                        i ->
                            (levels.noise(i) - levels.signal(i) * variance)
                                / (levels.signal(i) * levels.signal(i) * variance
                                    + levels.noise(i) * levels.noise(i)))
                    .toArray()));
  }

  private record Classes(List<Integer> asked) implements Denoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      condition
          .size()
          .ifPresent(
              count -> {
                for (int i = 0; i < count; i++) {
                  asked.add(condition.label(i).getAsInt());
                }
              });
      return x.zerosLike();
    }

    @Override
    public Set<Condition.Kind> conditionKinds() {
      return Set.of(Condition.Kind.LABELS);
    }
  }

  /** A network on a device that need not be there. */
  private record Elsewhere(Device where) implements Denoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      throw new AssertionError("not asked");
    }

    @Override
    public Optional<Device> device() {
      return Optional.of(where);
    }
  }

  /** A dataset that keeps the device that it is to be read to. */
  private record Reader(List<Device> devices) implements Dataset {
    @Override
    public Iterable<Batch> getData(NDManager manager) throws IOException {
      devices.add(manager.getDevice());
      throw new IOException("only asked where");
    }

    @Override
    public void prepare(Progress progress) {}
  }

  /** A dataset that is read in its own order. */
  private record Stream(NDArray images, int batchSize) implements Dataset {
    @Override
    public Iterable<Batch> getData(NDManager manager) {
      List<Batch> batches = new ArrayList<>();
      long count = images.getShape().get(0);
      for (long first = 0; first < count; first += batchSize) {
        long last = Math.min(count, first + batchSize);
        NDManager own = manager.newSubManager();
        NDArray part = images.get(first + ":" + last);
        part.attach(own);
        batches.add(
            new Batch(own, new NDList(part), new NDList(), (int) (last - first), null, null, 0, 0));
      }
      return batches;
    }

    @Override
    public void prepare(Progress progress) {}
  }

  /** One image has no deviation, and so no standard error. */
  @Test
  void toString_ofOneImage_hasNoError() {
    Denoiser zero = (x, levels, condition) -> x.mul(0);
    BitsPerDimResult one;
    try (DDPM ddpm = DDPM.builder().timesteps(3).denoiser(zero).build()) {
      one = ddpm.bitsPerDim().seed(1).of(manager.ones(new Shape(1, 1, 2, 2)));
    }

    assertThat(one.toString()).contains("bits/dim over 1 image (rate ").doesNotContain("NaN", "±");
    assertThat(new BitsPerDimResult.Mean(3.75, 0.021)).hasToString("3.7500 ± 0.0210");
    assertThat(new BitsPerDimResult.Mean(3.75, Double.NaN)).hasToString("3.7500");
  }
}
