package io.github.ddpm4j.process;

import static io.github.ddpm4j.Golden.assertClose;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ForwardProcessTest {

  private static final Schedule LINEAR = Schedules.linear(1000);
  private static final ForwardProcess PROCESS = ForwardProcess.of(LINEAR);

  private NDManager manager;

  @BeforeEach
  void openManager() {
    manager = NDManager.newBaseManager();
  }

  @AfterEach
  void closeManager() {
    manager.close();
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT64", "FLOAT32"})
  void sampleAndVelocity_golden_agree(DataType type) {
    double tolerance = type == DataType.FLOAT64 ? 1e-12 : 3e-7;
    Golden inputs = Golden.load("ddpm_steps.json").at("inputs");
    NDArray x0 = inputs.array(manager, type, "x0");
    NDArray noise = inputs.array(manager, type, "noise");
    Golden golden = Golden.load("forward_process.json");
    for (String key : golden.keys()) {
      String[] parts = key.split("\\|t=", -1);
      int t = Integer.parseInt(parts[1]);
      Schedule schedule = parts[0].equals("linear") ? LINEAR : Schedules.cosine(1000);
      ForwardProcess process = ForwardProcess.of(schedule);
      int[] each = {t, t};
      assertClose(
          key + " sample " + type,
          Golden.values(process.sample(x0, each, noise)),
          golden.data(key, "add_noise"),
          tolerance);
      assertClose(
          key + " velocity " + type,
          Golden.values(process.velocity(x0, noise, each)),
          golden.data(key, "velocity"),
          tolerance);
    }
  }

  @Test
  void sample_timestepPerImage_isThatOfEachAlone() {
    Golden golden = Golden.load("forward_process.json");
    Golden inputs = Golden.load("ddpm_steps.json").at("inputs");
    NDArray xt =
        PROCESS.sample(
            inputs.array(manager, DataType.FLOAT64, "x0"),
            new int[] {999, 1},
            inputs.array(manager, DataType.FLOAT64, "noise"));
    double[] late = golden.data("linear|t=999", "add_noise");
    double[] early = golden.data("linear|t=1", "add_noise");
    int image = late.length / 2;
    double[] expected = new double[late.length];
    System.arraycopy(late, 0, expected, 0, image);
    System.arraycopy(early, image, expected, image, image);
    assertClose("mixed timesteps", xt.toDoubleArray(), expected, 1e-12);
  }

  /** √ᾱ_t and the variances add up: t + 1 steps without noise, and the noise of each alone. */
  @Test
  void step_repeated_isSample() {
    ForwardProcess process = ForwardProcess.of(Schedules.linear(12, 0.01, 0.3));
    NDArray x0 = manager.create(new double[] {1, -2}, new Shape(1, 2));
    NDArray zero = manager.zeros(new Shape(1, 2), DataType.FLOAT64);
    NDArray one = manager.ones(new Shape(1, 2), DataType.FLOAT64);
    NDArray signal = x0;
    double variance = 0;
    for (int t = 0; t < 12; t++) {
      signal = process.step(signal, new int[] {t}, zero);
      double kept = process.step(one, new int[] {t}, zero).getDouble(0, 0);
      double added = process.step(zero, new int[] {t}, one).getDouble(0, 0);
      variance = kept * kept * variance + added * added;
      assertClose(
          "signal after " + t,
          signal.toDoubleArray(),
          process.sample(x0, new int[] {t}, zero).toDoubleArray(),
          1e-14);
      assertThat(variance).isCloseTo(1 - process.schedule().alphaBar(t), within(1e-14));
    }
  }

  @Test
  void posteriorMean_knownCoefficients_areApplied() {
    NDArray x0 = manager.create(new double[] {1, 0, 1, 0}, new Shape(2, 2));
    NDArray xt = manager.create(new double[] {0, 1, 0, 1}, new Shape(2, 2));
    assertClose(
        "posterior mean",
        PROCESS.posteriorMean(x0, xt, new int[] {1, 500}).toDoubleArray(),
        new double[] {.54529149951, .454708499, .0030580570756, .9941043508},
        1e-9);
    assertThat(PROCESS.posteriorMean(x0, xt, new int[] {0, 0}).toDoubleArray())
        .containsExactly(1, 0, 1, 0);
    assertThat(PROCESS.posteriorVariance(500)).isEqualTo(LINEAR.posteriorVariance(500));
    assertThat(PROCESS.schedule()).isSameAs(LINEAR);
    assertThat(PROCESS).hasToString("ForwardProcess[Schedule[linear, timesteps=1000]]");
  }

  /** Bayes: the posterior's mean and variance from the joint Gaussian of (x_{t−1}, x_t | x_0). */
  @Test
  void posterior_bayesRule_agrees() {
    for (int t = 1; t < 1000; t += 37) {
      double prior = 1 - LINEAR.alphaBarPrevious(t);
      double gain = prior * Math.sqrt(LINEAR.alpha(t)) / (LINEAR.alpha(t) * prior + LINEAR.beta(t));
      assertThat(LINEAR.posteriorMeanXt(t)).isCloseTo(gain, within(1e-12));
      assertThat(PROCESS.posteriorVariance(t))
          .isCloseTo(prior * (1 - gain * Math.sqrt(LINEAR.alpha(t))), within(1e-12));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 5})
  void everyMethod_anyRank_keepsShapeTypeAndManager(int rank) {
    long[] dimensions = {3, 4, 2, 5, 2};
    Shape shape = new Shape(Arrays.copyOf(dimensions, rank));
    int[] t = {0, 500, 999};
    for (DataType type : List.of(DataType.FLOAT32, DataType.FLOAT64)) {
      NDArray a = manager.randomNormal(shape).toType(type, false);
      NDArray b = manager.randomNormal(shape).toType(type, false);
      for (NDArray result :
          List.of(
              PROCESS.sample(a, t, b),
              PROCESS.step(a, t, b),
              PROCESS.posteriorMean(a, b, t),
              PROCESS.velocity(a, b, t))) {
        assertThat(result.getShape()).isEqualTo(shape);
        assertThat(result.getDataType()).isEqualTo(type);
        assertThat(result.getManager()).isSameAs(manager);
      }
    }
  }

  @Test
  void everyMethod_managers_keepNothingButTheResult() {
    try (NDManager other = NDManager.newBaseManager()) {
      NDArray a = manager.randomNormal(new Shape(2, 3, 4, 4));
      NDArray b = other.randomNormal(new Shape(2, 3, 4, 4));
      float[] before = a.toFloatArray();
      int[] t = {3, 997};
      int mine = manager.getManagedArrays().size();
      int others = other.getManagedArrays().size();
      for (int i = 0; i < 10; i++) {
        PROCESS.sample(a, t, b).close();
        PROCESS.step(a, t, b).close();
        PROCESS.posteriorMean(a, b, t).close();
        PROCESS.velocity(a, b, t).close();
      }
      assertThat(manager.getManagedArrays()).hasSize(mine);
      NDArray kept = PROCESS.sample(a, t, b);
      assertThat(manager.getManagedArrays()).hasSize(mine + 1).contains(kept);
      assertThat(other.getManagedArrays()).hasSize(others);
      assertThat(a.toFloatArray()).containsExactly(before);
      // A refused call leaves nothing behind either.
      assertThatThrownBy(() -> PROCESS.sample(a, new int[] {0, 1000}, b))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessage("t must be at least 0 and less than 1000, but was 1000");
      assertThat(manager.getManagedArrays()).hasSize(mine + 1);
    }
  }

  @Test
  void everyMethod_badArguments_areRefused() {
    NDArray x0 = manager.zeros(new Shape(2, 3, 4, 4));
    NDArray noise = manager.zeros(new Shape(2, 3, 4, 5));
    int[] t = {0, 1};
    assertRefused(
        () -> PROCESS.sample(x0, t, noise),
        "noise must have the shape of x0, (2, 3, 4, 4), but had (2, 3, 4, 5)");
    assertRefused(
        () -> PROCESS.velocity(x0, noise, t),
        "noise must have the shape of x0, (2, 3, 4, 4), but had (2, 3, 4, 5)");
    assertRefused(
        () -> PROCESS.step(x0, t, noise),
        "noise must have the shape of previous, (2, 3, 4, 4), but had (2, 3, 4, 5)");
    assertRefused(
        () -> PROCESS.posteriorMean(x0, noise, t),
        "xt must have the shape of x0, (2, 3, 4, 4), but had (2, 3, 4, 5)");
    assertRefused(
        () -> PROCESS.sample(x0, new int[] {5}, x0),
        "t must have one entry per image of x0, that is 2, but had 1");
    assertRefused(
        () -> PROCESS.sample(x0, t, x0.toType(DataType.FLOAT64, false)),
        "noise must have the data type of x0, float32, but had float64; convert one of them with"
            + " toType");
    NDArray bytes = manager.zeros(new Shape(2, 3), DataType.UINT8);
    assertRefused(
        () -> PROCESS.sample(bytes, t, bytes),
        "x0 must be float32 or float64, but was uint8; convert it with toType(DataType.FLOAT32,"
            + " false)");
    NDArray half = manager.zeros(new Shape(2, 3), DataType.FLOAT16);
    assertRefused(
        () -> PROCESS.step(half, t, half),
        "previous must be float32 or float64, but was float16; convert it with"
            + " toType(DataType.FLOAT32, false)");
    NDArray flat = manager.zeros(new Shape(2));
    assertRefused(
        () -> PROCESS.sample(flat, t, flat),
        "x0 must have a first dimension for the image and at least one more, but had shape (2); a"
            + " single image needs expandDims(0)");
    NDArray elsewhere = onDevice(x0, Device.gpu(3));
    assertRefused(
        () -> PROCESS.sample(x0, t, elsewhere),
        "noise must have the device of x0, cpu(), but had gpu(3); move one of them with toDevice");
    assertThatThrownBy(() -> PROCESS.posteriorVariance(-1))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("t must be at least 0 and less than 1000, but was -1");
  }

  private static void assertRefused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  /** An array that says it lies on another device, so that the test needs none. */
  private static NDArray onDevice(NDArray array, Device device) {
    return (NDArray)
        Proxy.newProxyInstance(
            NDArray.class.getClassLoader(),
            new Class<?>[] {NDArray.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("getDevice")) {
                return device;
              }
              try {
                return method.invoke(array, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
