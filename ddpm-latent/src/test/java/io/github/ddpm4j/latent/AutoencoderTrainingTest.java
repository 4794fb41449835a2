package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.internal.data.SeededSampler;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Training of autoencoders, against the same worked out operation by operation, and their files.
 */
class AutoencoderTrainingTest {

  private static final int PICTURES = 32;
  private static final double RATE = 1e-3;

  /** Of a mean of the divergence, for 2 latents in place of 4 pixels. */
  private static final double KL_WEIGHT = 0.5;

  private static final double SHARE = 2.0 / 4;

  private final NDManager manager = NDManager.newBaseManager();

  @TempDir private Path folder;

  @AfterEach
  void close() {
    Thread.interrupted();
    manager.close();
  }

  private static Map<String, float[]> values(Autoencoder autoencoder) {
    Map<String, float[]> values = new LinkedHashMap<>();
    autoencoder.weights().forEach((name, weight) -> values.put(name, weight.toFloatArray()));
    return values;
  }

  private ArrayDataset data() {
    return Halves.dataset(manager, PICTURES, PICTURES);
  }

  /** The pictures of the first step of seed 5 and its noise. */
  private NDArray firstBatch() {
    List<Long> order = new SeededSampler(PICTURES, PICTURES, 5, 0).sample(data()).next();
    NDArray all = Halves.pictures(manager, PICTURES, 1);
    return all.get(manager.create(order.stream().mapToLong(i -> i).toArray()));
  }

  private NDArray noise(long pass) {
    CounterRandom random = CounterRandom.of(5, CounterRandom.Stream.TRAINING_NOISE);
    NoiseSource source = (place, draw, target) -> random.normal(pass, place, target);
    return source.array(manager, 0, 0, new Shape(PICTURES, 2, 4, 4), DataType.FLOAT32);
  }

  /** The loss by the two passes for training, and its parts. */
  private static NDArray[] loss(Autoencoder autoencoder, NDArray x, NDArray noise) {
    Autoencoder.Latents latents = autoencoder.encodeForTraining(x);
    NDArray mean = latents.mean();
    NDArray log = latents.logVariance().orElseThrow();
    NDArray error = autoencoder.decodeForTraining(latents.draw(noise)).sub(x).square().mean();
    NDArray divergence =
        mean.square().add(log.exp()).sub(log).mean().sub(mean.getManager().create(1f));
    NDArray half = divergence.getManager().create((float) (0.5 * KL_WEIGHT * SHARE));
    return new NDArray[] {error.add(divergence.mul(half)), error, divergence};
  }

  /** The first step of Adam goes by the rate against the sign of each slope. */
  @ParameterizedTest
  @EnumSource(Execution.class)
  void fit_oneStep_lossAndUpdateAsByHand(Execution execution) {
    List<AutoencoderTraining.Step> steps = new ArrayList<>();
    try (Autoencoder autoencoder = Halves.autoencoder().build();
        Autoencoder other = Halves.autoencoder().build()) {
      autoencoder.runAs(execution, Precision.FLOAT32);
      NDArray x = firstBatch();
      other.weights().values().forEach(weight -> weight.setRequiresGradient(true));
      double[] expected = new double[3];
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        NDArray[] loss = loss(other, x, noise(0));
        collector.backward(loss[0]);
        for (int i = 0; i < 3; i++) {
          expected[i] = loss[i].toFloatArray()[0];
        }
      }
      autoencoder
          .training()
          .steps(1)
          .learningRate(RATE)
          .klWeight(KL_WEIGHT)
          .seed(5)
          .listener(steps::add)
          .fit(data());
      assertThat(steps).hasSize(1);
      AutoencoderTraining.Step step = steps.get(0);
      assertThat(step.number()).isEqualTo(1);
      assertThat(step.loss()).isCloseTo(expected[0], within(1e-5));
      assertThat(step.squaredError()).isCloseTo(expected[1], within(1e-5));
      assertThat(step.divergence()).isCloseTo(expected[2] / 2, within(1e-5));
      Map<String, float[]> after = values(autoencoder);
      other
          .weights()
          .forEach(
              (name, weight) -> {
                float[] before = weight.toFloatArray();
                float[] slopes = weight.getGradient().toFloatArray();
                for (int i = 0; i < before.length; i++) {
                  double size = Math.abs(slopes[i]);
                  // Below, rounding decides: of keys a bias has no slope at all.
                  if (size > 1e-5) {
                    assertThat((double) after.get(name)[i])
                        .as(name)
                        .isCloseTo(
                            before[i] - RATE * slopes[i] / (size + 1e-8), within(RATE / 100));
                  }
                }
                weight.setRequiresGradient(false);
              });
      assertThat(autoencoder.weights().values()).noneMatch(NDArray::hasGradient);
    }
  }

  /** Latents of the first batch have a variance of 1 with the scale that was measured. */
  @Test
  void fit_someSteps_lossFallsAndScaleIsMeasured() {
    List<AutoencoderTraining.Step> steps = new ArrayList<>();
    try (Autoencoder autoencoder = Halves.autoencoder().build()) {
      assertThat(autoencoder.scale()).isEqualTo(1);
      autoencoder.training().steps(60).learningRate(1e-2).seed(5).listener(steps::add).fit(data());
      assertThat(steps.get(59).squaredError()).isLessThan(0.2 * steps.get(0).squaredError());
      try (Autoencoder.Latents latents = autoencoder.encode(firstBatch())) {
        float[] drawn = latents.draw(noise(60)).toFloatArray();
        double mean = 0;
        double squares = 0;
        for (float value : drawn) {
          mean += value / drawn.length;
          squares += (double) value * value;
        }
        double variance = (squares - drawn.length * mean * mean) / (drawn.length - 1);
        assertThat(variance).isCloseTo(1, within(1e-4));
        assertThat(autoencoder.scale()).isNotEqualTo(1);
        // What was not trained on comes back, too.
        NDArray x = Halves.pictures(manager, 8, 2);
        try (Autoencoder.Latents unseen = autoencoder.encode(x)) {
          NDArray y = autoencoder.decode(unseen.mode());
          assertThat(y.sub(x).square().mean().getFloat()).isLessThan(0.1f);
        }
      }
    }
  }

  @Test
  void fit_sameSeed_sameWeights() {
    Map<String, float[]> first = null;
    for (long seed : new long[] {5, 5, 6}) {
      try (Autoencoder autoencoder = Halves.autoencoder().build()) {
        autoencoder.training().steps(3).batchSize(4).learningRate(RATE).seed(seed).fit(data());
        Map<String, float[]> own = values(autoencoder);
        if (first == null) {
          first = own;
        } else if (seed == 5) {
          assertThat(own).usingRecursiveComparison().isEqualTo(first);
        } else {
          assertThat(own.get("decoder.conv_in.weight"))
              .isNotEqualTo(first.get("decoder.conv_in.weight"));
        }
      }
    }
  }

  @Test
  void fit_leavesNothingBesideTheWeights() {
    try (Autoencoder autoencoder = Halves.autoencoder().build()) {
      NDManager own = autoencoder.weights().values().iterator().next().getManager();
      int before = own.getManagedArrays().size();
      ArrayDataset data = data();
      int given = manager.getManagedArrays().size();
      autoencoder.training().steps(3).seed(5).fit(data);
      assertThat(own.getManagedArrays()).hasSize(before);
      assertThat(manager.getManagedArrays()).hasSize(given);
    }
  }

  @Test
  void fit_rateThatIsTooHigh_endsBeforeTheWeightsBreak() {
    try (Autoencoder autoencoder = Halves.autoencoder().build()) {
      Map<Integer, Map<String, float[]>> seen = new LinkedHashMap<>();
      assertThatThrownBy(
              () ->
                  autoencoder
                      .training()
                      .steps(3)
                      .learningRate(1e30)
                      .seed(5)
                      .listener(step -> seen.put(step.number(), values(autoencoder)))
                      .fit(data()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the loss of step 2 is NaN with a gradient of norm NaN; the weights are those before"
                  + " the step: train with a lower learning rate");
      assertThat(seen).containsOnlyKeys(1);
      assertThat(values(autoencoder)).usingRecursiveComparison().isEqualTo(seen.get(1));
      assertThat(autoencoder.weights().values()).noneMatch(NDArray::hasGradient);
    }
  }

  /** Means whose squares are beyond float32, while no slope is: the decoder does not see them. */
  @Test
  void fit_infiniteLossOfAFiniteGradient_changesNothing() {
    try (Autoencoder autoencoder = Halves.autoencoder().build()) {
      autoencoder.weights().get("quant_conv.bias").set(new float[] {3e19f, 3e19f, 0, 0});
      autoencoder.weights().get("post_quant_conv.weight").muli(0);
      autoencoder.weights().get("decoder.conv_in.weight").muli(0);
      Map<String, float[]> before = values(autoencoder);
      assertThatThrownBy(
              () -> autoencoder.training().steps(1).learningRate(RATE).seed(5).fit(data()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageMatching(
              "the loss of step 1 is Infinity with a gradient of norm [0-9.E]+; the weights are"
                  + " those before the step: train with a lower learning rate");
      assertThat(values(autoencoder)).usingRecursiveComparison().isEqualTo(before);
    }
  }

  @Test
  void fit_interrupted_endsBetweenSteps() {
    try (Autoencoder autoencoder = Halves.autoencoder().build()) {
      assertThatThrownBy(
              () ->
                  autoencoder
                      .training()
                      .steps(9)
                      .seed(5)
                      .listener(step -> Thread.currentThread().interrupt())
                      .fit(data()))
          .isInstanceOf(CancellationException.class)
          .hasMessage("training the autoencoder was interrupted after 1 steps");
      assertThat(Thread.interrupted()).isTrue();
      assertThat(autoencoder.scale()).isEqualTo(1);
    }
  }

  @Test
  void fit_whatCannotBe_refused() throws IOException {
    try (Autoencoder autoencoder = Halves.autoencoder().build()) {
      AutoencoderTraining training = autoencoder.training().seed(1);
      assertThatThrownBy(() -> training.fit(data()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the length of the run is not set; call steps(n)");
      assertThatThrownBy(() -> training.steps(1).batchSize(33).fit(data()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("batchSize must be at most the size of the dataset, 32, but was 33");
      training.batchSize(2);
      NDArray odd = manager.zeros(new Shape(2, 1, 7, 8));
      assertThatThrownBy(() -> training.fit(dataset(odd)))
          .hasMessage(
              "images must have a height and a width that are multiples of 2, but have the shape"
                  + " (2, 1, 7, 8); cut or resize them");
      NDArray bright = manager.full(new Shape(2, 1, 8, 8), 255f);
      assertThatThrownBy(() -> training.fit(dataset(bright)))
          .hasMessage(
              "training data (images 1, 0 of the dataset) must lie in the data range [-1.0, 1.0],"
                  + " but holds values from 255.0 to 255.0, which looks like 0..255; map them by"
                  + " images.div(127.5).sub(1), or set dataRange(min, max) when building DDPM");
      assertThatThrownBy(() -> training.steps(0)).hasMessage("steps must be at least 1, but was 0");
      assertThatThrownBy(() -> training.batchSize(0))
          .hasMessage("batchSize must be at least 1, but was 0");
      assertThatThrownBy(() -> training.learningRate(0))
          .hasMessage("learningRate must be positive, but was 0.0");
      assertThatThrownBy(() -> training.klWeight(-1))
          .hasMessage("klWeight must be at least 0, but was -1.0");
      autoencoder.hold(Precision.BFLOAT16);
      assertThatThrownBy(() -> training.fit(data()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the weights of the autoencoder are held in BFLOAT16, for use alone; call"
                  + " hold(Precision.FLOAT32) first");
      assertThatThrownBy(() -> autoencoder.save(folder.resolve("held")))
          .isInstanceOf(IllegalStateException.class);
    }
    PartFixture fixture = PartFixture.read("vq", manager);
    fixture.config.put("_class_name", "VQModel");
    try (Autoencoder quantized =
        Autoencoder.load(fixture.write(folder, "diffusion_pytorch_model.safetensors"))) {
      assertThatThrownBy(quantized::training)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the autoencoder has a book of codes, which training() does not know; train it by a"
                  + " loop of your own over encodeForTraining(images) and"
                  + " decodeForTraining(latents)");
    }
  }

  private static ArrayDataset dataset(NDArray pictures) {
    return new ArrayDataset.Builder().setData(pictures).setSampling(2, true).build();
  }

  @Test
  void build_whatCannotBe_refused() {
    AutoencoderBuilder builder = Halves.autoencoder();
    assertThatThrownBy(() -> builder.levelChannels())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the number of levelChannels must be from 1 to 16, but was 0");
    assertThatThrownBy(() -> builder.levelChannels(8, 0))
        .hasMessage("levelChannels must be from 1 to 65536, but was 0");
    assertThatThrownBy(() -> builder.imageChannels(0))
        .hasMessage("imageChannels must be from 1 to 65536, but was 0");
    assertThatThrownBy(() -> builder.latentChannels(-1))
        .hasMessage("latentChannels must be from 1 to 65536, but was -1");
    assertThatThrownBy(() -> builder.residualBlocks(0))
        .hasMessage("residualBlocks must be from 1 to 64, but was 0");
    assertThatThrownBy(() -> builder.groups(0))
        .hasMessage("groups must be from 1 to 65536, but was 0");
    assertThatThrownBy(() -> builder.groups(3).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "groups must divide the channels of every norm, but 3 does not divide the 4 of"
                + " encoder.down_blocks.0.resnets.0.norm1");
  }

  /** Saved and loaded, and what is there already. */
  @Test
  void save_andLoad_theSame() throws IOException {
    Path vae = folder.resolve("model/vae");
    try (Autoencoder autoencoder = Halves.autoencoder().build()) {
      autoencoder.scale(0.75);
      autoencoder.save(vae);
      autoencoder.scale(0.5);
      autoencoder.save(vae);
      NDArray x = Halves.pictures(manager, 2, 1);
      try (Autoencoder loaded = Autoencoder.load(vae);
          Autoencoder.Latents own = autoencoder.encode(x);
          Autoencoder.Latents latents = loaded.encode(x)) {
        assertThat(loaded.scale()).isEqualTo(0.5);
        assertThat(values(loaded)).usingRecursiveComparison().isEqualTo(values(autoencoder));
        assertThat(latents.mode().toFloatArray()).isEqualTo(own.mode().toFloatArray());
        assertThat(loaded.config().words(0.5)).isEqualTo(autoencoder.config().words(0.5));
      }
      Path other = Files.createDirectories(folder.resolve("other"));
      Files.writeString(other.resolve("config.json"), "{\"_class_name\": \"UNet2DModel\"}");
      assertThatThrownBy(() -> autoencoder.save(other))
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessage(
              other
                  + ": it holds config.json of something else than an autoencoder; choose another"
                  + " folder");
      autoencoder.weights().get("quant_conv.bias").set(new float[] {0, 0, 0, Float.NaN});
      assertThatThrownBy(() -> autoencoder.save(vae))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "weights must be finite to be saved, but quant_conv.bias holds NaN or infinity, with"
                  + " which every prediction is NaN; go back to weights from before, or load the"
                  + " autoencoder anew");
      try (Autoencoder kept = Autoencoder.load(vae)) {
        assertThat(kept.scale()).isEqualTo(0.5);
      }
    }
  }

  /** New weights without their scale, or the other way round, would decode to other pictures. */
  @Test
  void save_thatFails_theOldOneIsWhole() throws IOException {
    Path vae = folder.resolve("vae");
    try (Autoencoder autoencoder = Halves.autoencoder().build()) {
      autoencoder.scale(0.75);
      autoencoder.save(vae);
      Map<String, float[]> before = values(autoencoder);
      autoencoder.weights().get("quant_conv.bias").set(new float[] {1, 2, 3, 4});
      autoencoder.scale(Double.NaN); // which JSON does not have
      assertThatThrownBy(() -> autoencoder.save(vae)).isInstanceOf(IllegalArgumentException.class);
      try (Autoencoder kept = Autoencoder.load(vae)) {
        assertThat(kept.scale()).isEqualTo(0.75);
        assertThat(values(kept)).usingRecursiveComparison().isEqualTo(before);
      }
      autoencoder.scale(2);
      Path link = Files.createSymbolicLink(folder.resolve("link"), vae);
      autoencoder.save(link);
      assertThat(link).isSymbolicLink();
      try (Autoencoder anew = Autoencoder.load(vae)) {
        assertThat(anew.scale()).isEqualTo(2);
        assertThat(values(anew)).usingRecursiveComparison().isEqualTo(values(autoencoder));
      }
      Path odd = folder.resolve("odd/diffusion_pytorch_model.safetensors");
      Files.createDirectories(odd);
      assertThatThrownBy(() -> autoencoder.save(folder.resolve("odd")))
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessage(
              folder.resolve("odd")
                  + ": it holds diffusion_pytorch_model.safetensors of something else than an"
                  + " autoencoder; choose another folder");
    }
    try (Stream<Path> all = Files.list(folder)) {
      assertThat(all.map(path -> String.valueOf(path.getFileName())))
          .containsExactlyInAnyOrder("vae", "link", "odd");
    }
  }

  /** What a book of codes says of itself is written, too. */
  @Test
  void save_quantized_theSame() throws IOException {
    PartFixture fixture = PartFixture.read("vq", manager);
    fixture.config.put("_class_name", "VQModel");
    try (Autoencoder vq =
        Autoencoder.load(fixture.write(folder, "diffusion_pytorch_model.safetensors"))) {
      vq.save(folder.resolve("again"));
      try (Autoencoder again = Autoencoder.load(folder.resolve("again"))) {
        assertThat(again.config()).isEqualTo(vq.config());
        assertThat(values(again)).usingRecursiveComparison().isEqualTo(values(vq));
      }
    }
  }
}
