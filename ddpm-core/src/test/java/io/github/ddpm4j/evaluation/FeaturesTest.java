package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Model;
import ai.djl.inference.Predictor;
import ai.djl.modality.cv.Image;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Blocks;
import ai.djl.nn.LambdaBlock;
import ai.djl.translate.NoopTranslator;
import io.github.ddpm4j.Golden;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FeaturesTest {

  private static final Golden GOLDEN = Golden.load("evaluation/evaluation.json").at("network");

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  /* --- functions --- */

  @Test
  void pixels_areTheValuesOfEachImage() {
    NDArray images = manager.arange(12).toType(DataType.FLOAT32, false).reshape(2, 1, 2, 3);

    assertThat(Features.pixels().of(images))
        .isDeepEqualTo(new double[][] {{0, 1, 2, 3, 4, 5}, {6, 7, 8, 9, 10, 11}});
  }

  @Test
  void function_leavesNothingBehind() {
    NDArray images = manager.ones(new Shape(3, 1, 2, 2));
    int before = manager.getManagedArrays().size();

    double[][] rows =
        Features.function(x -> x.mul(2).sum(new int[] {2, 3}).toType(DataType.FLOAT64, false))
            .of(images);

    assertThat(rows).isDeepEqualTo(new double[][] {{8}, {8}, {8}});
    assertThat(manager.getManagedArrays()).hasSize(before);
  }

  @Test
  void function_whoseResultBelongsElsewhere_isClosed() {
    NDArray images = manager.ones(new Shape(3, 1, 2, 2));
    try (NDManager elsewhere = NDManager.newBaseManager()) {
      NDArray two = elsewhere.full(new Shape(1), 2);

      assertThat(Features.function(x -> two.mul(x)).of(images))
          .isDeepEqualTo(new double[][] {{2, 2, 2, 2}, {2, 2, 2, 2}, {2, 2, 2, 2}});
      assertThat(elsewhere.getManagedArrays()).containsExactly(two);
    }
  }

  @Test
  void function_thatReturnsAnotherNumberOfRows_isRefused() {
    NDArray images = manager.ones(new Shape(3, 1, 2, 2));

    assertThatIllegalArgumentException()
        .isThrownBy(() -> Features.function(x -> x.reshape(1, 12)).of(images))
        .withMessage("features of 3 images must have shape (3, …), but had (1, 12)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Features.function(x -> x.sum(new int[] {1, 2, 3})).of(images))
        .withMessage("features of 3 images must have shape (3, …), but had (3)");
  }

  @Test
  void block_isItsFirstOutput() {
    NDArray images = manager.ones(new Shape(2, 1, 2, 2));

    assertThat(Features.block(Blocks.batchFlattenBlock()).of(images))
        .isDeepEqualTo(new double[][] {{1, 1, 1, 1}, {1, 1, 1, 1}});
  }

  @Test
  void predictor_isItsFirstOutput_andItsFailureIsTheCause() {
    NDArray images = manager.ones(new Shape(2, 1, 2, 2));
    try (Model model = Model.newInstance("predictor")) {
      model.setBlock(
          new LambdaBlock(list -> new NDList(list.head().flatten(1, -1).mul(3)), "times 3"));
      try (Predictor<NDList, NDList> predictor = model.newPredictor(new NoopTranslator(null))) {
        assertThat(Features.predictor(predictor).of(images))
            .isDeepEqualTo(new double[][] {{3, 3, 3, 3}, {3, 3, 3, 3}});
      }
      model.setBlock(
          new LambdaBlock(
              list -> {
                throw new IllegalArgumentException("broken");
              },
              "broken"));
      try (Predictor<NDList, NDList> predictor = model.newPredictor(new NoopTranslator(null))) {
        assertThatThrownBy(() -> Features.predictor(predictor).of(images))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("the predictor of the features failed on images of shape (2, 1, 2, 2)")
            .hasRootCauseMessage("broken");
      }
    }
  }

  /* --- TorchScript --- */

  @Test
  void torchScript_resizedAndNormalized_isWhatPythonSays() throws Exception {
    NDArray images = GOLDEN.array(manager, DataType.FLOAT32, "images");
    for (int output = 0; output < 2; output++) {
      try (TorchScriptFeatures features =
          Features.torchScript(file())
              .resize(9, 11, Image.Interpolation.BILINEAR)
              .normalize(GOLDEN.data("mean"), GOLDEN.data("deviation"))
              .batchSize(2)
              .output(output)
              .load()) {
        Golden.assertClose(
            "output " + output,
            flat(features.of(images)),
            GOLDEN.data("resized and normalized, output " + output),
            2e-6);
      }
    }
  }

  @Test
  void torchScript_ofAnotherDataRange_isTheSame() throws Exception {
    NDArray images =
        GOLDEN.array(manager, DataType.FLOAT64, "images").repeat(1, 3).add(1).mul(127.5);
    try (TorchScriptFeatures features =
        Features.torchScript(file()).dataRange(0, 255).device(manager.getDevice()).load()) {
      Golden.assertClose(
          "of [0, 1]", flat(features.of(images)), GOLDEN.data("of [0, 1], output 0"), 2e-6);
      assertThat(features).hasToString("TorchScriptFeatures[features.pt]");
    }
  }

  @Test
  void torchScript_imagesOfAnotherRangeThanTold_areRefused() throws Exception {
    NDArray bytes = manager.full(new Shape(1, 3, 2, 2), 255f);
    try (TorchScriptFeatures features =
        Features.torchScript(file()).device(manager.getDevice()).load()) {
      assertThatThrownBy(() -> features.of(bytes))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "images must lie in the range [-1.0, 1.0], but hold values from 255.0 to 255.0, which"
                  + " looks like 0..255; map them by images.div(127.5).sub(1), or clip them if they"
                  + " are meant");
    }
  }

  /** Memory that is freed under a reader would end the process. */
  @Test
  void torchScript_closedWhileAnotherThreadUsesIt_waits() throws Exception {
    CountDownLatch using = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    NDArray images = manager.ones(new Shape(1, 3, 6, 6));
    NDArray slow =
        (NDArray)
            Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {NDArray.class},
                (proxy, method, arguments) -> {
                  if (method.getName().equals("getShape")) {
                    return images.getShape();
                  }
                  using.countDown();
                  go.await();
                  throw new IllegalStateException("used");
                });
    try (TorchScriptFeatures features = Features.torchScript(file()).load()) {
      Thread user =
          new Thread(() -> assertThatThrownBy(() -> features.of(slow)).hasMessage("used"));
      user.start();
      using.await();
      Thread closing = new Thread(features::close);
      closing.start();
      while (closing.getState() != Thread.State.WAITING) {
        Thread.onSpinWait();
      }
      go.countDown();
      closing.join();
      user.join();
      assertThatThrownBy(() -> features.of(images))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("these features are closed; load the file again");
    }
  }

  @Test
  void torchScript_leavesNothingBehind() throws Exception {
    NDArray images = manager.ones(new Shape(3, 3, 6, 6));
    int before = manager.getManagedArrays().size();
    try (TorchScriptFeatures features = Features.torchScript(file()).load()) {
      features.of(images);
    }
    assertThat(manager.getManagedArrays()).hasSize(before);
  }

  @Test
  void torchScript_badImages_areRefused() throws Exception {
    TorchScriptFeatures features =
        Features.torchScript(file())
            .normalize(GOLDEN.data("mean"), GOLDEN.data("deviation"))
            .load();
    try (features) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> features.of(manager.ones(new Shape(3, 6, 6))))
          .withMessage("images must have shape (N, C, H, W), but had (3, 6, 6)");
      assertThatIllegalArgumentException()
          .isThrownBy(() -> features.of(manager.ones(new Shape(1, 4, 6, 6))))
          .withMessage(
              "images must have 3 channels, as the network was said to want, or 1, but had 4");
    }
    assertThatThrownBy(() -> features.of(manager.ones(new Shape(1, 3, 6, 6))))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("these features are closed; load the file again");
    try (TorchScriptFeatures third = Features.torchScript(file()).output(2).load()) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> third.of(manager.ones(new Shape(1, 3, 6, 6))))
          .withMessage(
              "output must be below 2, the number of outputs of " + file() + ", but was 2");
    }
  }

  @Test
  void torchScript_badFiles_areRefused() throws IOException {
    Path missing = folder.resolve("missing.pt");
    Path text = Files.writeString(folder.resolve("text.pt"), "no network");

    assertThatThrownBy(() -> Features.torchScript(missing).load())
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(missing.toString());
    assertThatThrownBy(() -> Features.torchScript(text).load())
        .isInstanceOf(IOException.class)
        .hasMessage(
            text
                + " holds no TorchScript that the engine can load; torch.jit.save writes such"
                + " files");
  }

  @Test
  void torchScript_badSettings_areRefused() {
    TorchScriptFeatures.Builder builder = Features.torchScript(Path.of("x.pt"));

    assertThatIllegalArgumentException()
        .isThrownBy(() -> builder.dataRange(1, 1))
        .withMessage(
            "dataRange needs finite numbers, the first below the second, but they were 1.0 and"
                + " 1.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> builder.normalize(new double[] {0.5}, new double[] {0}))
        .withMessage(
            "normalize needs a finite mean and a deviation above 0 for each channel, but they were"
                + " [0.5] and [0.0]");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> builder.resize(0, 5, Image.Interpolation.BILINEAR))
        .withMessage("resize needs sizes of at least 1, but they were 0 and 5");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> builder.batchSize(0))
        .withMessage("batchSize must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> builder.output(-1))
        .withMessage("output must be at least 0, but was -1");
  }

  private static Path file() {
    try {
      return Path.of(
          Objects.requireNonNull(FeaturesTest.class.getResource("/golden/evaluation/features.pt"))
              .toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private static double[] flat(double[][] rows) {
    return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
  }
}
