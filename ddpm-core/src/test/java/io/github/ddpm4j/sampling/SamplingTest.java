package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.modality.cv.Image;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SamplingTest {

  private static final int SIZE = 8;
  private static final int PIXELS = SIZE * SIZE;
  private static final int TIMESTEPS = 50;

  /** What float rounding may do between batch sizes. */
  private static final double PIXEL_TOLERANCE = 1e-5;

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0.1, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(TIMESTEPS).denoiser(network).build();

  @BeforeEach
  void clearInterrupt() {
    Thread.interrupted();
  }

  @AfterEach
  void close() {
    Thread.interrupted();
    network.close();
    manager.close();
  }

  private double[] pixels(Samples samples) {
    try (samples;
        NDArray array = samples.toNDArray(manager)) {
      return Golden.values(array);
    }
  }

  private static double largestDifference(double[] a, double[] b) {
    assertThat(a).hasSameSizeAs(b);
    return IntStream.range(0, a.length).mapToDouble(i -> Math.abs(a[i] - b[i])).max().orElse(0);
  }

  private static <T> T onWorker(Callable<T> task) throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      return worker.submit(task).get();
    } finally {
      worker.shutdown();
    }
  }

  /* --- settings that replace one another --- */

  @Test
  void clipAndThresholding_theLastCounts() {
    double[] plain = pixels(wide().generate(2));
    double[] thresholded = pixels(wide().dynamicThresholding(0.5, 3).generate(2));
    assertThat(thresholded).isNotEqualTo(plain);
    assertThat(pixels(wide().dynamicThresholding(0.5, 3).clip(true).generate(2))).isEqualTo(plain);
    assertThat(pixels(wide().clip(false).dynamicThresholding(0.5, 3).generate(2)))
        .isEqualTo(thresholded);
    assertThat(pixels(wide().clip(false).generate(2))).isNotIn(plain, thresholded);
  }

  private Sampling wide() {
    return ddpm.sampling().sampler(Samplers.ddim(5)).seed(3);
  }

  @Test
  void seedAndNoise_theLastCounts() {
    double[] three = pixels(wide().generate(2));
    assertThat(pixels(wide().noise((image, draw, z) -> {}).seed(3).generate(2))).isEqualTo(three);
    double[] quiet = pixels(wide().noise((image, draw, z) -> {}).generate(2));
    assertThat(quiet).isNotEqualTo(three);
    NDArray x = manager.ones(new Shape(1, 1, SIZE, SIZE));
    Sampling stepped = wide().sampler(Samplers.ddpm(5));
    double[] first = Golden.values(stepped.step(0, x).x());
    double[] quietStep = Golden.values(stepped.noise((image, draw, z) -> {}).step(0, x).x());
    assertThat(quietStep).isNotEqualTo(first);
    assertThat(Golden.values(stepped.seed(3).step(0, x).x())).isEqualTo(first);
  }

  /** The steps of a loop are those of one run, whose seed is drawn once. */
  @Test
  void step_noSeed_drawsOneForAllSteps() {
    NDArray x = manager.ones(new Shape(1, 1, SIZE, SIZE));
    Sampling stepped = ddpm.sampling().sampler(Samplers.ddpm(5));
    double[] first = Golden.values(stepped.step(0, x).x());
    assertThat(Golden.values(stepped.step(0, x).x())).isEqualTo(first);
    assertThat(Golden.values(ddpm.sampling().sampler(Samplers.ddpm(5)).step(0, x).x()))
        .isNotEqualTo(first);
  }

  /* --- seeds --- */

  static Stream<Sampler> samplers() {
    return Stream.of(
        Samplers.ddpm(),
        Samplers.ddpm(10),
        Samplers.ddim(10),
        Samplers.ddim(10).eta(1),
        Samplers.ddim(10).rawEpsilon(true));
  }

  @ParameterizedTest
  @MethodSource("samplers")
  void generate_sameSeed_samePixelsWhateverTheBatchAndThread(Sampler sampler) throws Exception {
    int count = 7;
    for (boolean clip : new boolean[] {true, false}) {
      double[] expected = null;
      for (int batchSize : new int[] {1, 3, count}) {
        Callable<double[]> run =
            () ->
                pixels(
                    ddpm.sampling()
                        .sampler(sampler)
                        .clip(clip)
                        .seed(42)
                        .batchSize(batchSize)
                        .generate(count));
        for (double[] actual : List.of(run.call(), onWorker(run))) {
          expected = expected == null ? actual : expected;
          assertThat(actual).hasSize(count * PIXELS);
          assertThat(largestDifference(actual, expected))
              .as("largest difference of %s, batch size %d, clip %s", sampler, batchSize, clip)
              .isLessThanOrEqualTo(PIXEL_TOLERANCE);
        }
      }
    }
  }

  @Test
  void generate_sameSeed_asksForTheSameNoiseToTheBit() throws Exception {
    Map<String, double[]> expected = noiseAskedFor(1);
    assertThat(expected).hasSize(7 * TIMESTEPS); // the start, and every step but the last
    for (int batchSize : new int[] {3, 16}) {
      for (Map<String, double[]> actual :
          List.of(noiseAskedFor(batchSize), onWorker(() -> noiseAskedFor(batchSize)))) {
        assertThat(actual.keySet()).isEqualTo(expected.keySet());
        actual.forEach((place, draws) -> assertThat(draws).isEqualTo(expected.get(place)));
      }
    }
  }

  private Map<String, double[]> noiseAskedFor(int batchSize) {
    NoiseSource seeded = NoiseSource.seeded(42);
    Map<String, double[]> draws = new LinkedHashMap<>();
    NoiseSource recording =
        (image, draw, target) -> {
          seeded.normal(image, draw, target);
          draws.put("image " + image + " draw " + draw, target.clone());
        };
    try (Samples samples = ddpm.sampling().noise(recording).batchSize(batchSize).generate(7)) {
      assertThat(samples.seed()).isEmpty();
      return draws;
    }
  }

  @Test
  void generate_otherSeed_otherImages() {
    double[] first = pixels(ddpm.sampling().seed(1).generate(2));
    double[] second = pixels(ddpm.sampling().seed(2).generate(2));
    assertThat(largestDifference(first, second)).isGreaterThan(0.1);
    assertThat(
            largestDifference(
                Arrays.copyOf(first, PIXELS), Arrays.copyOfRange(first, PIXELS, 2 * PIXELS)))
        .as("difference between two images of one run")
        .isGreaterThan(0.1);
  }

  @Test
  void generate_noSeed_drawsOneThatGivesTheImagesAgain() {
    Sampling sampling = ddpm.sampling();
    Samples samples = sampling.generate(3);
    long seed = samples.seed().orElseThrow();
    double[] images = pixels(samples);
    Samples again = ddpm.sampling().seed(seed).generate(3);
    assertThat(again.seed()).hasValue(seed);
    assertThat(pixels(again)).isEqualTo(images);
    Samples other = sampling.generate(3);
    assertThat(other.seed()).isNotEqualTo(samples.seed());
    assertThat(largestDifference(pixels(other), images)).isGreaterThan(0.1);
  }

  @Test
  void generate_moreImages_beginsWithTheSameOnes() {
    double[] five = pixels(ddpm.sampling().seed(9).batchSize(4).generate(5));
    double[] eleven = pixels(ddpm.sampling().seed(9).batchSize(4).generate(11));
    assertThat(largestDifference(Arrays.copyOf(eleven, five.length), five))
        .isLessThanOrEqualTo(PIXEL_TOLERANCE);
  }

  @Test
  void generate_runUsedAgain_givesTheSameImages() {
    Sampling sampling = ddpm.sampling().sampler(Samplers.ddim(5)).seed(3);
    assertThat(pixels(sampling.generate(2))).isEqualTo(pixels(sampling.generate(2)));
  }

  @Test
  void generate_fourRunsAtOnce_giveWhatOneGives() throws Exception {
    Callable<double[]> run = () -> pixels(ddpm.sampling().seed(4).batchSize(2).generate(4));
    double[] expected = run.call();
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      for (Future<double[]> future : threads.invokeAll(List.of(run, run, run, run))) {
        assertThat(largestDifference(future.get(), expected)).isLessThanOrEqualTo(PIXEL_TOLERANCE);
      }
    } finally {
      threads.shutdown();
    }
  }

  /* --- settings --- */

  @Test
  void clip_default_keepsImagesInTheDataRange() {
    DDPM narrow =
        DDPM.builder().timesteps(TIMESTEPS).dataRange(-0.25, 0.5).denoiser(network).build();
    List<Double> estimates = new ArrayList<>();
    Consumer<SamplingRun.Event> watch =
        event -> {
          try (NDArray least = event.predictedX0().min();
              NDArray greatest = event.predictedX0().max()) {
            estimates.add((double) least.getFloat());
            estimates.add((double) greatest.getFloat());
          }
        };
    double[] clipped = pixels(narrow.sampling().seed(1).listener(watch).generate(4));
    assertThat(clipped).contains(-0.25, 0.5);
    assertThat(Arrays.stream(clipped).boxed()).allMatch(v -> v >= -0.25 && v <= 0.5);
    assertThat(estimates).hasSize(2 * TIMESTEPS).allMatch(v -> v >= -0.25 && v <= 0.5);
    double[] raw = pixels(narrow.sampling().seed(1).clip(false).generate(4));
    assertThat(Arrays.stream(raw).boxed()).anyMatch(v -> v < -0.25).anyMatch(v -> v > 0.5);
  }

  @Test
  void dataType_double_computesInDouble() {
    DDPM exact = DDPM.builder().timesteps(TIMESTEPS).denoiser(StandIns.modelG()).build();
    Sampling sampling = exact.sampling().shape(2, 3, 4).seed(1);
    double[] floats = pixels(sampling.generate(2));
    try (Samples samples = sampling.dataType(DataType.FLOAT64).generate(2);
        NDArray array = samples.toNDArray(manager)) {
      assertThat(array.getDataType()).isEqualTo(DataType.FLOAT64);
      assertThat(array.getShape()).isEqualTo(new Shape(2, 2, 3, 4));
      assertThat(largestDifference(array.toDoubleArray(), floats)).isStrictlyBetween(0.0, 1e-4);
    }
  }

  @Test
  void shape_ofTheDenoiser_mayBeRepeated() {
    try (Samples samples =
        ddpm.sampling().shape(1, SIZE, SIZE).sampler(Samplers.ddim(2)).generate(1)) {
      assertThat(samples.size()).isEqualTo(1);
    }
  }

  @Test
  void listener_seesEveryStepOfEveryBatch() {
    List<String> seen = new ArrayList<>();
    List<double[]> last = new ArrayList<>();
    Consumer<SamplingRun.Event> listener =
        event -> {
          seen.add(
              event.firstImage()
                  + " "
                  + event.step()
                  + "/"
                  + event.steps()
                  + " "
                  + event.timestep());
          assertThat(event.x().getShape().slice(1)).isEqualTo(new Shape(1, SIZE, SIZE));
          assertThat(event.predictedX0().getShape()).isEqualTo(event.x().getShape());
          if (event.step() == event.steps() - 1) {
            last.add(Golden.values(event.x()));
          }
        };
    double[] images =
        pixels(
            ddpm.sampling()
                .sampler(Samplers.ddim(3).spacing(TimestepSpacing.LEADING))
                .batchSize(2)
                .seed(1)
                .listener(listener)
                .generate(3));
    assertThat(seen)
        .containsExactly(
            "0 0/3 32.0", "0 1/3 16.0", "0 2/3 0.0", "2 0/3 32.0", "2 1/3 16.0", "2 2/3 0.0");
    assertThat(last.stream().flatMapToDouble(Arrays::stream).toArray()).isEqualTo(images);
  }

  /* --- starting in the middle --- */

  @Test
  void denoise_startsAtItsTimestepAndGoesOnBelow() {
    List<Double> timesteps = new ArrayList<>();
    NDArray xt = manager.ones(new Shape(3, 1, SIZE, SIZE));
    int before = NativeResources.of(manager);
    try (Samples samples =
        ddpm.sampling()
            .sampler(Samplers.ddim(5).spacing(TimestepSpacing.LEADING))
            .seed(1)
            .batchSize(2)
            .listener(event -> timesteps.add(event.timestep()))
            .denoise(xt, 25)) {
      assertThat(samples.size()).isEqualTo(3);
      assertThat(samples.seed()).hasValue(1);
    }
    assertThat(timesteps).containsExactly(25.0, 20.0, 10.0, 0.0, 25.0, 20.0, 10.0, 0.0);
    assertThat(NativeResources.of(manager)).isEqualTo(before);
    assertThat(xt.toFloatArray()).containsOnly(1);
  }

  /** Half of the reverse process and then the other half is the whole. */
  @Test
  void denoise_fromWhatARunStoodAt_givesTheRun() {
    List<NDArray> middle = new ArrayList<>();
    double[] whole =
        pixels(
            ddpm.sampling()
                .sampler(Samplers.ddim(10).spacing(TimestepSpacing.LEADING))
                .seed(1)
                .listener(
                    event -> {
                      if (event.step() == 4) {
                        NDArray copy = event.x().duplicate();
                        copy.attach(manager);
                        middle.add(copy);
                      }
                    })
                .generate(2));
    double[] rest =
        pixels(
            ddpm.sampling()
                .sampler(Samplers.ddim(10).spacing(TimestepSpacing.LEADING))
                .seed(1)
                .denoise(middle.get(0), 20));
    assertThat(largestDifference(rest, whole)).isLessThanOrEqualTo(PIXEL_TOLERANCE);
  }

  @Test
  void denoise_doubles_areTakenInTheTypeOfTheRun() {
    NDArray doubles = manager.ones(new Shape(1, 1, SIZE, SIZE), DataType.FLOAT64);
    NDArray floats = manager.ones(new Shape(1, 1, SIZE, SIZE));
    assertThat(pixels(ddpm.sampling().seed(1).denoise(doubles, 9)))
        .isEqualTo(pixels(ddpm.sampling().seed(1).denoise(floats, 9)));
  }

  /* --- interpolation --- */

  private NDArray picture(double shift) {
    float[] values = new float[PIXELS];
    for (int i = 0; i < PIXELS; i++) {
      values[i] = (float) Math.sin(i * 0.3 + shift);
    }
    return manager.create(values, new Shape(1, SIZE, SIZE));
  }

  @ParameterizedTest
  @MethodSource("samplers")
  void interpolate_ends_areTheEndsNoisedAndDenoised(Sampler sampler) {
    int t = 30;
    NDArray from = picture(0);
    NDArray to = picture(2);
    double[] z = new double[PIXELS];
    NoiseSource.seeded(5).normal(0, 0, z);
    NDArray noise = manager.create(z, new Shape(1, 1, SIZE, SIZE)).toType(DataType.FLOAT32, false);
    int before = NativeResources.of(manager);
    double[] way =
        pixels(
            ddpm.sampling()
                .sampler(sampler)
                .seed(5)
                .batchSize(2)
                .interpolate(from, to, t, 0, 0.5, 1));
    assertThat(NativeResources.of(manager)).isEqualTo(before);
    int place = 0;
    for (NDArray end : List.of(from, to)) {
      NDArray noised = ddpm.forwardProcess().sample(end.expandDims(0), new int[] {t}, noise);
      double[] expected = pixels(ddpm.sampling().sampler(sampler).seed(5).denoise(noised, t));
      double[] actual = Arrays.copyOfRange(way, place * PIXELS, (place + 1) * PIXELS);
      assertThat(largestDifference(actual, expected)).isLessThanOrEqualTo(PIXEL_TOLERANCE);
      place += 2;
    }
  }

  /** A linear network makes the way a straight line: neighbours differ by their fraction alone. */
  @ParameterizedTest
  @MethodSource("samplers")
  void interpolate_linearNetwork_isAStraightLine(Sampler sampler) {
    DDPM linear = DDPM.builder().timesteps(TIMESTEPS).denoiser(StandIns.modelA()).build();
    double[] way =
        pixels(
            linear
                .sampling()
                .sampler(sampler)
                .clip(false)
                .seed(5)
                .interpolate(picture(0), picture(2), 20, 0, 0.25, 0.5, 1));
    for (int i = 0; i < PIXELS; i++) {
      double from = way[i];
      double to = way[3 * PIXELS + i];
      assertThat(way[PIXELS + i]).isCloseTo(0.75 * from + 0.25 * to, within(1e-4));
      assertThat(way[2 * PIXELS + i]).isCloseTo(0.5 * from + 0.5 * to, within(1e-4));
    }
  }

  /* --- what comes out --- */

  @Test
  void samples_asPicturesAndGrid(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("grid.png");
    try (Samples samples = ddpm.sampling().sampler(Samplers.ddim(2)).seed(1).generate(3)) {
      assertThat(samples.size()).isEqualTo(3);
      List<Image> images = samples.images();
      assertThat(images).hasSize(3);
      assertThat(images.get(0).getWidth()).isEqualTo(SIZE);
      assertThat(images.get(0).getHeight()).isEqualTo(SIZE);
      samples.saveGrid(file);
    }
    assertThat(Files.size(file)).isPositive();
  }

  /* --- what can go wrong --- */

  @Test
  void generate_interrupted_leavesNothing() {
    int before = NativeResources.ofSystem();
    Consumer<SamplingRun.Event> interrupter =
        event -> {
          if (event.firstImage() == 2 && event.step() == 3) {
            Thread.currentThread().interrupt();
          }
        };
    assertThatThrownBy(() -> ddpm.sampling().seed(1).batchSize(2).listener(interrupter).generate(6))
        .isInstanceOf(CancellationException.class)
        .hasMessage(
            "sampling was interrupted before step 4 of 50 of the images from 2; no image was kept");
    assertThat(Thread.interrupted()).isTrue();
    assertThat(NativeResources.ofSystem()).isEqualTo(before);
  }

  @Test
  void generate_listenerThrows_leavesNothing() {
    int before = NativeResources.ofSystem();
    Consumer<SamplingRun.Event> broken =
        event -> {
          throw new UnsupportedOperationException("broken listener");
        };
    assertThatThrownBy(() -> ddpm.sampling().listener(broken).generate(1))
        .isInstanceOf(UnsupportedOperationException.class)
        .hasMessage("broken listener");
    assertThat(NativeResources.ofSystem()).isEqualTo(before);
  }

  @Test
  void close_freesTheImages() {
    int before = NativeResources.ofSystem();
    try (Samples samples = ddpm.sampling().batchSize(1).generate(2)) {
      assertThat(NativeResources.ofSystem()).isEqualTo(before + 1);
      assertThat(samples.size()).isEqualTo(2);
    }
    assertThat(NativeResources.ofSystem()).isEqualTo(before);
  }

  private static Sampling samplingWith(Denoiser denoiser) {
    return DDPM.builder().timesteps(10).denoiser(denoiser).build().sampling().shape(1, 2, 2);
  }

  @Test
  void generate_denoiserReturnsAnotherShape_isRefused() {
    Denoiser flat = (x, levels, condition) -> x.reshape(2, 4);
    int before = NativeResources.ofSystem();
    assertThatThrownBy(() -> samplingWith(flat).generate(2))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the denoiser must return the shape and type of its input, (2, 1, 2, 2) float32, but"
                + " returned (2, 4) float32");
    assertThat(NativeResources.ofSystem()).isEqualTo(before);
  }

  @Test
  void generate_denoiserReturnsAnotherType_isRefused() {
    Denoiser doubles = (x, levels, condition) -> x.toType(DataType.FLOAT64, false);
    assertThatThrownBy(() -> samplingWith(doubles).generate(2))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the denoiser must return the shape and type of its input, (2, 1, 2, 2) float32, but"
                + " returned (2, 1, 2, 2) float64");
  }

  @Test
  void generate_denoiserReturnsNaN_isRefused() {
    Denoiser broken = (x, levels, condition) -> x.mul(levels.timestep(0) == 3 ? Float.NaN : 0);
    int before = NativeResources.ofSystem();
    for (DataType type : new DataType[] {DataType.FLOAT32, DataType.FLOAT64}) {
      assertThatThrownBy(() -> samplingWith(broken).dataType(type).batchSize(2).generate(3))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the images from 0 are not finite after the last step: the denoiser returned NaN or"
                  + " infinity; check its weights");
    }
    Denoiser late = (x, levels, condition) -> x.div(levels.size() - 1f);
    assertThatThrownBy(() -> samplingWith(late).clip(false).batchSize(2).generate(3))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the images from 2 are not finite after the last step: the denoiser returned NaN or"
                + " infinity; check its weights");
    assertThat(NativeResources.ofSystem()).isEqualTo(before);
  }

  @Test
  void generate_noShapeKnown_isRefused() {
    DDPM shapeless = DDPM.builder().timesteps(10).denoiser(StandIns.modelA()).build();
    assertThatThrownBy(() -> shapeless.sampling().generate(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the denoiser names no image shape; call shape(channels, height, width) before"
                + " generate()");
  }

  @Test
  void generate_noImages_isRefused() {
    assertThatThrownBy(() -> ddpm.sampling().generate(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("count must be at least 1, but was 0");
  }

  @Test
  void generate_moreStepsThanTimesteps_isRefused() {
    assertThatThrownBy(() -> ddpm.sampling().sampler(Samplers.ddim(51)).generate(1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("steps must be at least 1 and at most the schedule's 50 timesteps, but was 51");
  }

  @Test
  void setters_refuseWhatIsOutOfRange() {
    Sampling sampling = ddpm.sampling();
    assertThatThrownBy(() -> sampling.batchSize(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("batchSize must be at least 1, but was 0");
    assertThatThrownBy(() -> sampling.shape(1, 0, 8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "image shape must have sizes of at least 1, one of a signal, two of an image or three"
                + " of a volume, but was (1, 0, 8)");
    assertThatThrownBy(() -> sampling.shape(3, 8, 8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "image shape (3, 8, 8) does not match the denoiser, which is made for (1, 8, 8); leave"
                + " shape() out");
    assertThatThrownBy(() -> sampling.dataType(DataType.FLOAT16))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("dataType of sampling must be FLOAT32 or FLOAT64, but was float16");
  }

  @Test
  void denoise_badImages_areRefused() {
    Sampling sampling = ddpm.sampling();
    assertThatThrownBy(() -> sampling.denoise(manager.ones(new Shape(1, SIZE, SIZE)), 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "x_t must have shape (N, C, H, W) with (C, H, W) = (1, 8, 8), but had (1, 8, 8)");
    assertThatThrownBy(() -> sampling.denoise(manager.ones(new Shape(0, 1, SIZE, SIZE)), 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("x_t must hold at least one image, but had shape (0, 1, 8, 8)");
    assertThatThrownBy(
            () ->
                Sampling.of(
                        DenoisingModel.of(
                            new io.github.ddpm4j.model.Diffusion(
                                Schedules.linear(10),
                                ddpm.prediction(),
                                ddpm.variance(),
                                ddpm.dataRange()),
                            StandIns.modelA()))
                    .denoise(manager.ones(new Shape(4)), 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("x_t must have shape (N, C, H, W), but had (4)");
    assertThatThrownBy(
            () -> sampling.denoise(manager.ones(new Shape(1, 1, SIZE, SIZE), DataType.UINT8), 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "x_t must be float32 or float64, but was uint8; convert it and scale it to [-1.0,"
                + " 1.0]");
    NDArray broken = manager.full(new Shape(1, 1, SIZE, SIZE), Float.NaN);
    assertThatThrownBy(() -> sampling.denoise(broken, 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("x_t must be finite, but holds NaN or infinity; look for broken images");
    NDArray fine = manager.ones(new Shape(1, 1, SIZE, SIZE));
    for (int t : new int[] {-1, TIMESTEPS}) {
      assertThatThrownBy(() -> sampling.denoise(fine, t))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "start timestep must lie in [0, 50), but was "
                  + t
                  + "; choose one of these: the larger it is, the less is kept of the images");
    }
  }

  @Test
  void interpolate_badInput_isRefused() {
    Sampling sampling = ddpm.sampling();
    NDArray fine = picture(0);
    assertThatThrownBy(() -> sampling.interpolate(fine, fine, 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("interpolation needs at least one fraction");
    assertThatThrownBy(() -> sampling.interpolate(fine, fine, 3, 0, Double.NaN))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("fractions of an interpolation must be finite, but one was NaN");
    assertThatThrownBy(() -> sampling.interpolate(fine.expandDims(0), fine, 3, 0.5))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("from must be one picture of shape (1, 8, 8), but had (1, 1, 8, 8)");
    assertThatThrownBy(() -> sampling.interpolate(fine, fine.toType(DataType.UINT8, false), 3, 0.5))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "to must be float32 or float64, but was uint8; convert it and scale it to [-1.0, 1.0]");
    assertThatThrownBy(
            () -> sampling.interpolate(fine, fine.toType(DataType.FLOAT64, false), 3, 0.5))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "to must have the data type of from, float32, but had float64; convert one of them with"
                + " toType");
    DDPM shapeless = DDPM.builder().denoiser(StandIns.modelA()).build();
    assertThatThrownBy(
            () -> shapeless.sampling().interpolate(fine, manager.ones(new Shape(1, 4, 4)), 3, 0.5))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("to must have the shape of from, (1, 8, 8), but had (1, 4, 4)");
    assertThatThrownBy(() -> sampling.interpolate(fine, fine, 50, 0.5))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "start timestep must lie in [0, 50), but was 50; choose one of these: the larger it is,"
                + " the less is kept of the images");
  }
}
