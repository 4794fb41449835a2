package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.EasyTrain;
import ai.djl.training.ParameterStore;
import ai.djl.training.Trainer;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.model.Condition;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The network as a block of DJL. */
class UNetBlockTest {

  private static final int N = 16;

  private final NDManager manager = NDManager.newBaseManager();
  private final NDArray x = manager.create(values(1), new Shape(N, 1, 8, 8));
  private final double[] timesteps = new double[N];
  private final NDArray t;

  UNetBlockTest() {
    Arrays.setAll(timesteps, i -> i * 60);
    t = manager.create(timesteps).toType(DataType.FLOAT32, false);
  }

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void describe_block_inputsAndOutputs() {
    try (UNet unet = small(1)) {
      assertThat(unet.isInitialized()).isTrue();
      assertThat(unet.describeInput().keys()).containsExactly("images", "timesteps");
      assertThat(unet.describeInput().values())
          .containsExactly(new Shape(-1, 1, 8, 8), new Shape(-1));
      assertThat(unet.getOutputShapes(new Shape[] {new Shape(5, 1, 8, 8), new Shape(5)}))
          .containsExactly(new Shape(5, 1, 8, 8));
      assertThat(unet.getOutputDataTypes()).containsExactly(DataType.FLOAT32);
      assertThat(unet.getChildren()).isEmpty();
      assertThat(unet.getDirectParameters().size()).isEqualTo(unet.weights().size());
      assertThat(unet.getParameters().get("mid_block.attentions.0.to_out.0.weight").getType())
          .isEqualTo(Parameter.Type.WEIGHT);
    }
  }

  @Test
  void forward_inference_asPredict() {
    try (UNet unet = trained()) {
      NDArray expected = unet.predict(x, Levels.at(timesteps), Condition.none());
      ParameterStore store = new ParameterStore(manager, false);
      for (DataType type : new DataType[] {DataType.FLOAT32, DataType.INT64, DataType.FLOAT64}) {
        NDList output = unet.forward(store, new NDList(x, t.toType(type, false)), false);
        assertThat(output).hasSize(1);
        assertThat(output.singletonOrThrow()).isEqualTo(expected);
      }
    }
  }

  @Test
  void train_djlTrainer_lossFalls() throws Exception {
    try (UNet unet = small(3);
        Model model = Model.newInstance("unet")) {
      model.setBlock(unet);
      double before = loss(unet);
      train(model, 15);
      double after = loss(unet);
      System.out.printf(
          Locale.ROOT, "DJL's trainer: loss %.4f before and %.4f after%n", before, after);
      assertThat(after).isLessThan(0.7 * before);
    }
  }

  @Test
  void saveAndLoad_djlModel_exactAndTrainable(@TempDir Path folder) throws Exception {
    try (UNet saved = trained();
        UNet loaded = small(4);
        Model out = Model.newInstance("unet");
        Model in = Model.newInstance("unet")) {
      out.setBlock(saved);
      out.save(folder, "unet");
      NDArray live = loaded.weights().values().iterator().next();
      in.setBlock(loaded);
      in.load(folder, "unet");

      assertThat(loaded.weights().keySet()).isEqualTo(saved.weights().keySet());
      loaded
          .weights()
          .forEach(
              (name, weight) -> {
                assertThat(weight.hasGradient()).as(name).isTrue();
                assertThat(weight.toFloatArray())
                    .as(name)
                    .containsExactly(
                        Objects.requireNonNull(saved.weights().get(name)).toFloatArray());
              });
      assertThat(loaded.weights().values().iterator().next()).isSameAs(live);
      double before = loss(loaded);
      train(in, 3);
      assertThat(loss(loaded)).isNotEqualTo(before);
    }
  }

  @Test
  void load_weightsOfAnotherNetwork_refusedByName() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (UNet wide = UNet.builder().image(1, 8, 8).levelChannels(12, 16).groups(4).build();
        UNet unet = small(1)) {
      wide.saveParameters(new DataOutputStream(bytes));
      assertThatThrownBy(
              () ->
                  unet.loadParameters(
                      manager, new DataInputStream(new ByteArrayInputStream(bytes.toByteArray()))))
          .isInstanceOf(MalformedModelException.class)
          .hasMessage(
              "weight conv_in.weight must have the shape (8, 1, 3, 3), but the saved one has"
                  + " (12, 1, 3, 3)");
    }
  }

  /** All or nothing: the weights before the one that does not fit are not written either. */
  @Test
  void load_laterWeightDoesNotFit_nothingChanged() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (UNet deeper = UNet.builder().image(1, 8, 8).levelChannels(8, 16).groups(4).build();
        UNet unet = small(1)) {
      deeper.saveParameters(new DataOutputStream(bytes));
      float[] before = unet.weights().get("conv_in.weight").toFloatArray();
      assertThat(deeper.weights().get("conv_in.weight").toFloatArray()).isNotEqualTo(before);
      byte[] cut = Arrays.copyOf(bytes.toByteArray(), bytes.size() / 2);
      assertThatThrownBy(
              () ->
                  unet.loadParameters(manager, new DataInputStream(new ByteArrayInputStream(cut))))
          .isInstanceOfAny(IOException.class, MalformedModelException.class);
      assertThat(unet.weights().get("conv_in.weight").toFloatArray()).containsExactly(before);
    }
  }

  /** Each pass through DJL's trainer has a dropout of its own, the same for the same seed. */
  @Test
  void forward_training_anotherDropoutEachTime() {
    try (UNet unet = small(3);
        UNet same = small(3)) {
      float[] first = pass(unet);
      assertThat(pass(same)).containsExactly(first);
      assertThat(pass(unet)).isNotEqualTo(first);
    }
  }

  private float[] pass(UNet unet) {
    return unet.forward(new ParameterStore(manager, false), new NDList(x, t), true)
        .head()
        .toFloatArray();
  }

  @Test
  void clear_thenInitialize_firstWeightsAgain() {
    try (UNet unet = trained();
        UNet fresh = small(3)) {
      unet.clear();
      assertThatThrownBy(unet::weights).isInstanceOf(IllegalStateException.class);
      unet.initialize(manager, DataType.FLOAT32, new Shape(1, 1, 8, 8), new Shape(1));
      assertThat(unet.weights().get("conv_in.weight"))
          .isEqualTo(fresh.weights().get("conv_in.weight"));
      assertThat(unet.weights().values()).allMatch(NDArray::hasGradient);
    }
  }

  @Test
  void block_badInputs_refused() {
    try (UNet unet = small(1)) {
      ParameterStore store = new ParameterStore(manager, false);
      refused(
          "the U-Net takes 2 inputs, images and timesteps, but got 1",
          () -> unet.forward(store, new NDList(x), false));
      refused(
          "timesteps must have the shape (16), one per image, but have (16, 1)",
          () -> unet.forward(store, new NDList(x, t.reshape(N, 1)), false));
      refused(
          "images must have the shape (N, 1, 8, 8), but have (16, 64)",
          () -> unet.forward(store, new NDList(x.reshape(N, 64), t), false));
      refused(
          "the U-Net takes 2 inputs, images and timesteps, but got 1",
          () -> unet.initialize(manager, DataType.FLOAT32, new Shape(1, 1, 8, 8)));
      refused(
          "weights must be float32, but float16 was asked",
          () -> unet.initialize(manager, DataType.FLOAT16, new Shape(1, 1, 8, 8), new Shape(1)));
      refused(
          "images must have the shape (N, 1, 8, 8), but have (1, 1, 4, 4)",
          () -> unet.getOutputShapes(new Shape[] {new Shape(1, 1, 4, 4), new Shape(1)}));
      refused(
          "timesteps must have the shape (2), one per image, but have (3)",
          () -> unet.getOutputShapes(new Shape[] {new Shape(2, 1, 8, 8), new Shape(3)}));
    }
  }

  private static void refused(String message, Runnable call) {
    assertThatThrownBy(call::run).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  private UNet small(long seed) {
    return UNet.builder()
        .image(1, 8, 8)
        .levelChannels(8, 16)
        .groups(4)
        .attentionAt(4)
        .residualBlocks(1)
        .seed(seed)
        .build();
  }

  /** A network after a few steps of DJL's trainer. */
  private UNet trained() {
    UNet unet = small(3);
    try (Model model = Model.newInstance("unet")) {
      model.setBlock(unet);
      train(model, 3);
    }
    return unet;
  }

  /** The target is half of the input, which a network that starts at zero can learn at once. */
  private void train(Model model, int epochs) {
    DefaultTrainingConfig config =
        new DefaultTrainingConfig(Loss.l2Loss())
            .optOptimizer(Optimizer.adam().optLearningRateTracker(Tracker.fixed(3e-3f)).build());
    ArrayDataset dataset =
        new ArrayDataset.Builder()
            .setData(x, t)
            .optLabels(x.mul(0.5))
            .setSampling(8, false)
            .build();
    try (Trainer trainer = model.newTrainer(config)) {
      trainer.initialize(new Shape(8, 1, 8, 8), new Shape(8));
      EasyTrain.fit(trainer, epochs, dataset, null);
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private double loss(UNet unet) {
    NDArray y = unet.predict(x, Levels.at(timesteps), Condition.none());
    return y.sub(x.mul(0.5)).square().mean().getFloat();
  }

  private static float[] values(long seed) {
    Random random = new Random(seed);
    float[] values = new float[N * 64];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }
}
