package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.PostHocEma;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.evaluation.TorchScriptFeatures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Guard;
import io.github.ddpm4j.training.Validation;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Every Java snippet of README.md is compiled: it stands here, word for word. */
class SnippetsTest {

  private static final Pattern SNIPPET = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
  private static final Path SOURCE =
      Path.of("src/test/java/io/github/ddpm4j/unet/SnippetsTest.java");

  static void ofAnotherLibrary() throws IOException {
    try (Pretrained model = Pretrained.load("google/ddpm-cifar10-32")) {
      model.sampling().seed(42).generate(16).close();
    }
  }

  static void firstOfAll(Dataset dataset) throws IOException {
    try (UNet unet = UNet.builder().image(3, 32, 32).build();
        TrainedModel trained =
            DDPM.builder().denoiser(unet).build().training().steps(800_000).fit(dataset);
        Samples samples = trained.ddpm().sampling().seed(42).generate(16)) {
      samples.saveGrid(Path.of("samples.png"));
    }
  }

  static NDArray theMathsAlone(NDArray x0, int[] t, NDArray noise) {
    DDPM ddpm = DDPM.builder().timesteps(1000).build();
    NDArray xt = ddpm.forwardProcess().sample(x0, t, noise); // q(x_t | x_0), int[] t one per image
    return xt;
  }

  static Dataset dataset(NDArray images) {
    // images: an NDArray, float32, shape (count, channels, height, width), in [−1, 1]
    Dataset dataset = new ArrayDataset.Builder().setData(images).setSampling(128, true).build();
    return dataset;
  }

  static void trainWithConditions(Dataset datasetWithLabels) throws IOException {
    try (UNet unet =
        UNet.builder().image(1, 28, 28).channelMultipliers(1, 2, 2).classes(10).build()) {
      DDPM ddpm = DDPM.builder().timesteps(1000).denoiser(unet).build();
      try (TrainedModel trained =
          ddpm.training().steps(20_000).conditionDropout(0.1).fit(datasetWithLabels)) {
        trained.ddpm().save(Path.of("digits"));
      }
    }
  }

  static void train(Dataset dataset) throws IOException {
    try (UNet unet =
        UNet.builder()
            .image(3, 32, 32)
            .baseChannels(128)
            .channelMultipliers(1, 2, 2, 2)
            .attentionAtLevels(1)
            .dropout(0.1)
            .build()) {
      DDPM ddpm = DDPM.builder().timesteps(1000).denoiser(unet).build();
      try (TrainedModel trained =
          ddpm.training()
              .batchSize(128)
              .steps(800_000) // or epochs(n)
              .ema(0.9999)
              .fit(dataset)) {
        trained.ddpm().save(Path.of("cifar10")); // the averaged weights; trained.raw() has the last
      }
    }
  }

  static void resume(DDPM ddpm, Dataset dataset) {
    ddpm.training()
        .steps(800_000)
        .checkpoints(Checkpoints.in(Path.of("checkpoints")).everySteps(1_000).keepLast(3))
        .resume() // from the newest checkpoint, or from the beginning if there is none
        .fit(dataset)
        .close();
  }

  static void validated(DDPM ddpm, Dataset dataset, RandomAccessDataset heldOut) {
    ddpm.training()
        .steps(800_000)
        .validation(Validation.of(heldOut).every(1_000).images(512).patience(5).keepBest())
        .fit(dataset)
        .close();
  }

  static void guarded(DDPM ddpm, Dataset dataset) {
    ddpm.training()
        .steps(800_000)
        .guard(Guard.skip().mostInARow(5).explosion(10))
        .fit(dataset)
        .close();
  }

  static void averageAfterwards(DDPM ddpm, Dataset dataset) throws IOException {
    PostHocEma averages = PostHocEma.in(Path.of("averages")).everySteps(2_000);
    ddpm.training().steps(200_000).postHocEma(averages).fit(dataset).close();
    for (double width :
        new double[] {0.05, 0.1, 0.15}) { // of the run; 0.1: half of it the last 8 %
      try (DDPM model = averages.at(width)) {
        model.save(Path.of("cifar10-" + width));
      }
    }
  }

  static void sample() throws IOException {
    try (DDPM cifar10 = DDPM.load(Path.of("cifar10"));
        Samples samples = cifar10.sampling().sampler(Samplers.ddim(50)).seed(42).generate(16)) {
      samples.saveGrid(Path.of("samples.png")); // always the same 16 pictures for seed 42
      samples.save(0, Path.of("first.png")); // one of them, as it is
    }
  }

  static void guide() throws IOException {
    try (DDPM digits = DDPM.load(Path.of("digits"));
        Samples sevens =
            digits
                .sampling()
                .sampler(Samplers.dpmSolverPlusPlus(15))
                .condition(Condition.labels(7))
                .guidance(Guidance.classifierFree(2))
                .generate(8)) {
      sevens.saveGrid(Path.of("sevens.png"));
    }
  }

  static void fill(DDPM ddpm, NDArray images, NDArray mask) throws IOException {
    // images: float32, (N, C, H, W), in [−1, 1]; mask: (1, 1, H, W), 1 where a pixel is known
    Sampler sampler = Samplers.resampling(Samplers.ddpm(100), 10, 5);
    try (Samples filled = ddpm.sampling().sampler(sampler).seed(1).inpaint(images, mask)) {
      filled.saveGrid(Path.of("filled.png"));
    }
  }

  static void watch(DDPM ddpm, Consumer<NDArray> preview) throws IOException {
    try (SamplingRun run = ddpm.sampling().seed(42).timeLimit(Duration.ofMinutes(5)).start(16)) {
      while (run.hasNext()) {
        preview.accept(run.next().predictedX0());
        if (run.step() == 500) {
          run.save(Path.of("half.safetensors")); // restore(file) goes on from here, elsewhere too
        }
      }
      try (Samples samples = run.finish()) {
        samples.saveGrid(Path.of("samples.png"));
      }
    }
  }

  static void evaluate(DDPM ddpm, Dataset heldOut, NDArray drawn, NDArray real) throws IOException {
    System.out.println(ddpm.bitsPerDim().timesteps(50).of(heldOut)); // with standard errors
    System.out.println(ddpm.samplerPlanner().plan(20)); // which sampler for 20 network calls
    try (TorchScriptFeatures features = Features.torchScript(Path.of("inception.pt")).load()) {
      FeatureStatistics reference = FeatureStatistics.of(features.of(real));
      System.out.println(
          FrechetDistance.estimate(features.of(drawn), reference, Bootstrap.seeded(0)));
    }
  }

  static void export() throws IOException {
    try (UNet averaged = UNet.load(Path.of("cifar10"))) {
      averaged.exportTorchScript(Path.of("cifar10.pt"));
    }
  }

  static UNet precision() {
    UNet unet = UNet.builder().image(3, 32, 32).precision(Precision.AUTO).build();
    return unet;
  }

  static void loaded() throws IOException {
    try (DDPM cifar10 = DDPM.load(Path.of("cifar10"))) {
      cifar10.denoiser(UNet.class).runAs(Execution.COMPILED, Precision.BFLOAT16);
      cifar10.sampling().generate(16).close();
    }
  }

  @Test
  void readme_holdsTheseSnippets() throws IOException {
    String source = squeezed(Files.readString(SOURCE));
    // That of the user's own pictures stands in a test of the examples, which have ddpm-data.
    List<String> found =
        snippets(Path.of("../README.md")).stream()
            .filter(
                snippet ->
                    !snippet.contains("PictureFolder") && !snippet.contains("TrainingReport"))
            .toList();
    assertThat(found).hasSize(18);
    assertThat(found).allSatisfy(snippet -> assertThat(source).contains(squeezed(snippet)));
  }

  @Test
  void theMathsAlone_runs() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray x0 = manager.ones(new Shape(2, 3, 4, 4));
      NDArray xt = theMathsAlone(x0, new int[] {0, 999}, manager.zeros(x0.getShape()));
      assertThat(xt.getShape()).isEqualTo(x0.getShape());
    }
  }

  /** The Java snippets of a page. */
  static List<String> snippets(Path page) throws IOException {
    Matcher snippets = SNIPPET.matcher(Files.readString(page));
    return snippets.results().map(result -> result.group(1)).toList();
  }

  /** Without white space, so that both may be formatted as fits. */
  static String squeezed(String code) {
    return code.replaceAll("\\s+", "");
  }
}
