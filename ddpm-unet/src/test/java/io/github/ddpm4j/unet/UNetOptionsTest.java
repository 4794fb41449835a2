package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.Hardware;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.internal.running.RunMode;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** How a network runs and what it computes in, as the user chooses. */
class UNetOptionsTest {

  private static final String EAGER_IS_FLOAT32 =
      "execution EAGER computes in float32, but precision was BFLOAT16; choose execution COMPILED or"
          + " precision FLOAT32";
  private static final String CLOSED =
      "the U-Net is closed and its weights are freed; build or load another one";

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static UNetBuilder small() {
    return UNet.builder().image(1, 4, 4).levelChannels(4, 8).groups(2).residualBlocks(1).seed(3);
  }

  /** A network none of whose weights is zero. */
  private static UNet busy(UNet unet) {
    Random random = new Random(5);
    unet.weights()
        .forEach(
            (name, weight) -> {
              float[] values = weight.toFloatArray();
              for (int i = 0; i < values.length; i++) {
                values[i] += (float) (0.15 * random.nextGaussian());
              }
              weight.set(values);
            });
    return unet;
  }

  private float[] predict(UNet unet) {
    float[] values = new float[16];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i);
    }
    NDArray x = manager.create(values, new Shape(1, 1, 4, 4));
    NDArray y = unet.predict(x, Levels.at(7), Condition.none());
    assertThat(y.getDataType()).isEqualTo(DataType.FLOAT32);
    return y.toFloatArray();
  }

  private static void assertRunsAs(UNet unet, Execution execution, Precision precision) {
    assertThat(unet.execution()).isEqualTo(execution);
    assertThat(unet.precision()).isEqualTo(precision);
    assertThat(unet.isCompiled()).isEqualTo(execution == Execution.COMPILED);
  }

  private static double largestDifference(float[] a, float[] b) {
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest;
  }

  @Test
  void build_nothingChosen_compiledInFloat32() {
    try (UNet unet = small().build()) {
      assertRunsAs(unet, Execution.COMPILED, Precision.FLOAT32);
    }
  }

  @Test
  void build_chosen_runsSo() {
    try (UNet eager = small().execution(Execution.EAGER).build();
        UNet half = small().precision(Precision.BFLOAT16).build();
        UNet both = small().execution(Execution.COMPILED).precision(Precision.BFLOAT16).build()) {
      assertRunsAs(eager, Execution.EAGER, Precision.FLOAT32);
      assertRunsAs(half, Execution.COMPILED, Precision.BFLOAT16);
      assertRunsAs(both, Execution.COMPILED, Precision.BFLOAT16);
    }
  }

  @Test
  void build_eagerInBfloat16_refused() {
    UNetBuilder builder = small().execution(Execution.EAGER).precision(Precision.BFLOAT16);
    assertThatThrownBy(builder::build)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(EAGER_IS_FLOAT32);
    // the builder may be put right and used again
    try (UNet unet = builder.precision(Precision.FLOAT32).build()) {
      assertRunsAs(unet, Execution.EAGER, Precision.FLOAT32);
    }
  }

  @Test
  void setters_null_refused() {
    assertThatThrownBy(() -> small().execution(null))
        .isInstanceOf(NullPointerException.class)
        .hasMessage("execution");
    assertThatThrownBy(() -> small().precision(null))
        .isInstanceOf(NullPointerException.class)
        .hasMessage("precision");
  }

  @Test
  void runAs_anyOrder_changesHowItComputes() {
    try (UNet unet = busy(small().build())) {
      float[] compiled = predict(unet);
      assertThat(unet.runAs(Execution.COMPILED, Precision.BFLOAT16)).isSameAs(unet);
      assertRunsAs(unet, Execution.COMPILED, Precision.BFLOAT16);
      float[] half = predict(unet);
      unet.runAs(Execution.EAGER, Precision.FLOAT32);
      assertRunsAs(unet, Execution.EAGER, Precision.FLOAT32);
      float[] eager = predict(unet);
      unet.runAs(Execution.COMPILED, Precision.FLOAT32);
      assertThat(predict(unet)).containsExactly(compiled);

      assertThat(largestDifference(eager, compiled)).isLessThan(1e-5);
      assertThat(largestDifference(half, compiled)).isBetween(1e-5, 0.1);
    }
  }

  @Test
  void runAs_eagerInBfloat16_refusedAndNothingChanged() {
    try (UNet unet = busy(small().precision(Precision.BFLOAT16).build())) {
      float[] before = predict(unet);
      assertThatThrownBy(() -> unet.runAs(Execution.EAGER, Precision.BFLOAT16))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(EAGER_IS_FLOAT32);
      assertRunsAs(unet, Execution.COMPILED, Precision.BFLOAT16);
      assertThat(predict(unet)).containsExactly(before);
    }
  }

  @Test
  void runAs_closed_refused() {
    UNet unet = small().build();
    predict(unet);
    unet.close();
    assertThatThrownBy(() -> unet.runAs(Execution.EAGER, Precision.FLOAT32))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(CLOSED);
    assertThatThrownBy(unet::beginTraining)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(CLOSED);
    assertThatThrownBy(() -> predict(unet))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(CLOSED);
  }

  @Test
  void copy_keepsExecutionAndPrecision() {
    try (UNet half = busy(small().precision(Precision.BFLOAT16).build());
        UNet ofHalf = half.copy();
        UNet eager = small().execution(Execution.EAGER).build();
        UNet ofEager = eager.copy()) {
      assertRunsAs(ofHalf, Execution.COMPILED, Precision.BFLOAT16);
      assertRunsAs(ofEager, Execution.EAGER, Precision.FLOAT32);
      assertThat(predict(ofHalf)).containsExactly(predict(half));
      // and each goes its own way
      half.runAs(Execution.EAGER, Precision.FLOAT32);
      assertRunsAs(ofHalf, Execution.COMPILED, Precision.BFLOAT16);
      half.close();
      assertThat(predict(ofHalf)).hasSize(16);
    }
  }

  /* ---------------- AUTO ---------------- */

  @Test
  void auto_compiled_asTheHardwareIsAndSaysSo() {
    boolean fast = Hardware.hasBfloat16(Device.cpu());
    Precision expected = fast ? Precision.BFLOAT16 : Precision.FLOAT32;
    String log =
        logged(
            () -> {
              try (UNet unet = small().device(Device.cpu()).precision(Precision.AUTO).build();
                  UNet copy = unet.copy()) {
                assertRunsAs(unet, Execution.COMPILED, expected);
                assertRunsAs(copy, Execution.COMPILED, expected);
              }
            });
    assertThat(log.strip())
        .isEqualTo(
            "[main] INFO io.github.ddpm4j.unet.UNet - precision AUTO is "
                + expected
                + " on cpu(), which has "
                + (fast ? "" : "no ")
                + "instructions for bfloat16");
  }

  @Test
  void bfloat16_withoutInstructionsForIt_warnsOnce() {
    RunMode.warned.clear();
    String log =
        logged(
            () -> {
              RunMode.warnIfSlow(Precision.BFLOAT16, true, Device.cpu());
              RunMode.warnIfSlow(Precision.BFLOAT16, false, Device.cpu());
              RunMode.warnIfSlow(Precision.BFLOAT16, false, Device.cpu());
            });
    assertThat(log.strip())
        .isEqualTo(
            "[main] WARN io.github.ddpm4j.unet.UNet - precision BFLOAT16 is slower than FLOAT32 on"
                + " cpu(), which is not known to have instructions for it; precision AUTO takes what"
                + " is faster");
  }

  @Test
  void bfloat16_askedFor_warnsAsTheHardwareIs() {
    RunMode.warned.clear();
    small().device(Device.cpu()).precision(Precision.BFLOAT16).build().close();
    assertThat(RunMode.warned.isEmpty()).isEqualTo(Hardware.hasBfloat16(Device.cpu()));
  }

  /** No processor is faster in it. */
  @Test
  void float16_askedFor_isHadWithAWarning() {
    RunMode.warned.clear();
    try (UNet unet = small().device(Device.cpu()).precision(Precision.FLOAT16).build()) {
      assertRunsAs(unet, Execution.COMPILED, Precision.FLOAT16);
      assertThat(unet.computesIn()).isEqualTo(DataType.FLOAT16);
    }
    assertThat(RunMode.warned).containsExactly(Precision.FLOAT16);
    UNetBuilder eager = small().execution(Execution.EAGER).precision(Precision.FLOAT16);
    assertThatThrownBy(eager::build)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "execution EAGER computes in float32, but precision was FLOAT16; choose execution"
                + " COMPILED or precision FLOAT32");
  }

  @Test
  void gpu_thatIsNotHere_isRefused() {
    Device device = Device.gpu(99);
    String message =
        "device must be one that is here, but was gpu(99), and the engine sees "
            + Engine.getInstance().getGpuCount()
            + " GPUs; use Device.cpu(), or a libtorch built for the GPU (leave pytorch-native-cpu off"
            + " the class path)";
    int before = NativeMemory.resources();
    assertThatThrownBy(() -> small().device(device).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
    assertThatThrownBy(() -> UNet.load(Path.of("no-model"), device))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
    assertThat(NativeMemory.resources()).isEqualTo(before);
  }

  @Test
  void auto_eager_float32AndSaysWhy() {
    String log =
        logged(
            () -> {
              try (UNet unet = small().device(Device.cpu()).build()) {
                unet.runAs(Execution.EAGER, Precision.AUTO);
                assertRunsAs(unet, Execution.EAGER, Precision.FLOAT32);
              }
            });
    assertThat(log.strip())
        .isEqualTo(
            "[main] INFO io.github.ddpm4j.unet.UNet - precision AUTO is FLOAT32 on cpu(), since"
                + " execution is EAGER");
  }

  /** What the build lets UNet log at INFO level; see this module's pom. */
  private static String logged(Runnable action) {
    PrintStream before = System.err;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (PrintStream capture = new PrintStream(bytes, true, StandardCharsets.UTF_8)) {
      System.setErr(capture);
      action.run();
    } finally {
      System.setErr(before);
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }
}
