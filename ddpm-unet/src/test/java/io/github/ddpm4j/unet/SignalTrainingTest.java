package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.ConsistencyTuning;
import io.github.ddpm4j.training.NoiseAssignment;
import io.github.ddpm4j.training.Validation;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Signals from training to a model file and what is drawn from it. */
class SignalTrainingTest {

  private static final Path SOURCE =
      Path.of("src/test/java/io/github/ddpm4j/unet/SignalTrainingTest.java");

  private static final int LENGTH = 16;

  /** Of the AR(1) process, x_i = ρ x_{i−1} + √(1 − ρ²) s z_i. */
  private static final double RHO = 0.8;

  private static final double DEVIATION = 0.25;

  @TempDir Path folder;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static UNetBuilder network() {
    return UNet.builder()
        .signal(1, LENGTH)
        .levelChannels(8, 8)
        .groups(4)
        .attentionAtLevels(1)
        .residualBlocks(1)
        .dropout(0)
        .seed(3);
  }

  /** Signals of the process, shape (N, 1, L). */
  private NDArray process(int count) {
    Random random = new Random(1);
    double[] values = new double[count * LENGTH];
    for (int i = 0; i < values.length; i++) {
      double z = DEVIATION * random.nextGaussian();
      values[i] = i % LENGTH == 0 ? z : RHO * values[i - 1] + Math.sqrt(1 - RHO * RHO) * z;
    }
    return manager
        .create(values, new Shape(count, 1, LENGTH))
        .toType(DataType.FLOAT32, false)
        .clip(-1, 1);
  }

  private ArrayDataset dataset(int count) {
    return new ArrayDataset.Builder().setData(process(count)).setSampling(8, false).build();
  }

  private Training training(UNet network, Path checkpoints) {
    return DDPM.builder()
        .timesteps(20)
        .variance(Variance.LEARNED_RANGE)
        .denoiser(network)
        .build()
        .training()
        .loss(Losses.hybrid())
        .offsetNoise(0.1)
        .batchSize(8)
        .steps(4)
        .seed(5)
        .validation(Validation.of(dataset(8)).every(2))
        .checkpoints(checkpoints);
  }

  static NDArray eight(Dataset dataset, NDManager manager) {
    UNet unet =
        UNet.builder()
            .signal(1, 256) // channels and length; or volume(channels, depth, height, width)
            .baseChannels(32)
            .channelMultipliers(1, 2, 2, 2)
            .groups(8)
            .build();
    DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet).build();
    try (TrainedModel trained = ddpm.training().steps(2000).fit(dataset); // records of (1, 256)
        Samples samples =
            trained.ddpm().sampling().sampler(Samplers.ddim(50)).seed(1).generate(8)) {
      return samples.toNDArray(manager); // (8, 1, 256)
    }
  }

  @Test
  void document_holdsTheSnippet() throws IOException {
    String source = SnippetsTest.squeezed(Files.readString(SOURCE));
    assertThat(SnippetsTest.snippets(Path.of("../docs/signals.md")))
        .singleElement()
        .satisfies(snippet -> assertThat(source).contains(SnippetsTest.squeezed(snippet)));
  }

  @Test
  void fit_resumedSavedAndLoaded_sameSignals() throws IOException {
    try (UNet network = network().learnedVariance().build();
        UNet broken = network().learnedVariance().build();
        UNet fresh = network().learnedVariance().build();
        TrainedModel whole = training(network, folder.resolve("whole")).fit(dataset(32));
        TrainedModel half = training(broken, folder.resolve("half")).steps(2).fit(dataset(32));
        TrainedModel resumed =
            training(fresh, folder.resolve("half"))
                .resume(Checkpoints.Change.STEPS)
                .fit(dataset(32))) {
      assertThat(half.losses().steps()).isEqualTo(2);
      assertThat(resumed.losses().loss(4)).isEqualTo(whole.losses().loss(4));
      whole.ddpm().save(folder.resolve("model"));
      NDArray drawn = draw(whole.ddpm());
      assertThat(drawn.getShape()).isEqualTo(new Shape(3, 1, LENGTH));
      assertThat(draw(resumed.ddpm())).isEqualTo(drawn);
      try (DDPM loaded = DDPM.load(folder.resolve("model"))) {
        assertThat(loaded.model().denoiser().imageShape()).contains(new Shape(1, LENGTH));
        assertThat(draw(loaded)).isEqualTo(drawn);
        double bits = loaded.bitsPerDim().seed(1).of(process(4)).total().value();
        assertThat(bits).isBetween(0.0, 30.0);
      }
    }
  }

  private NDArray draw(DDPM ddpm) {
    try (Samples samples = ddpm.sampling().seed(7).batchSize(2).generate(3)) {
      return samples.toNDArray(manager);
    }
  }

  /** A signal is noised as its image of height one is. */
  @Test
  void fit_signals_noisedAsImagesOfHeightOne() {
    double loss = firstLoss(network().downsamplePadding(DownsamplePadding.ALL_SIDES), process(16));
    double ofImages =
        firstLoss(
            network().image(1, 1, LENGTH).downsamplePadding(DownsamplePadding.ALL_SIDES),
            process(16).expandDims(2));
    // Of networks that say almost nothing yet, whose weights are others.
    assertThat(loss).isCloseTo(ofImages, within(1e-4 * loss));
  }

  private double firstLoss(UNetBuilder builder, NDArray data) {
    try (UNet network = builder.build();
        TrainedModel trained =
            DDPM.builder()
                .denoiser(network)
                .build()
                .training()
                .offsetNoise(0.3)
                .inputPerturbation(0.1)
                .batchSize(8)
                .steps(1)
                .seed(5)
                .fit(new ArrayDataset.Builder().setData(data).setSampling(8, false).build())) {
      return trained.losses().loss(1);
    }
  }

  private interface Recipe {
    Training of(DDPM ddpm);
  }

  static Stream<Arguments> recipes() {
    Schedule linear = Schedules.linear(100);
    return Stream.of(
        recipe("bound", linear, Prediction.EPSILON, ddpm -> ddpm.training().loss(Losses.vlb())),
        recipe(
            "pseudo-Huber",
            linear,
            Prediction.VELOCITY,
            ddpm -> ddpm.training().loss(Losses.pseudoHuber(0.03))),
        recipe(
            "assigned noise",
            linear,
            Prediction.EPSILON,
            ddpm -> ddpm.training().noiseAssignment(NoiseAssignment.optimal())),
        recipe(
            "flow",
            Schedules.flow(100),
            Prediction.FLOW,
            ddpm -> ddpm.training().timestepSampler(TimestepSampler.logitNormal(0, 1))),
        recipe(
            "consistency",
            linear,
            Prediction.VELOCITY,
            ddpm ->
                ddpm.consistencyTuning(ConsistencyTuning.usual().stages(2))
                    .noiseAssignment(NoiseAssignment.optimal())));
  }

  private static Arguments recipe(
      String name, Schedule schedule, Prediction prediction, Recipe recipe) {
    return Arguments.of(name, schedule, prediction, recipe);
  }

  /** Kernels of height 1 are those of signals, so that all numbers are. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("recipes")
  void fit_everyObjective_asOnImagesOfHeightOne(
      String name, Schedule schedule, Prediction prediction, Recipe recipe) {
    for (Execution execution : Execution.values()) {
      boolean learned = name.equals("bound");
      DDPM.Builder builder =
          DDPM.builder()
              .schedule(schedule)
              .prediction(prediction)
              .variance(learned ? Variance.LEARNED_RANGE : Variance.FIXED_LARGE);
      try (UNet signals = padded(network(), learned).execution(execution).build();
          UNet images =
              padded(network().image(1, 1, LENGTH), learned).execution(execution).build()) {
        disturb(signals);
        copy(signals, images);
        double[] expected = losses(builder.denoiser(images).build(), recipe, true);
        double[] actual = losses(builder.denoiser(signals).build(), recipe, false);
        for (int i = 0; i < actual.length; i++) {
          assertThat(actual[i] / expected[i])
              .as("%s, %s, step %d", name, execution, i + 1)
              .isCloseTo(1, within(2e-3));
        }
      }
    }
  }

  private static UNetBuilder padded(UNetBuilder builder, boolean learned) {
    UNetBuilder all = builder.downsamplePadding(DownsamplePadding.ALL_SIDES);
    return learned ? all.learnedVariance() : all;
  }

  /** A new network says 0 to everything. */
  private static void disturb(UNet network) {
    Random random = new Random(2);
    try (GradMode off = GradMode.off()) {
      network
          .weights()
          .values()
          .forEach(
              weight -> {
                float[] noise = new float[Math.toIntExact(weight.size())];
                for (int i = 0; i < noise.length; i++) {
                  noise[i] = (float) (0.1 * random.nextGaussian());
                }
                try (NDArray added = weight.getManager().create(noise, weight.getShape())) {
                  weight.addi(added);
                }
              });
    }
  }

  /** Kernels of signals into the middle row of those of images. */
  private static void copy(UNet signals, UNet images) {
    try (GradMode off = GradMode.off()) {
      Map<String, NDArray> from = signals.weights();
      images
          .weights()
          .forEach(
              (name, weight) -> {
                try (NDManager scope = weight.getManager().newSubManager()) {
                  NDArray own = Objects.requireNonNull(from.get(name), name).duplicate();
                  own.attach(scope);
                  Shape shape = weight.getShape();
                  if (!own.getShape().equals(shape)) {
                    NDArray wide = scope.zeros(shape);
                    long middle = shape.get(2) / 2;
                    wide.set(new NDIndex(":, :, {}:{}", middle, middle + 1), own.expandDims(2));
                    own = wide;
                  }
                  own.copyTo(weight);
                }
              });
    }
  }

  private double[] losses(DDPM ddpm, Recipe recipe, boolean images) {
    NDArray data = images ? process(16).expandDims(2) : process(16);
    try (TrainedModel trained =
        recipe
            .of(ddpm)
            .batchSize(8)
            .steps(3)
            .seed(5)
            .learningRate(1e-4)
            .fit(new ArrayDataset.Builder().setData(data).setSampling(8, false).build())) {
      return new double[] {
        trained.losses().loss(1), trained.losses().loss(2), trained.losses().loss(3)
      };
    }
  }

  /** What a small network learns of the process: its deviation and its autocovariance. */
  @Test
  @Tag("slow")
  void fit_ar1_autocovarianceOfTheProcess() {
    UNetBuilder builder =
        network().levelChannels(32, 32).groups(8).residualBlocks(2).attentionAtLevels(0, 1);
    try (UNet network = builder.build();
        TrainedModel trained =
            DDPM.builder()
                .timesteps(200)
                .denoiser(network)
                .build()
                .training()
                .batchSize(64)
                .learningRate(1e-3)
                .steps(1500)
                .ema(0.995)
                .seed(5)
                .fit(dataset(8192));
        Samples samples =
            trained
                .ddpm()
                .sampling()
                .sampler(Samplers.ddpm())
                .batchSize(512)
                .seed(1)
                .generate(2048)) {
      NDArray drawn = samples.toNDArray(manager).squeeze(1);
      double variance = DEVIATION * DEVIATION;
      for (int lag = 0; lag < 4; lag++) {
        double covariance =
            drawn.get(":, :" + (LENGTH - lag)).mul(drawn.get(":, " + lag + ":")).mean().getFloat();
        assertThat(covariance)
            .as("lag %d", lag)
            .isCloseTo(variance * Math.pow(RHO, lag), within(0.1 * variance));
      }
    }
  }
}
