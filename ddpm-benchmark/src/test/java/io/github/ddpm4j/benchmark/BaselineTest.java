package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetConfig;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The baselines do the same work as what is compared with them. */
class BaselineTest {

  private static final double TOLERANCE = 1e-4;

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());

  @AfterEach
  void free() {
    manager.close();
  }

  /** Two levels, two heads, padding and an upsampling. */
  private static final Preset SMALL =
      new Preset(
          "small",
          () ->
              UNet.builder()
                  .image(3, 12, 8)
                  .baseChannels(8)
                  .channelMultipliers(1, 2)
                  .residualBlocks(1)
                  .attentionAtLevels(1)
                  .heads(2)
                  .groups(4)
                  .downsamplePadding(UNetConfig.DownsamplePadding.RIGHT_BOTTOM)
                  .dropout(0));

  @Test
  void primitives_predictionAndGradients_areThoseOfTheNetwork() {
    NDArray x = manager.randomNormal(new Shape(2, 3, 12, 8));
    NDArray noise = manager.randomNormal(x.getShape());
    NoiseLevels levels =
        NoiseLevels.of(new double[] {3, 700}, new double[] {1, 0.1}, new double[] {0.1, 0.9});
    try (Subject primitives = new Subject(SMALL, Variant.PRIMITIVES, Device.cpu());
        Subject eager = new Subject(SMALL, Variant.EAGER_FLOAT32, Device.cpu())) {
      // The last layers of a fresh network are as good as zero.
      List.of(primitives, eager).forEach(BaselineTest::enlarge);
      assertClose(
          primitives.predict(x, levels, Condition.none()),
          eager.predict(x, levels, Condition.none()),
          "prediction");
      float one = StepTimes.backward(primitives, x, levels, noise, 0);
      float two = StepTimes.backward(eager, x, levels, noise, 0);
      assertThat(one).isCloseTo(two, within(1e-4f));
      eager
          .unet()
          .weights()
          .forEach(
              (name, weight) ->
                  assertClose(
                      primitives.unet().weights().get(name).getGradient(),
                      weight.getGradient(),
                      name));
    }
  }

  private static void enlarge(Subject subject) {
    try (GradMode off = GradMode.off()) {
      subject.unet().weights().values().forEach(w -> w.addi(0.05f));
    }
  }

  /** DJL's dropout draws its own masks: about a tenth of the values are zero. */
  @Test
  void primitives_dropout_inTrainingOnly() {
    NDArray ones = manager.ones(new Shape(10_000));
    assertThat(new PrimitiveOps(false).dropout(ones, 0.1, 0)).isSameAs(ones);
    assertThat(new PrimitiveOps(true).dropout(ones, 0, 0)).isSameAs(ones);
    float mean;
    try (GradMode off = GradMode.off()) {
      NDArray dropped = new PrimitiveOps(true).dropout(ones, 0.1, 0);
      mean = dropped.eq(0).toType(DataType.FLOAT32, false).mean().getFloat();
    }
    assertThat(mean).isBetween(0.05f, 0.15f);
  }

  @Test
  void primitives_otherOperations_asEager() {
    NDArray a = manager.create(new float[] {1, 2, 3, 4}, new Shape(2, 2));
    NDArray b = manager.create(new float[] {5, 6, 7, 8}, new Shape(2, 2));
    PrimitiveOps ops = new PrimitiveOps(false);
    assertThat(ops.subtract(a, b).toFloatArray()).containsExactly(-4, -4, -4, -4);
    assertThat(ops.multiply(a, b).toFloatArray()).containsExactly(5, 12, 21, 32);
    assertThat(ops.square(a).toFloatArray()).containsExactly(1, 4, 9, 16);
    assertThat(ops.meanPerImage(a).toFloatArray()).containsExactly(1.5f, 3.5f);
  }

  @Test
  void updates_oneStep_same() {
    NDList weights = new NDList(manager.randomNormal(new Shape(3, 4)), manager.ones(new Shape(5)));
    NDList gradients =
        new NDList(manager.randomNormal(new Shape(3, 4)), manager.randomNormal(new Shape(5)));
    Tensors one = tensors(weights, gradients);
    Tensors two = tensors(weights, gradients);
    PerTensorUpdate perTensor = new PerTensorUpdate(one);
    perTensor.optimize();
    perTensor.average();
    try (FusedUpdate fused = new FusedUpdate(two, manager)) {
      fused.optimize();
      fused.average();
    }
    for (int i = 0; i < weights.size(); i++) {
      assertThat(one.weights().get(i).toFloatArray())
          .as("changed")
          .isNotEqualTo(weights.get(i).toFloatArray());
      assertClose(two.weights().get(i), one.weights().get(i), "weight");
      assertClose(two.averages().get(i), one.averages().get(i), "average");
      assertClose(two.firstMoments().get(i), one.firstMoments().get(i), "first moment");
      assertClose(two.secondMoments().get(i), one.secondMoments().get(i), "second moment");
    }
  }

  private Tensors tensors(NDList weights, NDList gradients) {
    NDList own = new NDList();
    weights.forEach(w -> own.add(w.duplicate()));
    NDList ownGradients = new NDList();
    gradients.forEach(g -> ownGradients.add(g.duplicate()));
    return Tensors.of(manager, own, ownGradients);
  }

  @Test
  void clip_longGradient_broughtDown() {
    NDList gradients = new NDList(manager.full(new Shape(4), 3f), manager.full(new Shape(7), 4f));
    PerTensorUpdate update =
        new PerTensorUpdate(Tensors.of(manager, List.copyOf(gradients), gradients));
    assertThat(update.clip(manager)).isEqualTo((float) (1 / Math.sqrt(36 + 112)));
    gradients.forEach(g -> g.muli(0.01f));
    assertThat(update.clip(manager)).isOne();
  }

  private static void assertClose(NDArray actual, NDArray expected, String what) {
    float[] a = actual.toFloatArray();
    float[] b = expected.toFloatArray();
    double difference = 0;
    double size = 0;
    for (int i = 0; i < b.length; i++) {
      difference = Math.max(difference, Math.abs(a[i] - b[i]));
      size = Math.max(size, Math.abs(b[i]));
    }
    assertThat(difference).as("largest difference of %s", what).isLessThan(TOLERANCE * size + 1e-7);
  }
}
