package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.github.ddpm4j.internal.hub.Hub;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A model of diffusers from a hub on this machine; what goes wrong there is the core's to test. */
class DownloadTest {

  private static final String ID = "google/ddpm-tiny";
  private static final String COMMIT = "267b167dc01f0e4e61923ea244e8b988f84deb80";

  static {
    // Else each answer waits for 40 ms for the one before to be confirmed.
    System.setProperty("sun.net.httpserver.nodelay", "true");
  }

  @TempDir private Path folder;

  private final HttpServer server;

  DownloadTest() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
  }

  private Path pipeline() {
    return folder.resolve("unet2d_ldm");
  }

  @BeforeEach
  void write() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer.read("unet2d_ldm", manager).write(folder);
    }
    server.createContext("/", this::answer);
    server.start();
  }

  @AfterEach
  void close() {
    server.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String path = exchange.getRequestURI().getPath();
      byte[] bytes =
          path.startsWith("/api/")
              ? listing()
              : Files.readAllBytes(
                  pipeline().resolve(path.substring(path.indexOf(COMMIT) + COMMIT.length() + 1)));
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

  private byte[] listing() throws IOException {
    JsonArray siblings = new JsonArray();
    try (Stream<Path> files = Files.walk(pipeline())) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        JsonObject sibling = new JsonObject();
        sibling.addProperty("rfilename", pipeline().relativize(file).toString());
        siblings.add(sibling);
      }
    }
    JsonObject listing = new JsonObject();
    listing.addProperty("sha", COMMIT);
    listing.add("siblings", siblings);
    return listing.toString().getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void download_thenLoad_sameWeights() throws IOException {
    Map<String, String> environment =
        Map.of(
            "HF_HOME",
            folder.toString(),
            "HF_ENDPOINT",
            "http://127.0.0.1:" + server.getAddress().getPort());
    Hub hub = Hub.of(environment::get, folder);
    assertThatThrownBy(() -> hub.snapshot(ID, "main", "Pretrained.download"))
        .isInstanceOf(NoSuchFileException.class);
    Set<String> heard = new TreeSet<>();
    Path downloaded = Pretrained.download(hub, ID, "main", (file, bytes, total) -> heard.add(file));
    assertThat(heard)
        .containsExactly(
            "model_index.json",
            "scheduler/scheduler_config.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors");
    assertThat(hub.snapshot(ID, "main", "Pretrained.download")).isEqualTo(downloaded);
    try (Pretrained model = Pretrained.load(downloaded);
        Pretrained original = Pretrained.load(pipeline())) {
      Map<String, NDArray> weights = original.ddpm().denoiser(UNet.class).weights();
      model
          .ddpm()
          .denoiser(UNet.class)
          .weights()
          .forEach(
              (name, weight) ->
                  assertThat(weight.toFloatArray())
                      .isEqualTo(Objects.requireNonNull(weights.get(name)).toFloatArray()));
      assertThat(model.ddpm().schedule().describe())
          .isEqualTo(original.ddpm().schedule().describe());
    }
  }
}
