package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models whose weights stay in their files. Those of the fixtures are bfloat16. */
class MappedPipelinesTest {

  private static final Path MAPS = Path.of("/proc/self/maps");
  private static final Path MODEL = PipelineFixture.DATA.resolve("sd1");
  private static final Kept MAPPED = new Kept(Precision.FLOAT32, true, false);
  private static final List<String> FILES =
      List.of(
          "unet/diffusion_pytorch_model.safetensors",
          "vae/diffusion_pytorch_model.safetensors",
          "text_encoder/model.safetensors");

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path temporary;

  @AfterEach
  void close() {
    manager.close();
  }

  private float[] drawn(TextToImage model) {
    try (Samples samples =
        model.prompt("a photo of a cat").guidance(7.5).steps(4).seed(1).generate(2)) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static Path copied(Path from, Path to) throws IOException {
    return PipelineFixture.copy(from, to, file -> true);
  }

  private Map<String, NDArray> tensors(Path file) throws IOException {
    Map<String, NDArray> all = new LinkedHashMap<>();
    try (TensorSource source = TensorFiles.open(file)) {
      for (String name : source.tensors().keySet()) {
        all.put(name, source.readFloat32(name, manager));
      }
    }
    return all;
  }

  /** The fixture with files of another type. */
  private Path converted(DataType type) throws IOException {
    Path folder = copied(MODEL, temporary.resolve("model"));
    for (String file : FILES) {
      Map<String, NDArray> all = tensors(MODEL.resolve(file));
      // Of more bits than the fixture's, so that nothing but the type itself is exact.
      all.values().forEach(weight -> weight.muli(1.0003f));
      Safetensors.write(folder.resolve(file), all, Map.of(), type);
    }
    return folder;
  }

  /** How many mappings of files below a folder this process has; −1 where nobody knows. */
  private static long mappings(Path folder) throws IOException {
    String path = folder.toAbsolutePath().normalize().toString();
    return Files.isReadable(MAPS)
        ? Files.readAllLines(MAPS).stream().filter(line -> line.contains(path + "/")).count()
        : -1;
  }

  private static TextToImage mapped(Path folder) throws IOException {
    return TextToImage.options().mapped().load(folder);
  }

  /* ---------------- What is drawn ---------------- */

  @ParameterizedTest
  @ValueSource(strings = {"sd1", "sd2"})
  void mapped_fixture_thePicturesOfReading(String name) throws IOException {
    Path folder = PipelineFixture.DATA.resolve(name);
    PipelineFixture fixture = PipelineFixture.read(name, "expected.safetensors", manager);
    try (TextToImage pages = mapped(folder);
        TextToImage read = TextToImage.load(folder);
        Samples samples =
            pages
                .prompt(PipelineFixture.PROMPTS.toArray(new String[0]))
                .negativePrompt(PipelineFixture.NEGATIVES.toArray(new String[0]))
                .guidance(7.5)
                .steps(4)
                .noise(fixture.noise("start", ""))
                .generate(1)) {
      fixture.assertPictures(samples.toNDArray(manager));
      assertThat(mappings(folder)).isIn(3L, -1L);
      assertThat(drawn(pages)).isEqualTo(drawn(read));
    }
    assertThat(mappings(folder)).isIn(0L, -1L);
  }

  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      names = {"FLOAT32", "FLOAT16", "BFLOAT16"})
  void mapped_eachType_thePicturesOfReading(DataType type) throws IOException {
    Path folder = converted(type);
    try (TextToImage pages = mapped(folder);
        TextToImage read = TextToImage.load(folder)) {
      assertThat(mappings(folder)).isIn(3L, -1L);
      float[] pictures = drawn(pages);
      assertThat(pictures).isEqualTo(drawn(read));
      pages.runAs(Execution.COMPILED, Precision.BFLOAT16);
      read.runAs(Execution.COMPILED, Precision.BFLOAT16);
      read.hold(Precision.valueOf(type.name()));
      assertThat(drawn(pages)).isEqualTo(drawn(read)).isNotEqualTo(pictures);
    }
  }

  /** Weights of several files, and of several types in one. */
  @Test
  void mapped_shardsAndMixedTypes_thePicturesOfReading() throws IOException {
    Path folder = copied(MODEL, temporary.resolve("model"));
    Path encoder = folder.resolve("text_encoder");
    Map<String, NDArray> all = tensors(encoder.resolve("model.safetensors"));
    Files.delete(encoder.resolve("model.safetensors"));
    StringBuilder index = new StringBuilder();
    DataType[] types = {DataType.FLOAT32, DataType.FLOAT16};
    for (int part = 0; part < types.length; part++) {
      Map<String, NDArray> some = new LinkedHashMap<>();
      for (String name : all.keySet()) {
        if (name.hashCode() % 2 == 0 == (part == 0)) {
          some.put(name, all.get(name));
          index.append(index.isEmpty() ? "" : ",").append('"').append(name);
          index.append("\": \"model-").append(part).append(".safetensors\"");
        }
      }
      Path file = encoder.resolve("model-" + part + ".safetensors");
      Safetensors.write(file, some, Map.of(), types[part]);
    }
    Files.writeString(
        encoder.resolve("model.safetensors.index.json"), "{\"weight_map\": {" + index + "}}");
    try (TextToImage pages = mapped(folder);
        TextToImage read = TextToImage.load(folder)) {
      assertThat(mappings(folder)).isIn(4L, -1L);
      assertThat(drawn(pages)).isEqualTo(drawn(read));
    }
  }

  /** OpenCLIP's queries, keys and values lie in one matrix, which is read. */
  @Test
  void mapped_singleFile_thePicturesOfReading() throws IOException {
    Path single = PipelineFixture.DATA.resolve("single");
    TextToImage.Options options =
        TextToImage.options().configuration(PipelineFixture.DATA.resolve("sd2"));
    try (TextToImage read = options.load(single.resolve("sd2.safetensors"));
        TextToImage pages = options.mapped().load(single.resolve("sd2.safetensors"))) {
      assertThat(mappings(single)).isIn(3L, -1L);
      assertThat(drawn(pages)).isEqualTo(drawn(read));
    }
    assertThat(mappings(single)).isIn(0L, -1L);
  }

  /** Without a text, with a book of codes, which is read. */
  @Test
  void mapped_bookOfCodes_thePicturesOfReading() throws IOException {
    Path folder = PipelineFixture.DATA.resolve("ldm_unconditional");
    try (LatentDiffusion read = LatentDiffusion.load(folder);
        LatentDiffusion pages =
            LatentDiffusion.of(
                Pipeline.read(folder, false), Pretrained.options(), Device.cpu(), "a", MAPPED);
        Samples expected = read.drawing().steps(4).seed(1).generate(2);
        Samples samples = pages.drawing().steps(4).seed(1).generate(2)) {
      assertThat(mappings(folder)).isIn(2L, -1L);
      assertThat(samples.toNDArray(manager).toFloatArray())
          .isEqualTo(expected.toNDArray(manager).toFloatArray());
    }
  }

  @Test
  void mapped_decoderAlone_thePicturesOfReading() throws IOException {
    try (TextToImage pages = TextToImage.options().mapped().decoderAlone().load(MODEL);
        TextToImage read = TextToImage.load(MODEL)) {
      assertThat(drawn(pages)).isEqualTo(drawn(read));
    }
  }

  /* ---------------- Files that change ---------------- */

  /** As a download brings a new state of a model: what is open goes on with the old one. */
  @Test
  void mapped_filesReplacedByRename_thePicturesOfTheOldOnes() throws IOException {
    Path folder = copied(MODEL, temporary.resolve("model"));
    try (TextToImage pages = mapped(folder)) {
      float[] before = drawn(pages);
      for (String file : FILES) {
        Path zeros = temporary.resolve("zeros");
        byte[] bytes = Files.readAllBytes(folder.resolve(file));
        Arrays.fill(bytes, bytes.length / 2, bytes.length, (byte) 0);
        Files.write(zeros, bytes);
        Files.move(zeros, folder.resolve(file), StandardCopyOption.ATOMIC_MOVE);
      }
      assertThat(drawn(pages)).isEqualTo(before);
      try (TextToImage other = mapped(folder)) {
        assertThat(drawn(other)).isNotEqualTo(before);
      }
    }
  }

  /** Whatever part is cut off, those before it are let go. */
  @Test
  void mapped_damagedPart_theMessageOfReadingAndNothingLeft() throws IOException {
    Path folder = copied(MODEL, temporary.resolve("model"));
    for (String file : FILES) {
      byte[] bytes = Files.readAllBytes(folder.resolve(file));
      Files.write(folder.resolve(file), Arrays.copyOf(bytes, bytes.length - 1));
      String message = message(TextToImage.options(), folder);
      assertThat(message).contains(file.substring(0, file.indexOf('/')));
      assertThat(message(TextToImage.options().mapped(), folder)).isEqualTo(message);
      assertThat(mappings(folder)).isIn(0L, -1L);
      Files.write(folder.resolve(file), bytes);
    }
    mapped(folder).close();
  }

  private static String message(TextToImage.Options options, Path folder) {
    try (TextToImage loaded = options.load(folder)) {
      return loaded.toString();
    } catch (IOException e) {
      return String.valueOf(e.getMessage());
    }
  }

  /** A part that fails after the others were mapped, and parts that are closed. */
  @Test
  void mapped_oftenLoaded_noMappingLeft() throws IOException {
    assumeTrue(Files.isReadable(MAPS), "mappings are listed on Linux alone");
    Path folder = copied(MODEL, temporary.resolve("model"));
    long all = Files.readAllLines(MAPS).size();
    for (int i = 0; i < 1000; i++) {
      TextEncoder.load(folder.resolve("text_encoder"), Device.cpu(), MAPPED).close();
    }
    for (int i = 0; i < 20; i++) {
      mapped(folder).close();
    }
    Path config = folder.resolve("vae/config.json");
    Files.writeString(
        config,
        Files.readString(config).replace("\"layers_per_block\": 1", "\"layers_per_block\": 2"));
    for (int i = 0; i < 20; i++) {
      assertThatThrownBy(() -> mapped(folder)).isInstanceOf(IOException.class);
    }
    assertThat(mappings(folder)).isZero();
    assertThat(Files.readAllLines(MAPS).size() - all).isLessThan(500);
  }

  /* ---------------- What is refused ---------------- */

  @Test
  void mapped_whatNeedsMemory_refused() throws IOException {
    try (TextToImage pages = mapped(MODEL)) {
      UNet unet = pages.latentDiffusion().ddpm().denoiser(UNet.class);
      Autoencoder autoencoder = pages.latentDiffusion().autoencoder();
      assertThatThrownBy(unet::weights)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the weights of the U-Net are held in pages of files, for predictions alone; call"
                  + " hold(Precision.FLOAT32) first");
      assertThatThrownBy(() -> pages.textEncoder().weights())
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the weights of the text encoder are held in pages of files, for use alone; call"
                  + " hold(Precision.FLOAT32) first");
      String refusal =
          "the weights of the autoencoder are held in pages of files, for use alone; call"
              + " hold(Precision.FLOAT32) first";
      NDArray images = manager.zeros(new Shape(1, 3, 16, 16));
      assertThatThrownBy(() -> autoencoder.encodeForTraining(images)).hasMessage(refusal);
      assertThatThrownBy(() -> autoencoder.save(temporary.resolve("a"))).hasMessage(refusal);
      assertThatThrownBy(() -> pages.save(temporary.resolve("b"))).hasMessage(refusal);
      assertThatThrownBy(() -> pages.runAs(Execution.EAGER, Precision.FLOAT32))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "execution EAGER needs weights in FLOAT32, but they are held in pages of files;"
                  + " choose execution COMPILED or call hold(Precision.FLOAT32)");
    }
  }

  /** Brought into memory, a model is as any other, and its files are let go. */
  @Test
  void hold_afterwards_asRead() throws IOException {
    Path folder = copied(MODEL, temporary.resolve("model"));
    try (TextToImage pages = mapped(folder);
        TextToImage read = TextToImage.load(folder)) {
      pages.hold(Precision.FLOAT32);
      assertThat(mappings(folder)).isIn(0L, -1L);
      assertThat(drawn(pages)).isEqualTo(drawn(read));
      Map<String, NDArray> expected = read.textEncoder().weights();
      assertThat(pages.textEncoder().weights().keySet())
          .containsExactlyElementsOf(expected.keySet());
      pages
          .textEncoder()
          .weights()
          .forEach(
              (name, weight) ->
                  assertThat(weight.toFloatArray())
                      .as(name)
                      .isEqualTo(expected.get(name).toFloatArray()));
      pages.latentDiffusion().autoencoder().save(temporary.resolve("saved"));
    }
    try (TextToImage pages = mapped(folder);
        TextToImage read = TextToImage.options().hold(Precision.BFLOAT16).load(folder)) {
      pages.hold(Precision.BFLOAT16);
      assertThat(mappings(folder)).isIn(0L, -1L);
      assertThat(drawn(pages)).isEqualTo(drawn(read));
    }
  }

  @Test
  void mapped_withOthers_refused() {
    TextToImage.Options options = TextToImage.options().mapped();
    Path text = PipelineFixture.DATA.resolve("ldm_text2im");
    assertThatThrownBy(() -> options.load(text))
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            "tensor \\S+ of "
                + text.resolve("bert/pytorch_model.bin")
                + " cannot be mapped, as those of safetensors files alone can be; convert the"
                + " file, or leave out mapped\\(\\)");
    options.lora(PipelineFixture.DATA.resolve("lora/kohya.safetensors"), 1);
    assertThatThrownBy(() -> options.load(MODEL))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "mapped weights stay as their files have them: leave out lora(...) or mapped()");
    options.hold(Precision.BFLOAT16);
    assertThatThrownBy(() -> options.load(MODEL))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "mapped weights stay as their files have them: leave out hold(BFLOAT16) or mapped()");
  }
}
