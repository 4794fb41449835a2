package io.github.ddpm4j.serving;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.inference.Predictor;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.modality.cv.Image;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ModelNotFoundException;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.NativeMemory;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Folders that DJL loads, by its public API alone: nothing here but the expectations is ours. */
class ServingTest {

  private static final Pattern PROPERTIES =
      Pattern.compile("```properties\n(.*?)```", Pattern.DOTALL);

  @TempDir private Path temporary;
  private Path folder;

  @BeforeEach
  void save() throws IOException {
    folder = temporary.resolve("digits");
    try (UNet network = network(2)) {
      DDPM.builder()
          .timesteps(20)
          .classNames(List.of("cat", "dog"))
          .denoiser(network)
          .build()
          .save(folder);
    }
    Files.writeString(folder.resolve("serving.properties"), properties());
  }

  private static UNet network(int classes) {
    UNetBuilder builder =
        UNet.builder()
            .image(1, 4, 4)
            .baseChannels(4)
            .channelMultipliers(1)
            .residualBlocks(1)
            .groups(2)
            .seed(1);
    return classes == 0 ? builder.build() : builder.classes(classes).build();
  }

  /** As the document has them. */
  private static String properties() throws IOException {
    Matcher matcher = PROPERTIES.matcher(Files.readString(Path.of("../docs/weights.md")));
    assertThat(matcher.find()).isTrue();
    return matcher.group(1);
  }

  private static <O> ZooModel<Input, O> load(Path folder, Class<O> output)
      throws ModelNotFoundException, MalformedModelException, IOException {
    Criteria.Builder<Input, O> builder =
        Criteria.builder().setTypes(Input.class, output).optModelPath(folder);
    if (output != Output.class) {
      builder.optArgument("translatorFactory", "io.github.ddpm4j.serving.ServingFactory");
    }
    return builder.build().loadModel();
  }

  private static Input request(String... parameters) {
    Input request = new Input();
    for (int i = 0; i < parameters.length; i += 2) {
      request.add(parameters[i], parameters[i + 1]);
    }
    return request;
  }

  private static <O> O answer(Path folder, Class<O> output, Input request)
      throws ModelNotFoundException, MalformedModelException, IOException, TranslateException {
    try (ZooModel<Input, O> model = load(folder, output);
        Predictor<Input, O> predictor = model.newPredictor()) {
      return predictor.predict(request);
    }
  }

  private static float[] floats(NDList list) {
    try (list) {
      return list.singletonOrThrow().toFloatArray();
    }
  }

  private static float[] floats(Samples samples) {
    try (samples;
        NDManager manager = NDManager.newBaseManager()) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  @Test
  void predict_arrays_bitsOfSampling() throws Exception {
    try (DDPM ddpm = DDPM.load(folder);
        ZooModel<Input, NDList> model = load(folder, NDList.class);
        Predictor<Input, NDList> predictor = model.newPredictor()) {
      assertThat(floats(predictor.predict(request("seed", "42", "count", "3"))))
          .hasSize(3 * 16)
          .isEqualTo(floats(ddpm.sampling().seed(42).generate(3)));
      assertThat(floats(predictor.predict(request("seed", "-7", "steps", "5", "label", "dog"))))
          .isEqualTo(
              floats(
                  ddpm.sampling()
                      .sampler(Samplers.ddim(5))
                      .condition(Condition.labels(1))
                      .seed(-7)
                      .generate(1)));
      Input json = new Input();
      json.add("{\"seed\": 42, \"count\": 3, \"label\": 0}");
      assertThat(floats(predictor.predict(json)))
          .isEqualTo(
              floats(ddpm.sampling().condition(Condition.labels(0, 0, 0)).seed(42).generate(3)));
      // Each with a seed of its own.
      assertThat(floats(predictor.predict(request())))
          .isNotEqualTo(floats(predictor.predict(request())));
    }
  }

  @Test
  void predict_png_pixelsOfSampling() throws Exception {
    Output answer = answer(folder, Output.class, request("seed", "5"));
    assertThat(answer.getProperty("Content-Type", "")).isEqualTo("image/png");
    assertThat(answer.getProperty("seed", "")).isEqualTo("5");
    Output grid = answer(folder, Output.class, request("seed", "5", "count", "4"));
    Image[] images = answer(folder, Image[].class, request("seed", "5", "count", "2"));
    try (DDPM ddpm = DDPM.load(folder);
        Samples samples = ddpm.sampling().seed(5).generate(2)) {
      assertThat(pixels(read(answer))).isEqualTo(pixels(samples.images().get(0)));
      assertThat(images).hasSize(2);
      assertThat(pixels(images[1])).isEqualTo(pixels(samples.images().get(1)));
      assertThat(read(grid).getWidth()).isGreaterThan(8);
    }
    // A seed that was drawn can be had again.
    Output drawn = answer(folder, Output.class, request());
    Output again = answer(folder, Output.class, request("seed", drawn.getProperty("seed", "none")));
    assertThat(again.getData().getAsBytes()).isEqualTo(drawn.getData().getAsBytes());
  }

  /** Black and white are those of each channel. */
  @Test
  void predict_rangePerChannel_pixelsOfSampling() throws Exception {
    try (UNet network =
        UNet.builder()
            .image(3, 4, 4)
            .baseChannels(4)
            .channelMultipliers(1)
            .residualBlocks(1)
            .groups(2)
            .seed(1)
            .build()) {
      DDPM.builder()
          .timesteps(20)
          .dataRange(new DataRange(List.of(-2.1, -2.0, -1.8), List.of(2.2, 2.4, 2.6)))
          .denoiser(network)
          .build()
          .save(folder);
    }
    Output answer = answer(folder, Output.class, request("seed", "5"));
    try (DDPM ddpm = DDPM.load(folder);
        Samples samples = ddpm.sampling().seed(5).generate(1)) {
      assertThat(pixels(read(answer))).isEqualTo(pixels(samples.images().get(0)));
    }
  }

  private static BufferedImage read(Output answer) throws IOException {
    return ImageIO.read(new ByteArrayInputStream(answer.getData().getAsBytes()));
  }

  private static List<Integer> pixels(Image image) {
    return pixels((BufferedImage) image.getWrappedImage());
  }

  private static List<Integer> pixels(BufferedImage picture) {
    List<Integer> pixels = new ArrayList<>();
    for (int y = 0; y < picture.getHeight(); y++) {
      for (int x = 0; x < picture.getWidth(); x++) {
        pixels.add(picture.getRGB(x, y));
      }
    }
    return pixels;
  }

  /** Nothing but the path is a file here: the rest is said by Criteria. */
  @Test
  void load_withoutProperties_byArguments() throws Exception {
    Files.delete(folder.resolve("serving.properties"));
    Criteria<Input, NDList> criteria =
        Criteria.builder()
            .setTypes(Input.class, NDList.class)
            .optModelPath(folder)
            .optEngine("PyTorch")
            .optArgument("blockFactory", ServingFactory.class.getName())
            .optArgument("steps", 4)
            .optArgument("maxCount", "2")
            .optTranslatorFactory(new ServingFactory())
            .optOption("hasParameter", "false")
            .build();
    try (DDPM ddpm = DDPM.load(folder);
        ZooModel<Input, NDList> model = criteria.loadModel();
        Predictor<Input, NDList> predictor = model.newPredictor()) {
      assertThat(floats(predictor.predict(request("seed", "1", "count", "2"))))
          .isEqualTo(floats(ddpm.sampling().sampler(Samplers.ddim(4)).seed(1).generate(2)));
      assertThatThrownBy(() -> predictor.predict(request("count", "3")))
          .cause()
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("count must be at most 2 here, but was 3");
    }
  }

  /** A folder of diffusers is sampled from as its files want it. */
  @Test
  void load_folderOfDiffusers_draws() throws Exception {
    Path diffusers = temporary.resolve("diffusers");
    try (UNet network = network(0)) {
      Pretrained.saveDiffusers(DDPM.builder().timesteps(20).denoiser(network).build(), diffusers);
    }
    Files.writeString(diffusers.resolve("serving.properties"), properties());
    try (Pretrained pretrained = Pretrained.load(diffusers);
        ZooModel<Input, NDList> model = load(diffusers, NDList.class);
        Predictor<Input, NDList> predictor = model.newPredictor()) {
      assertThat(floats(predictor.predict(request("seed", "3"))))
          .isEqualTo(floats(pretrained.sampling().seed(3).generate(1)));
      assertThat(floats(predictor.predict(request("seed", "3", "steps", "5"))))
          .isEqualTo(
              floats(pretrained.sampling().sampler(pretrained.sampler(5)).seed(3).generate(1)));
    }
  }

  /** What tells a server how to load the folder is no part of the model, and stays. */
  @Test
  void save_overAServedModel_propertiesStay() throws Exception {
    try (UNet network = network(0)) {
      DDPM.builder().timesteps(20).denoiser(network).build().save(folder);
    }
    assertThat(folder.resolve("serving.properties")).hasContent(properties());
    assertThat(answer(folder, Output.class, request())).isNotNull();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "sed|1|a request may have seed, count, steps, label, but has sed",
        "seed|one|seed must be a whole number, but was one",
        "seed|1.5|seed must be a whole number, but was 1.5",
        "count|0|count must be a whole number, at least 1, but was 0",
        "count|65|count must be at most 64 here, but was 65",
        "count|9999999999|count must be a whole number, at least 1, but was 9999999999",
        "steps|-1|steps must be a whole number, at least 1, but was -1",
        "label|bird|label must be a whole number, but was bird",
        "label|-1|label must be a whole number, at least 0, but was -1",
        "data|[1]|the body of the request is no JSON object",
        "body|{\"sed\": 1}|a request may have seed, count, steps, label, but has sed"
      })
  void request_bad_refused(String key, String value, String message) {
    DrawingRequest.Defaults defaults = DrawingRequest.Defaults.of(Map.of());
    assertThatThrownBy(
            () -> DrawingRequest.of(request(key, value), defaults, List.of("cat", "dog")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  @Test
  void predict_sameParameterTwice_refused() throws Exception {
    try (ZooModel<Input, Output> model = load(folder, Output.class);
        Predictor<Input, Output> predictor = model.newPredictor()) {
      assertThatThrownBy(() -> predictor.predict(request("seed", "1", "seed", "2")))
          .cause()
          .hasMessage("a request must have seed once, but has it twice");
      // What the sampler and the network refuse comes through as it is.
      assertThatThrownBy(() -> predictor.predict(request("label", "2")))
          .cause()
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> predictor.predict(request("steps", "21")))
          .cause()
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void newInstance_otherModelOrTypes_refused() throws Exception {
    ServingFactory factory = new ServingFactory();
    assertThat(factory.getSupportedTypes()).hasSize(3);
    try (ZooModel<Input, Output> model = load(folder, Output.class);
        Model other = Model.newInstance("other")) {
      assertThatThrownBy(() -> factory.newInstance(String.class, Image.class, model, Map.of()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "a model that draws takes Input and gives Output, Image[] or NDList, but String and"
                  + " Image were asked for; change Criteria's setTypes");
      assertThatThrownBy(() -> factory.newInstance(Input.class, Output.class, other, Map.of()))
          .hasMessage(
              "the model was not loaded by io.github.ddpm4j.serving.ServingFactory; name it as"
                  + " blockFactory, too");
      assertThatThrownBy(
              () -> factory.newInstance(Input.class, Output.class, model, Map.of("maxCount", "0")))
          .hasMessage("maxCount must be a whole number, at least 1, but was 0");
      assertThatThrownBy(() -> model.getBlock().getOutputShapes(new Shape[] {new Shape(3)}))
          .hasMessage(
              "a model that draws takes one array of seed, count, steps and label, but was given"
                  + " [(3)]");
    }
    Path empty = Files.createDirectory(temporary.resolve("empty"));
    try (Model model = Model.newInstance("empty")) {
      assertThatThrownBy(() -> factory.newBlock(model, empty, Map.of()))
          .isInstanceOf(NoSuchFileException.class);
    }
  }

  /** Neither requests, refused ones among them, nor models that are loaded and closed. */
  @Test
  void predict_manyTimes_nothingIsLeft() throws Exception {
    answer(folder, Output.class, request());
    int before = NativeMemory.resources();
    try (ZooModel<Input, Output> model = load(folder, Output.class);
        Predictor<Input, Output> predictor = model.newPredictor()) {
      predictor.predict(request("steps", "2"));
      int open = NativeMemory.resources();
      for (int i = 0; i < 20; i++) {
        predictor.predict(request("steps", "2", "count", "2"));
        assertThatThrownBy(() -> predictor.predict(request("label", "9", "steps", "2")))
            .cause()
            .isInstanceOf(IllegalArgumentException.class);
      }
      assertThat(NativeMemory.resources()).isEqualTo(open);
    }
    assertThat(NativeMemory.resources()).isEqualTo(before);
    for (int i = 0; i < 5; i++) {
      try (NDList list = answer(folder, NDList.class, request("steps", "2"))) {
        NDArray images = list.singletonOrThrow();
        assertThat(images.getShape()).isEqualTo(new Shape(1, 1, 4, 4));
      }
    }
    assertThat(NativeMemory.resources()).isEqualTo(before);
  }
}
