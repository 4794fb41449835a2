package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.EstimateLimit;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import io.github.ddpm4j.unet.UNetLayout;
import io.github.ddpm4j.unet.UNetLayout.Attention;
import io.github.ddpm4j.unet.UNetLayout.AttentionNorm;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Models as folders of diffusers, and back. What is written into target/diffusers is for {@code
 * src/test/python/check_diffusers.py}, which asks diffusers itself.
 */
class DiffusersFolderTest {

  private static final Path TARGET = Path.of("target", "diffusers");

  @TempDir private Path folder;

  private static UNetBuilder builder(String name) {
    UNetBuilder builder =
        UNet.builder()
            .image(3, 8, 8)
            .levelChannels(8, 16)
            .residualBlocks(1)
            .groups(4)
            .attentionAtLevels(1)
            .dropout(0)
            .seed(4);
    return switch (name) {
      case "paper" -> builder;
      case "classes" -> builder.classes(3).headChannels(4);
      case "variance" ->
          builder
              .learnedVariance()
              .normEpsilon(1e-5)
              .downsamplePadding(DownsamplePadding.ALL_SIDES)
              .timeEmbedding(TimeOrder.COS_SIN, TimeDivisor.HALF);
      case "openai" -> builder.classes(3).headChannels(8).layout(UNetLayout.openai(true));
      case "middle" ->
          builder
              .classes(3)
              .layout(
                  UNetLayout.openai(false)
                      .with(
                          new Attention(
                              UNetLayout.Blocks.ALL,
                              AttentionNorm.EXCEPT_MIDDLE,
                              true,
                              true,
                              List.of(),
                              0,
                              0)));
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static DDPM model(String name, UNet network) {
    DDPM.Builder builder = DDPM.builder().denoiser(network);
    return switch (name) {
      case "variance" -> builder.variance(Variance.LEARNED_RANGE).build();
      case "openai" ->
          builder.schedule(Schedules.cosine(100)).prediction(Prediction.VELOCITY).build();
      case "middle" ->
          builder.schedule(Schedules.scaledLinear(500)).prediction(Prediction.X0).build();
      default -> builder.build();
    };
  }

  /** Weights of a trained size: those that a network begins with are nearly zero at its end. */
  private static UNet network(String name) {
    UNet network = builder(name).build();
    Random random = new Random(7);
    try (GradMode off = GradMode.off();
        NDManager manager = NDManager.newBaseManager()) {
      network
          .weights()
          .forEach(
              (key, weight) -> {
                Shape shape = weight.getShape();
                float[] values = new float[(int) shape.size()];
                double scale =
                    shape.dimension() < 2 ? 0.3 : Math.sqrt((double) shape.get(0) / values.length);
                boolean factor = key.contains("norm") && key.endsWith("weight");
                for (int i = 0; i < values.length; i++) {
                  values[i] = (float) ((factor ? 1 : 0) + scale * random.nextGaussian());
                }
                weight.set(new NDIndex("..."), manager.create(values, shape));
              });
    }
    return network;
  }

  /**
   * How x̂_0 is limited stays with a model, through training's copy, a folder and a file of ours.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"clip_sample\": false",
        "\"clip_sample\": true",
        "\"thresholding\": true, \"dynamic_thresholding_ratio\": 0.9, \"sample_max_value\": 1.5"
      })
  void save_limitOfX0_asTheFilesSay(String words) throws IOException {
    Path first = folder.resolve("first");
    try (UNet network = network("paper")) {
      Pretrained.saveDiffusers(DDPM.builder().denoiser(network).build(), first);
    }
    Files.writeString(
        first.resolve("scheduler").resolve("scheduler_config.json"),
        "{\"_class_name\": \"DDPMScheduler\", " + words + "}");
    Path second = folder.resolve("second");
    Path file = folder.resolve("own.safetensors");
    try (Pretrained model = Pretrained.load(first)) {
      model.ddpm().save(folder.resolve("own"));
      model.ddpm().saveSafetensors(file);
      try (DDPM own = DDPM.load(folder.resolve("own"));
          Pretrained again = Pretrained.load(file)) {
        Pretrained.saveDiffusers(own, second);
        assertThat(again.audit().differences()).isEqualTo(model.audit().differences());
        float[] drawn = drawn(model.sampling());
        assertThat(drawn(own.sampling())).isEqualTo(drawn);
        assertThat(drawn(again.sampling())).isEqualTo(drawn);
        assertThat(drawn(own.withMetadata(Map.of("licence", "MIT")).sampling())).isEqualTo(drawn);
        assertThat(Arrays.equals(drawn(own.sampling().clip(true)), drawn))
            .isEqualTo(words.equals("\"clip_sample\": true"));
      }
    }
    Map<String, Object> written =
        JsonFile.read(second.resolve("scheduler").resolve("scheduler_config.json"));
    boolean thresholding = words.startsWith("\"thresholding");
    assertThat(written.get("clip_sample")).isEqualTo(words.equals("\"clip_sample\": true"));
    assertThat(written.get("thresholding")).isEqualTo(thresholding);
    assertThat(written.get("dynamic_thresholding_ratio")).isEqualTo(thresholding ? 0.9 : 0.995);
    assertThat(written.get("sample_max_value")).isEqualTo(thresholding ? 1.5 : 1.0);
    try (Pretrained back = Pretrained.load(second)) {
      assertThat(EstimateLimit.of(back.ddpm().metadata()).clip())
          .isEqualTo(!words.equals("\"clip_sample\": false"));
    }
  }

  private static float[] drawn(Sampling sampling) {
    try (Samples samples = sampling.sampler(Samplers.ddim(3)).seed(1).generate(1);
        NDManager manager = NDManager.newBaseManager()) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  @Test
  void save_limitOfX0ThatIsNone_refused() throws IOException {
    try (UNet network = network("paper")) {
      for (String words : List.of("off", "1 b", "1 2 3")) {
        DDPM ddpm =
            DDPM.builder().denoiser(network).metadata(Map.of(EstimateLimit.KEY, words)).build();
        assertThatThrownBy(() -> Pretrained.saveDiffusers(ddpm, folder.resolve("none")))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage(
                "the metadata pretrained.x0Limit must be none or two numbers, share and greatest"
                    + " value, but was "
                    + words);
      }
      assertThat(folder.resolve("none")).doesNotExist();
    }
  }

  @Test
  void load_tunedForNoSampler_refused() throws IOException {
    try (UNet network = network("paper")) {
      Pretrained.saveDiffusers(DDPM.builder().denoiser(network).build(), folder);
      Path weights = folder.resolve("unet").resolve("diffusion_pytorch_model.safetensors");
      Safetensors.write(weights, network.weights(), Map.of(TunedFor.KEY, "magic"));
      assertThatThrownBy(() -> Pretrained.load(folder))
          .isInstanceOf(IOException.class)
          .hasMessageStartingWith(weights + " is not a valid model: ")
          .hasMessageContaining("magic");
    }
  }

  @Test
  void save_classNames_areKept() throws IOException {
    List<String> names = List.of("Bag", "T-shirt, \"long\"", "Größe 38");
    try (UNet network =
        UNet.builder().image(1, 8, 8).baseChannels(8).groups(4).classes(3).build()) {
      DDPM ddpm = DDPM.builder().classNames(names).denoiser(network).build();
      Pretrained.saveDiffusers(ddpm, folder);
      try (Pretrained loaded = Pretrained.load(folder)) {
        assertThat(loaded.ddpm().classNames()).isEqualTo(names);
        assertThat(loaded.audit().differences())
            .contains("classes Bag, T-shirt, \"long\", Größe 38");
        assertThat(loaded.ddpm().denoiser(UNet.class).config()).isEqualTo(network.config());
      }
    }
  }

  @Test
  void load_classNamesThatAreNone_refused() throws IOException {
    try (UNet network =
        UNet.builder().image(1, 8, 8).baseChannels(8).groups(4).classes(3).build()) {
      Pretrained.saveDiffusers(DDPM.builder().denoiser(network).build(), folder);
      Path weights = folder.resolve("unet").resolve("diffusion_pytorch_model.safetensors");
      Map<String, String> words = new HashMap<>(Map.of(DiffusersFolder.NULL_CLASS, "true"));
      words.put(ClassNames.KEY, "{\"names\": [\"a\", 2]}");
      Safetensors.write(weights, network.weights(), words);
      assertThatThrownBy(() -> Pretrained.load(folder))
          .isInstanceOf(IOException.class)
          .hasMessage(
              weights
                  + ": ddpm4j.classes must have a list of names, but was "
                  + words.get(ClassNames.KEY));
      words.put(ClassNames.KEY, "{\"names\": [\"a\", \"b\"]}");
      Safetensors.write(weights, network.weights(), words);
      assertThatThrownBy(() -> Pretrained.load(folder))
          .isInstanceOf(IOException.class)
          .hasMessage(
              weights
                  + " is not a valid model: classNames must be as many as the network has classes,"
                  + " which are 3, but were 2");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"paper", "classes", "variance", "openai", "middle"})
  void save_andLoad_sameModel(String name) throws IOException {
    Path target = TARGET.resolve(name);
    try (UNet network = network(name)) {
      DDPM ddpm = model(name, network);
      Pretrained.saveDiffusers(ddpm, target);
      writeCheck(name, ddpm, network);
      try (Pretrained loaded = Pretrained.load(target)) {
        UNet again = loaded.ddpm().denoiser(UNet.class);
        assertThat(again.config()).isEqualTo(network.config());
        network
            .weights()
            .forEach((key, weight) -> assertThat(again.weights().get(key)).isEqualTo(weight));
        for (int t = 0; t < ddpm.schedule().timesteps(); t++) {
          assertThat(loaded.ddpm().schedule().beta(t)).isEqualTo(ddpm.schedule().beta(t));
        }
        assertThat(loaded.ddpm().prediction()).isEqualTo(ddpm.prediction());
        assertThat(loaded.ddpm().variance()).isEqualTo(ddpm.variance());
        assertThat(loaded.audit().assumed()).isEmpty();
      }
    }
  }

  @Test
  void save_in16Bits_roundsEveryWeight() throws IOException {
    Path target = folder.resolve("half");
    try (UNet network = network("paper")) {
      Pretrained.saveDiffusers(model("paper", network), target, DataType.FLOAT16);
      try (Pretrained loaded = Pretrained.load(target)) {
        Map<String, NDArray> again = loaded.ddpm().denoiser(UNet.class).weights();
        network
            .weights()
            .forEach(
                (key, weight) -> {
                  try (NDArray half = weight.toType(DataType.FLOAT16, true);
                      NDArray wide = half.toType(DataType.FLOAT32, true)) {
                    assertThat(again.get(key)).as(key).isEqualTo(wide);
                  }
                });
      }
      byte[] before = Files.readAllBytes(target.resolve("model_index.json"));
      network.weights().get("conv_out.bias").addi(1e6f);
      assertThatThrownBy(
              () -> Pretrained.saveDiffusers(model("paper", network), target, DataType.FLOAT16))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "tensor conv_out.bias holds values that are too large for float16 and would become"
                  + " infinite; write another type, such as FLOAT32");
      assertThat(target.resolve("model_index.json")).hasBinaryContent(before);
    }
  }

  /** An input, what the network makes of it, and ten steps of DDIM. */
  private static void writeCheck(String name, DDPM ddpm, UNet network) throws IOException {
    Map<String, NDArray> check = new LinkedHashMap<>();
    try (NDManager manager = NDManager.newBaseManager()) {
      Random random = new Random(8);
      float[] values = new float[2 * 3 * 8 * 8];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      NDArray x = manager.create(values, new Shape(2, 3, 8, 8));
      boolean labelled = network.config().classes() > 0;
      Condition condition = labelled ? Condition.labels(0, 2) : Condition.none();
      check.put("x", x);
      check.put("timesteps", manager.create(new float[] {3, 80}));
      if (labelled) {
        check.put("labels", manager.create(new float[] {0, 2}));
      }
      NoiseLevels levels = NoiseLevels.of(List.of(new Level(3, 0.6, 0.8), new Level(80, 0.6, 0.8)));
      check.put("prediction", network.predict(x, levels, condition));
      try (Samples samples =
          ddpm.sampling()
              .sampler(Samplers.ddim(10).spacing(TimestepSpacing.LEADING).rawEpsilon(true))
              .condition(condition)
              .decode(x)) {
        check.put("sample", samples.toNDArray(manager));
      }
      Safetensors.write(TARGET.resolve(name + ".safetensors"), check, Map.of());
    }
  }

  @Test
  void save_overOtherThings_refused() throws IOException {
    Files.createDirectories(folder.resolve("mine"));
    Files.writeString(folder.resolve("mine").resolve("thesis.txt"), "");
    try (UNet network = builder("paper").build()) {
      assertThatThrownBy(
              () -> Pretrained.saveDiffusers(model("paper", network), folder.resolve("mine")))
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessage(
              folder.resolve("mine") + ": it holds thesis.txt, which is no part of a pipeline");
      assertThat(folder.resolve("mine").resolve("unet")).doesNotExist();
    }
  }

  @Test
  void save_whatDiffusersHasNot_refusedBeforeWriting() {
    try (UNet song = builder("paper").layout(UNetLayout.edmSong()).heads(1).build();
        UNet vectors = builder("paper").vectorCondition(4).build();
        UNet plain = builder("paper").build()) {
      refused(
          DDPM.builder().denoiser(song).build(),
          "diffusers' UNet2DModel has no Block[time=ADD, order=NORM_FIRST, norm=GROUP_OF_FOUR,"
              + " scale=0.7071067811865476]; export the network by exportTorchScript, or save the"
              + " model by save(folder)");
      refused(
          DDPM.builder().denoiser(vectors).build(),
          "diffusers' UNet2DModel has no vector conditioning; export the network by"
              + " exportTorchScript, or save the model by save(folder)");
      refused(
          DDPM.builder().denoiser(plain).prediction(Prediction.edm(0.5)).build(),
          "diffusers' DDPMScheduler has no prediction EDM(0.5), only [EPSILON, X0, VELOCITY]; save"
              + " the model by save(folder)");
      refused(
          DDPM.builder().denoiser(plain).dataRange(0, 1).build(),
          "diffusers' pipelines take images to be in [-1.0, 1.0], but the model's are in [0.0,"
              + " 1.0]; train it on such images, or save it by save(folder)");
    }
  }

  private void refused(DDPM ddpm, String message) {
    Path target = folder.resolve("refused");
    assertThatThrownBy(() -> Pretrained.saveDiffusers(ddpm, target))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
    assertThat(target).doesNotExist();
  }
}
