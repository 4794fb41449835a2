package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import com.google.gson.Gson;
import com.google.gson.JsonParser;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Autoencoders against diffusers, their gradients, and the files that they come from. */
class AutoencoderTest {

  private static final double BOUND = 1e-4;
  private static final double BFLOAT16_BOUND = 0.1;

  private final NDManager manager = NDManager.newBaseManager();

  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private PartFixture fixture(String name) throws IOException {
    PartFixture fixture = PartFixture.read(name, manager);
    fixture.config.put("_class_name", name.equals("vq") ? "VQModel" : "AutoencoderKL");
    return fixture;
  }

  private Path written(PartFixture fixture) throws IOException {
    return fixture.write(folder, "diffusion_pytorch_model.safetensors");
  }

  private Autoencoder load(PartFixture fixture) throws IOException {
    return Autoencoder.load(written(fixture));
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void kl_fixture_asThere(Execution execution) throws IOException {
    PartFixture fixture = fixture("autoencoder_kl");
    try (Autoencoder autoencoder = load(fixture).runAs(execution, Precision.FLOAT32);
        Autoencoder.Latents latents = autoencoder.encode(fixture.value("input"))) {
      PartFixture.assertClose(latents.mean(), fixture.value("mean"), BOUND);
      PartFixture.assertClose(latents.logVariance().orElseThrow(), fixture.value("logvar"), BOUND);
      NDArray images = autoencoder.decode(fixture.value("mean").mul(autoencoder.scale()));
      PartFixture.assertClose(images, fixture.value("output"), BOUND);
      PartFixture.assertClose(autoencoder.decode(latents.mode()), fixture.value("output"), BOUND);
      assertThat(images.getManager()).isSameAs(manager);
    }
  }

  @ParameterizedTest
  @EnumSource(Execution.class)
  void vq_fixture_asThere(Execution execution) throws IOException {
    PartFixture fixture = fixture("vq");
    try (Autoencoder autoencoder = load(fixture).runAs(execution, Precision.FLOAT32);
        Autoencoder.Latents latents = autoencoder.encode(fixture.value("input"))) {
      assertThat(autoencoder.scale()).isEqualTo(1);
      assertThat(autoencoder.isQuantized()).isTrue();
      PartFixture.assertClose(latents.mean(), fixture.value("latents"), BOUND);
      assertThat(latents.logVariance()).isEmpty();
      NDArray numbers = autoencoder.codes(latents.mode());
      PartFixture.assertClose(numbers.toType(DataType.FLOAT32, false), fixture.value("indices"), 0);
      PartFixture.assertClose(autoencoder.decode(latents.mode()), fixture.value("output"), BOUND);
      PartFixture.assertClose(
          autoencoder.decodeRaw(fixture.value("latents")),
          fixture.value("output_unquantized"),
          BOUND);
      NDArray noise = manager.ones(latents.mean().getShape());
      PartFixture.assertClose(latents.draw(noise), latents.mean(), 0);
    }
  }

  @Test
  void kl_bfloat16_about() throws IOException {
    PartFixture fixture = fixture("autoencoder_kl");
    try (Autoencoder autoencoder = load(fixture).runAs(Execution.COMPILED, Precision.BFLOAT16);
        Autoencoder.Latents latents = autoencoder.encode(fixture.value("input"))) {
      assertThat(latents.mean().getDataType()).isEqualTo(DataType.FLOAT32);
      PartFixture.assertClose(latents.mean(), fixture.value("mean"), BFLOAT16_BOUND);
      NDArray images = autoencoder.decode(fixture.value("mean").mul(autoencoder.scale()));
      PartFixture.assertClose(images, fixture.value("output"), BFLOAT16_BOUND);
      assertThat(images.sub(fixture.value("output")).abs().max().getFloat()).isPositive();
    }
  }

  /** What has begun has its codes to the end: another thread that closes waits for it. */
  @Test
  void close_whileCodesAreLookedUp_waits() throws Exception {
    PartFixture fixture = fixture("vq");
    Autoencoder autoencoder = load(fixture);
    NDArray latents = fixture.value("latents");
    AtomicInteger managersAsked = new AtomicInteger();
    NDArray counted = whenManagerIsAsked(latents, managersAsked::incrementAndGet);
    NDArray expected = autoencoder.codes(counted);
    int last = managersAsked.getAndSet(0);
    Thread closing = new Thread(autoencoder::close);
    NDArray closedMeanwhile =
        whenManagerIsAsked(
            latents,
            () -> {
              // The last time is when the codes are already at hand.
              if (managersAsked.incrementAndGet() == last) {
                closing.start();
                join(closing, 200);
              }
            });
    assertThat(autoencoder.codes(closedMeanwhile)).isEqualTo(expected);
    join(closing, 0);
    assertThatThrownBy(() -> autoencoder.codes(latents))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the autoencoder is closed and its weights are freed; load it again");
  }

  private static NDArray whenManagerIsAsked(NDArray array, Runnable then) {
    return (NDArray)
        Proxy.newProxyInstance(
            NDArray.class.getClassLoader(),
            new Class<?>[] {NDArray.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("getManager")) {
                then.run();
              }
              return method.invoke(array, arguments);
            });
  }

  private static void join(Thread thread, long millis) {
    try {
      thread.join(millis);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** In other files of the same network: names and shapes of attention of 2022, as of CompVis. */
  @Test
  void load_oldNamesAndShapes_same() throws IOException {
    PartFixture fixture = fixture("autoencoder_kl");
    Map<String, NDArray> old = new LinkedHashMap<>();
    fixture.weights.forEach(
        (name, weight) -> {
          boolean matrix = name.contains(".attentions.") && weight.getShape().dimension() == 2;
          Shape shape = matrix ? weight.getShape().add(1).add(1) : weight.getShape();
          old.put(AutoencoderNetwork.oldName(name), weight.reshape(shape));
        });
    assertThat(old).containsKey("decoder.mid_block.attentions.0.proj_attn.weight");
    fixture.weights.clear();
    fixture.weights.putAll(old);
    try (Autoencoder autoencoder = load(fixture)) {
      NDArray images = autoencoder.decode(fixture.value("mean").mul(autoencoder.scale()));
      PartFixture.assertClose(images, fixture.value("output"), BOUND);
    }
  }

  /** Of a normal distribution: the draw is where the noise puts it, and scaled. */
  @Test
  void draw_noise_meanAndDeviation() throws IOException {
    PartFixture fixture = fixture("autoencoder_kl");
    fixture.config.put("scaling_factor", 0.5);
    try (Autoencoder autoencoder = load(fixture);
        Autoencoder.Latents latents = autoencoder.encode(fixture.value("input"))) {
      assertThat(autoencoder.scale()).isEqualTo(0.5);
      NDArray noise = manager.full(latents.mean().getShape(), 2f);
      float[] drawn = latents.draw(noise).toFloatArray();
      float[] mean = fixture.value("mean").toFloatArray();
      float[] log = fixture.value("logvar").toFloatArray();
      for (int i = 0; i < drawn.length; i++) {
        double expected = 0.5 * (mean[i] + 2 * Math.exp(log[i] / 2));
        assertThat((double) drawn[i]).isCloseTo(expected, within(1e-4 * (1 + Math.abs(expected))));
      }
      assertThatThrownBy(() -> latents.draw(manager.ones(new Shape(1))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("noise must have the shape of the latents, (2, 4, 4, 6), but has (1)");
    }
  }

  @Test
  void encode_extremeVariances_limited() throws IOException {
    PartFixture fixture = fixture("autoencoder_kl");
    NDArray bias = fixture.weights.get("quant_conv.bias");
    float[] values = bias.toFloatArray();
    values[4] = 1000;
    values[5] = -1000;
    bias.set(values);
    try (Autoencoder autoencoder = load(fixture);
        Autoencoder.Latents latents = autoencoder.encode(fixture.value("input"))) {
      NDArray log = latents.logVariance().orElseThrow();
      assertThat(log.get(":, 0").toFloatArray()).containsOnly(20);
      assertThat(log.get(":, 1").toFloatArray()).containsOnly(-30);
    }
  }

  /** The slope of a loss of pictures and of the penalty, along a step in all weights at once. */
  @ParameterizedTest
  @EnumSource(Execution.class)
  void train_bothWays_gradientIsTheSlope(Execution execution) throws IOException {
    PartFixture fixture = fixture("autoencoder_kl");
    try (Autoencoder autoencoder = load(fixture).runAs(execution, Precision.FLOAT32)) {
      NDArray x = fixture.value("input");
      autoencoder.weights().values().forEach(weight -> weight.setRequiresGradient(true));
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        collector.backward(loss(autoencoder, x, true));
      }
      double expected = 0;
      for (NDArray weight : autoencoder.weights().values()) {
        float[] gradient = weight.getGradient().toFloatArray();
        for (int i = 0; i < gradient.length; i++) {
          expected += gradient[i] * direction(i);
        }
        weight.setRequiresGradient(false);
      }
      double h = 2e-3;
      double slope = (moved(autoencoder, x, h) - moved(autoencoder, x, -h)) / (2 * h);
      assertThat(expected).isCloseTo(slope, within(0.01 * (1 + Math.abs(slope))));
      assertThat(Math.abs(expected)).isGreaterThan(0.01);
    }
  }

  private static double direction(int i) {
    return ((i * 7) % 11 - 5) / 50.0;
  }

  private double moved(Autoencoder autoencoder, NDArray x, double h) {
    Map<String, float[]> before = new LinkedHashMap<>();
    autoencoder
        .weights()
        .forEach(
            (name, weight) -> {
              float[] values = weight.toFloatArray();
              before.put(name, values.clone());
              for (int i = 0; i < values.length; i++) {
                values[i] += (float) (h * direction(i));
              }
              weight.set(values);
            });
    double loss = loss(autoencoder, x, false).toFloatArray()[0];
    before.forEach((name, values) -> autoencoder.weights().get(name).set(values));
    return loss;
  }

  private static NDArray loss(Autoencoder autoencoder, NDArray x, boolean training) {
    Autoencoder.Latents latents =
        training ? autoencoder.encodeForTraining(x) : autoencoder.encode(x);
    NDArray mode = latents.mode();
    NDArray y = training ? autoencoder.decodeForTraining(mode) : autoencoder.decode(mode);
    return y.sub(x).square().mean().add(latents.logVariance().orElseThrow().mean());
  }

  /** Gradients pass the code book as if it were not there. */
  @Test
  void train_quantized_gradientOfTheCodeIsTheVectors() throws IOException {
    PartFixture fixture = fixture("vq");
    try (Autoencoder autoencoder = load(fixture)) {
      NDArray z = fixture.value("latents").duplicate();
      z.setRequiresGradient(true);
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        NDArray y = autoencoder.decodeForTraining(z);
        PartFixture.assertClose(y, fixture.value("output"), BOUND);
        collector.backward(y.square().sum());
      }
      assertThat(z.getGradient().abs().sum().getFloat()).isPositive();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"autoencoder_kl", "vq"})
  void decode_leavesItsResultAlone(String name) throws IOException {
    PartFixture fixture = fixture(name);
    try (Autoencoder autoencoder = load(fixture);
        NDManager own = NDManager.newBaseManager()) {
      NDArray z = own.zeros(fixture.value(name.equals("vq") ? "latents" : "mean").getShape());
      for (Execution execution : Execution.values()) {
        autoencoder.runAs(execution, Precision.FLOAT32);
        autoencoder.decodeForTraining(z).close();
        autoencoder.decode(z).close();
        if (autoencoder.isQuantized()) {
          autoencoder.codes(z).close();
        }
        assertThat(own.getManagedArrays()).as("%s", execution).containsExactly(z);
        Map<String, NDArray> weights = autoencoder.weights();
        assertThat(weights.values().iterator().next().getManager().getManagedArrays())
            .as("%s, beside the weights", execution)
            .hasSameSizeAs(weights.values());
      }
    }
  }

  /** The published ones, without a weight. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "AutoencoderKL | 128, 256, 512, 512 | 4 | 1 | 83653863 | 248 | 8 | 0.18215",
        "VQModel | 128, 256, 512 | 3 | 8192 | 55322782 | 205 | 4 | 1"
      })
  void parameters_published_asMany(
      String type,
      String widths,
      int latent,
      int codes,
      long count,
      int tensors,
      int factor,
      double scale)
      throws IOException {
    int levels = widths.split(",", -1).length;
    Map<String, Object> config = new LinkedHashMap<>();
    config.put("_class_name", type);
    config.put("layers_per_block", 2);
    config.put("latent_channels", latent);
    config.put("down_block_types", Collections.nCopies(levels, "DownEncoderBlock2D"));
    config.put("up_block_types", Collections.nCopies(levels, "UpDecoderBlock2D"));
    config.put(
        "block_out_channels",
        List.of(widths.split(", ", -1)).stream().map(Integer::valueOf).toList());
    if (type.equals("VQModel")) {
      config.put("num_vq_embeddings", codes);
    }
    Path file = Files.writeString(folder.resolve("config.json"), new Gson().toJson(config));
    AutoencoderConfig read = AutoencoderConfig.read(ConfigFile.read(file));
    var specs = new AutoencoderNetwork(read).parameters();
    assertThat(WeightedNetwork.count(specs)).isEqualTo(count);
    assertThat(specs).hasSize(tensors);
    assertThat(read.factor()).isEqualTo(factor);
    assertThat(read.scale()).isEqualTo(scale);
  }

  /** What was saved again by a newer diffusers says a scale that the model never had. */
  @Test
  void load_scaleOfTheCaller_countsBeforeTheFile() throws IOException {
    PartFixture fixture = fixture("vq");
    fixture.config.put("scaling_factor", 0.18215);
    written(fixture);
    try (Autoencoder saidSo = Autoencoder.load(folder);
        Autoencoder trained = Autoencoder.load(folder, Device.cpu(), 1)) {
      assertThat(saidSo.scale()).isEqualTo(0.18215);
      assertThat(trained.scale()).isEqualTo(1);
      PartFixture.assertClose(
          trained.decode(fixture.value("latents")), fixture.value("output"), BOUND);
    }
    assertThatThrownBy(() -> Autoencoder.load(folder, Device.cpu(), 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("scale must be positive, but was 0.0");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "_class_name | \"AutoencoderTiny\" | : \"_class_name\" is AutoencoderTiny, another"
            + " autoencoder than AutoencoderKL and VQModel, which this version does not load",
        "act_fn | \"mish\" | : \"act_fn\" is mish, another activation than silu, which this version"
            + " does not load",
        "shift_factor | 0.1 | : \"shift_factor\" is 0.1, latents that are moved, which this version"
            + " does not load",
        "scaling_factor | 0 | : \"scaling_factor\" must be a positive number, but was 0",
        "down_block_types | [\"DownEncoderBlock2D\"] | : \"down_block_types\" must be one block for"
            + " each of block_out_channels, 2, but was [DownEncoderBlock2D]",
        "up_block_types | [\"UpDecoderBlock2D\", \"MidBlock\"] | : \"up_block_types\" is"
            + " [UpDecoderBlock2D, MidBlock], with the block MidBlock, which this version does not"
            + " load",
        "block_out_channels | [] | : \"block_out_channels\" must be channels of at least 1, but was"
            + " []",
        "layers_per_block | 0 | : \"layers_per_block\" must be at least 1, but was 0"
      })
  void load_otherConfiguration_refused(String key, String value, String message)
      throws IOException {
    PartFixture fixture = fixture("autoencoder_kl");
    fixture.config.put(key, JsonParser.parseString(value));
    assertThatThrownBy(() -> load(fixture))
        .isInstanceOf(IOException.class)
        .hasMessage(folder.resolve("config.json") + message);
  }

  @Test
  void load_groupsThatDoNotDivide_refused() throws IOException {
    PartFixture fixture = fixture("autoencoder_kl");
    fixture.config.put("norm_num_groups", 3);
    assertThatThrownBy(() -> load(fixture))
        .isInstanceOf(IOException.class)
        .hasMessage(
            folder
                + " is no valid autoencoder: groups must divide the channels of every norm, but 3"
                + " does not divide the 8 of encoder.down_blocks.0.resnets.0.norm1");
    assertThatThrownBy(() -> Autoencoder.load(folder.resolve("none")))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            folder.resolve("none") + ": no folder of an autoencoder: it has no config.json");
  }

  @Test
  void encodeAndDecode_wrongArrays_refused() throws IOException {
    try (Autoencoder autoencoder = load(fixture("autoencoder_kl"))) {
      assertThatThrownBy(() -> autoencoder.encode(manager.ones(new Shape(1, 3, 7, 8))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "images must have a height and a width that are multiples of 2, but have the shape"
                  + " (1, 3, 7, 8); cut or resize them");
      assertThatThrownBy(() -> autoencoder.encode(manager.ones(new Shape(1, 1, 8, 8))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("images must have the shape (N, 3, H, W), but have (1, 1, 8, 8)");
      NDArray wide = manager.ones(new Shape(1, 4, 8, 8), DataType.FLOAT64);
      assertThatThrownBy(() -> autoencoder.decode(wide))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("latents must be float32, but are float64; call toType first");
      NDArray latents = manager.ones(new Shape(1, 4, 2, 2));
      assertThatThrownBy(() -> autoencoder.codes(latents))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the autoencoder has no book of codes, so its latents have no numbers");
      autoencoder.close();
      assertThatThrownBy(() -> autoencoder.decode(latents))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the autoencoder is closed and its weights are freed; load it again");
    }
  }
}
