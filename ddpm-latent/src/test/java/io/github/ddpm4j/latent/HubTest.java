package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import com.google.gson.Gson;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.github.ddpm4j.internal.hub.Hub;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Pipelines from a hub on this machine; what goes wrong there is the core's to test. */
class HubTest {

  private static final String COMMIT = "267b167dc01f0e4e61923ea244e8b988f84deb80";

  /** What published folders have beside what is read. */
  private static final List<String> NOT_WANTED =
      List.of(
          "README.md",
          "v1-5-pruned-emaonly.safetensors",
          "safety_checker/config.json",
          "safety_checker/pytorch_model.bin",
          "feature_extractor/preprocessor_config.json",
          "unet/diffusion_pytorch_model.fp16.bin",
          "unet/diffusion_pytorch_model.non_ema.safetensors",
          "unet/diffusion_flax_model.msgpack",
          "text_encoder/flax_model.msgpack");

  static {
    // Else each answer waits for 40 ms for the one before to be confirmed.
    System.setProperty("sun.net.httpserver.nodelay", "true");
  }

  @TempDir private Path folder;

  private final HttpServer server;
  private String name = "sd1";

  HubTest() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
  }

  @BeforeEach
  void start() {
    server.createContext("/", this::answer);
    server.start();
  }

  @AfterEach
  void close() {
    server.stop(0);
  }

  private Hub hub() {
    Map<String, String> environment =
        Map.of(
            "HF_HOME",
            folder.toString(),
            "HF_ENDPOINT",
            "http://127.0.0.1:" + server.getAddress().getPort());
    return Hub.of(environment::get, folder);
  }

  private String id() {
    return "tiny/" + name;
  }

  private Path model() {
    return PipelineFixture.DATA.resolve(name);
  }

  /** The files of a fixture that are of its pipeline. */
  private Set<String> files() throws IOException {
    try (Stream<Path> all = Files.walk(model())) {
      Set<String> files = new TreeSet<>();
      all.filter(Files::isRegularFile)
          .map(file -> model().relativize(file).toString())
          .filter(file -> !file.startsWith("expected"))
          .forEach(files::add);
      return files;
    }
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String path = exchange.getRequestURI().getPath();
      byte[] bytes = path.startsWith("/api/") ? listing() : bytes(path);
      exchange.getResponseHeaders().set("ETag", "\"" + Integer.toHexString(path.hashCode()) + "\"");
      if (exchange.getRequestMethod().equals("HEAD")) {
        exchange.getResponseHeaders().set("Content-Length", Integer.toString(bytes.length));
        exchange.sendResponseHeaders(200, -1);
      } else {
        exchange.sendResponseHeaders(200, bytes.length);
        exchange.getResponseBody().write(bytes);
      }
    }
  }

  private byte[] bytes(String path) throws IOException {
    String file = path.substring(path.indexOf(COMMIT) + COMMIT.length() + 1);
    return NOT_WANTED.contains(file)
        ? "not wanted".getBytes(StandardCharsets.UTF_8)
        : Files.readAllBytes(model().resolve(file));
  }

  private byte[] listing() throws IOException {
    List<Map<String, String>> siblings = new ArrayList<>();
    Stream.concat(files().stream(), NOT_WANTED.stream())
        .forEach(file -> siblings.add(Map.of("rfilename", file)));
    return new Gson()
        .toJson(Map.of("sha", COMMIT, "siblings", siblings))
        .getBytes(StandardCharsets.UTF_8);
  }

  private static float[] drawn(TextToImage model) {
    try (model;
        NDManager manager = NDManager.newBaseManager();
        Samples samples = model.prompt("a photo of a cat").steps(2).seed(1).generate(1)) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  @ParameterizedTest
  @CsvSource({"sd1", "ldm_text2im"})
  void download_thenLoadByName_theFilesOfThePipeline_andItsPicture(String fixture)
      throws IOException {
    name = fixture;
    Set<String> heard = new TreeSet<>();
    Path downloaded =
        TextToImage.download(hub(), id(), "main", (file, bytes, total) -> heard.add(file));
    assertThat(heard).isEqualTo(files());
    try (Stream<Path> all = Files.walk(downloaded)) {
      assertThat(all.filter(Files::isRegularFile).map(file -> downloaded.relativize(file) + ""))
          .containsExactlyInAnyOrderElementsOf(files());
    }
    TextToImage loaded = TextToImage.load(hub(), id());
    assertThat(loaded.latentDiffusion().name()).isEqualTo(id());
    assertThat(drawn(loaded)).isEqualTo(drawn(TextToImage.load(model())));
  }

  @Test
  void load_notInTheCache_saysHowToGetIt() {
    assertThatThrownBy(() -> TextToImage.load(hub(), id()))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            folder.resolve("hub/models--tiny--sd1")
                + ": the model is not in the cache of Hugging Face; get it by"
                + " TextToImage.download(\"tiny/sd1\", \"main\"), or by: huggingface-cli download"
                + " tiny/sd1 --revision main");
  }

  @Test
  void load_anotherRevision_thatOne() throws IOException {
    TextToImage.download(hub(), id(), "main", (file, bytes, total) -> {});
    TextToImage.options().revision(COMMIT).load(hub(), id()).close();
    assertThatThrownBy(() -> TextToImage.options().revision("v2").load(hub(), id()))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessageContaining("TextToImage.download(\"tiny/sd1\", \"v2\")");
  }

  /** As Pretrained.download leaves it, which wants the network and its scheduler. */
  @Test
  void load_partNotInTheCache_isNamed_andDownloaded() throws IOException {
    Path snapshot =
        hub().download(id(), "main", List.of("unet", "scheduler"), (file, bytes, total) -> {});
    assertThatThrownBy(() -> TextToImage.load(hub(), id()))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            snapshot.resolve("vae")
                + ": this part of StableDiffusionPipeline is missing; its parts are unet, vae,"
                + " tokenizer, text_encoder and scheduler; the cache of Hugging Face has not all of"
                + " the model: get it by TextToImage.download(\"tiny/sd1\", \"main\")");
    assertThat(TextToImage.download(hub(), id(), "main", (file, bytes, total) -> {}))
        .isEqualTo(snapshot);
    TextToImage.load(hub(), id()).close();
  }

  @Test
  void load_fileNotInTheCache_isNamed() throws IOException {
    Path snapshot = TextToImage.download(hub(), id(), "main", (file, bytes, total) -> {});
    Path weights = snapshot.resolve("text_encoder/model.safetensors");
    Files.delete(weights);
    assertThatThrownBy(() -> TextToImage.load(hub(), id()))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessageStartingWith(snapshot.resolve("text_encoder").toString())
        .hasMessageEndingWith(
            "; the cache of Hugging Face has not all of the model: get it by"
                + " TextToImage.download(\"tiny/sd1\", \"main\")");
  }
}
