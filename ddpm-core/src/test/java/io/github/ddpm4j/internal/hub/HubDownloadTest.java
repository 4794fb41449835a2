package io.github.ddpm4j.internal.hub;

import static io.github.ddpm4j.internal.hub.FakeHub.COMMIT;
import static io.github.ddpm4j.internal.hub.FakeHub.ID;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Downloads from a hub on this machine that breaks, lies, stalls and refuses. */
class HubDownloadTest {

  private static final List<String> COMPONENTS = List.of("unet", "scheduler");
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";
  private static final String TOKEN = "hf_secret";
  private static final HubHttp.Limits QUICK =
      new HubHttp.Limits(
          Duration.ofSeconds(5),
          Duration.ofSeconds(5),
          Duration.ofMillis(300),
          Duration.ofSeconds(1),
          5);

  @TempDir private Path folder;

  private final FakeHub server = new FakeHub();
  private final Map<String, String> environment = new HashMap<>();
  private final List<Duration> waited = Collections.synchronizedList(new ArrayList<>());
  private final byte[] weights = new byte[300_000];

  HubDownloadTest() throws IOException {
    new Random(1).nextBytes(weights);
  }

  @BeforeEach
  void pipeline() {
    environment.put("HF_HOME", folder.toString());
    environment.put("HF_ENDPOINT", server.endpoint());
    environment.put("HF_TOKEN", TOKEN);
    server
        .file("README.md", text("not wanted"))
        .file("model_index.json", text("{\"_class_name\": \"DDPMPipeline\"}"))
        .file("unet/config.json", text("{}"))
        .file("scheduler/scheduler_config.json", text("{\"num_train_timesteps\": 1000}"))
        .largeFile("unet/diffusion_pytorch_model.bin", text("a pickle"))
        .largeFile("unet/diffusion_pytorch_model.fp16.safetensors", text("half"))
        .largeFile(UNET, weights);
  }

  @AfterEach
  void close() {
    server.close();
  }

  private static byte[] text(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private Hub hub() {
    return Hub.of(environment::get, folder).with(QUICK, waited::add);
  }

  private Path download() throws IOException {
    return download("main");
  }

  private Path download(String revision) throws IOException {
    return hub().download(ID, revision, COMPONENTS, (file, bytes, total) -> {});
  }

  private Path model() {
    return folder.resolve("hub").resolve("models--google--ddpm-tiny");
  }

  private Path incomplete() {
    return model().resolve("blobs").resolve(server.etagOf(UNET) + ".ddpm4j.incomplete");
  }

  /** Every file of the cache: what a link points to, else the bytes as text if they are few. */
  private Map<String, String> tree() throws IOException {
    Map<String, String> tree = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder.resolve("hub"))) {
      for (Path file : files.toList()) {
        String name = folder.resolve("hub").relativize(file).toString();
        if (Files.isSymbolicLink(file)) {
          tree.put(name, "-> " + Files.readSymbolicLink(file));
        } else if (Files.isRegularFile(file)) {
          tree.put(name, Files.size(file) < 1000 ? Files.readString(file) : "...");
        }
      }
    }
    return tree;
  }

  private String where(String name) {
    return server.endpoint() + "/" + ID + "/resolve/" + COMMIT + "/" + name;
  }

  private List<String> rangesOf(String name) {
    return server.requests().stream()
        .filter(line -> line.startsWith("GET /" + name))
        .map(line -> line.replaceAll("GET \\S+ ?", ""))
        .toList();
  }

  /* ---------------- What is downloaded, and where to ---------------- */

  @Test
  void download_aPipeline_layoutOfHuggingFace() throws IOException {
    Path snapshot = download();
    assertThat(snapshot).isEqualTo(model().resolve("snapshots").resolve(COMMIT));
    String index = server.etagOf("model_index.json");
    String config = server.etagOf("unet/config.json");
    String scheduler = server.etagOf("scheduler/scheduler_config.json");
    String unet = server.etagOf(UNET);
    assertThat(unet).hasSize(64);
    String model = "models--google--ddpm-tiny/";
    String files = model + "snapshots/" + COMMIT + "/";
    assertThat(tree())
        .containsExactlyInAnyOrderEntriesOf(
            Map.of(
                model + "refs/main",
                COMMIT,
                model + "blobs/" + index,
                "{\"_class_name\": \"DDPMPipeline\"}",
                model + "blobs/" + config,
                "{}",
                model + "blobs/" + scheduler,
                "{\"num_train_timesteps\": 1000}",
                model + "blobs/" + unet,
                "...",
                files + "model_index.json",
                "-> ../../blobs/" + index,
                files + "unet/config.json",
                "-> ../../../blobs/" + config,
                files + "scheduler/scheduler_config.json",
                "-> ../../../blobs/" + scheduler,
                files + UNET,
                "-> ../../../blobs/" + unet));
    assertThat(snapshot.resolve(UNET)).hasBinaryContent(weights);
    assertThat(hub().snapshot(ID, "main", "Pretrained.download")).isEqualTo(snapshot);
    assertThat(waited).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"refs/pr/5, refs%2Fpr%2F5, true", COMMIT + ", " + COMMIT + ", false"})
  void download_otherRevision_askedForByItsName(String revision, String asked, boolean ref)
      throws IOException {
    download(revision);
    assertThat(server.requests().get(0)).isEqualTo("GET /api/models/" + ID + "/revision/" + asked);
    assertThat(Files.exists(model().resolve("refs").resolve(revision))).isEqualTo(ref);
    assertThat(hub().snapshot(ID, revision, "Pretrained.download")).isDirectory();
  }

  /** Nothing comes twice; what was cut off in the cache meanwhile comes again. */
  @Test
  void download_again_onlyWhatIsNotWhole() throws IOException {
    Path snapshot = download();
    server.forget();
    download();
    assertThat(server.requests()).filteredOn(line -> line.startsWith("GET")).hasSize(1);
    Files.write(model().resolve("blobs").resolve(server.etagOf(UNET)), new byte[10]);
    download();
    assertThat(snapshot.resolve(UNET)).hasBinaryContent(weights);
    // The link is gone, the blob is there.
    Files.delete(snapshot.resolve(UNET));
    server.forget();
    download();
    assertThat(snapshot.resolve(UNET)).hasBinaryContent(weights);
    assertThat(server.requests()).filteredOn(line -> line.startsWith("GET")).hasSize(1);
  }

  private static FakeHub model(String... names) throws IOException {
    FakeHub hub = new FakeHub();
    for (String name : names) {
      hub.file(name, text(name));
    }
    return hub;
  }

  private List<String> chosen(FakeHub other, String... components) throws IOException {
    environment.put("HF_ENDPOINT", other.endpoint());
    Path snapshot = hub().download(ID, "main", List.of(components), (file, bytes, total) -> {});
    try (Stream<Path> files = Files.walk(snapshot)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> snapshot.relativize(file).toString())
          .sorted()
          .toList();
    }
  }

  /** As the CIFAR-10 model of Google is: no folders. */
  @Test
  void download_filesBesideEachOther_thoseOfTheModel() throws IOException {
    try (FakeHub flat =
        model(
            "README.md",
            "config.json",
            "diffusion_pytorch_model.bin",
            "fid_images/0.json",
            "model_index.json",
            "other.json",
            "scheduler_config.json")) {
      assertThat(chosen(flat, "unet", "scheduler"))
          .containsExactly(
              "config.json",
              "diffusion_pytorch_model.bin",
              "model_index.json",
              "scheduler_config.json");
    }
  }

  /** As a pipeline of another module has it: its own list of folders. */
  @Test
  void download_otherComponents_theirFiles() throws IOException {
    try (FakeHub text =
        model(
            "model_index.json",
            "safety_checker/config.json",
            "safety_checker/model.safetensors",
            "text_encoder/config.json",
            "text_encoder/flax_model.msgpack",
            "text_encoder/model.safetensors",
            "text_encoder/pytorch_model.bin",
            "tokenizer/merges.txt",
            "tokenizer/tokenizer_config.json",
            "tokenizer/vocab.json",
            "tokenizer/more/deep.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "unet/diffusion_pytorch_model.bin",
            "vae/config.json",
            "vae/diffusion_pytorch_model.bin",
            "vae/diffusion_pytorch_model.bin.index.json")) {
      assertThat(chosen(text, "text_encoder", "tokenizer", "unet", "vae", "movq"))
          .containsExactly(
              "model_index.json",
              "text_encoder/config.json",
              "text_encoder/model.safetensors",
              "tokenizer/merges.txt",
              "tokenizer/tokenizer_config.json",
              "tokenizer/vocab.json",
              "unet/config.json",
              "unet/diffusion_pytorch_model.fp16.safetensors",
              "vae/config.json",
              "vae/diffusion_pytorch_model.bin");
    }
  }

  private static FakeHub sharded(String first, String second) throws IOException {
    return model(
            "unet/config.json",
            "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
            "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
            "unet/diffusion_pytorch_model-00003-of-00003.safetensors",
            "unet/diffusion_pytorch_model.bin")
        .file(
            "unet/diffusion_pytorch_model.safetensors.index.json",
            text("{\"weight_map\": {\"a\": \"" + first + "\", \"b\": \"" + second + "\"}}"));
  }

  @Test
  void download_shards_thoseOfTheIndex() throws IOException {
    String first = "diffusion_pytorch_model-00001-of-00002.safetensors";
    String second = "diffusion_pytorch_model-00002-of-00002.safetensors";
    try (FakeHub sharded = sharded(first, second)) {
      assertThat(chosen(sharded, "unet"))
          .containsExactly(
              "unet/config.json",
              "unet/" + first,
              "unet/" + second,
              "unet/diffusion_pytorch_model.safetensors.index.json");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"../../refs/main", "..", "/etc/passwd", "C:x", "a/../../b"})
  void download_shardOutsideItsFolder_refused(String shard) throws IOException {
    try (FakeHub sharded = sharded("diffusion_pytorch_model-00001-of-00002.safetensors", shard)) {
      assertThatThrownBy(() -> chosen(sharded, "unet"))
          .isInstanceOf(IOException.class)
          .hasMessage(
              "the model google/ddpm-tiny has a file whose name would leave its folder or is none"
                  + " on every system: "
                  + shard
                  + "; do not load it");
      assertThat(model().resolve("refs")).doesNotExist();
    }
  }

  @Test
  void download_shardThatIsNotThere_refused() throws IOException {
    try (FakeHub sharded = sharded("no.safetensors", "no.safetensors")) {
      assertThatThrownBy(() -> chosen(sharded, "unet"))
          .hasMessage(
              "the model google/ddpm-tiny is not whole:"
                  + " unet/diffusion_pytorch_model.safetensors.index.json names"
                  + " [unet/no.safetensors], which it has not; choose another revision");
    }
  }

  @Test
  void download_nameOutsideItsFolder_refused() throws IOException {
    try (FakeHub evil = model("unet/config.json", "unet/..\\..\\evil.json")) {
      assertThatThrownBy(() -> chosen(evil, "unet"))
          .hasMessage(
              "the model google/ddpm-tiny has a file whose name would leave its folder or is none"
                  + " on every system: ..\\..\\evil.json; do not load it");
    }
  }

  @Test
  void download_noPipeline_saysWhatItIs() throws IOException {
    try (FakeHub other = model("64x64_diffusion.pt", "README.md")) {
      assertThatThrownBy(() -> chosen(other, "unet", "scheduler"))
          .hasMessage(
              "the model google/ddpm-tiny is no pipeline: it has neither a folder unet, scheduler"
                  + " nor config.json; download the file that you want in another way and load it"
                  + " by its path");
    }
    try (FakeHub other = model("unet/config.json", "unet/flax_model.msgpack")) {
      assertThatThrownBy(() -> chosen(other, "unet"))
          .hasMessage(
              "the model google/ddpm-tiny has no weights that are read in unet/:"
                  + " diffusion_pytorch_model with one of .safetensors, .safetensors.index.json,"
                  + " .fp16.safetensors, .bin; it has [unet/config.json, unet/flax_model.msgpack]");
    }
  }

  @Test
  void download_listingThatIsNone_refused() {
    server.commit("../../../../home");
    assertThatThrownBy(this::download)
        .hasMessage(
            server.endpoint()
                + "/api/models/google/ddpm-tiny/revision/main must tell a commit of 40 hexadecimal"
                + " digits and its files, but tells ../../../../home and 7 files; check"
                + " HF_ENDPOINT");
    server.commit(COMMIT).trouble("", FakeHub.sends(text("<html>")));
    assertThatThrownBy(this::download)
        .hasMessage(
            server.endpoint()
                + "/api/models/google/ddpm-tiny/revision/main is no JSON object: malformed JSON at"
                + " line 1 column 1 path $");
    assertThat(model()).doesNotExist();
  }

  @ParameterizedTest
  @ValueSource(strings = {"../../../evil", "", "a b"})
  void download_etagThatIsNoName_refused(String etag) {
    server.etag(UNET, etag);
    assertThatThrownBy(this::download)
        .isInstanceOf(IOException.class)
        .hasMessage(
            where(UNET)
                + " must be announced with its size and an etag that can be the name of a file,"
                + " but has the size 300000 and the etag "
                + etag
                + "; check HF_ENDPOINT");
  }

  /* ---------------- What breaks ---------------- */

  @Test
  void download_breaks_goesOnWhereItWas() throws IOException {
    server.trouble(
        UNET,
        FakeHub.breaksAfter(100_000),
        FakeHub.breaksAfter(50_000),
        FakeHub.breaksAfter(0),
        FakeHub.status(503, null));
    Path snapshot = download();
    assertThat(snapshot.resolve(UNET)).hasBinaryContent(weights);
    assertThat(rangesOf(UNET))
        .containsExactly("", "bytes=100000-", "bytes=150000-", "bytes=150000-", "bytes=150000-");
    // Bytes came twice, so the third failure was the first in a row.
    assertThat(waited).containsExactly(Duration.ofSeconds(1), Duration.ofSeconds(2));
    assertThat(incomplete()).doesNotExist();
  }

  /** The etag of a small file is that of the answer, so the hub is told which bytes are there. */
  @Test
  void download_smallFileBreaks_goesOnIfItIsTheSame() throws IOException {
    String config = "unet/config.json";
    String etag = server.file(config, new byte[5000]).etagOf(config);
    server.trouble(config, FakeHub.breaksAfter(2000));
    download();
    assertThat(server.requests())
        .filteredOn(line -> line.startsWith("GET") && line.contains(config))
        .containsExactly(
            "GET /google/ddpm-tiny/resolve/" + COMMIT + "/" + config,
            "GET /google/ddpm-tiny/resolve/"
                + COMMIT
                + "/"
                + config
                + " bytes=2000- if \""
                + etag
                + "\"");
  }

  /** By a weak etag nobody knows whether bytes are the same. */
  @Test
  void download_weakEtag_beginsAnew() throws IOException {
    String config = "unet/config.json";
    server.file(config, new byte[5000]).etag(config, "W/\"weak\"");
    server.trouble(config, FakeHub.breaksAfter(2000));
    Path snapshot = download();
    assertThat(snapshot.resolve(config)).hasBinaryContent(new byte[5000]);
    assertThat(server.requests()).noneMatch(line -> line.contains("bytes="));
    assertThat(Files.readSymbolicLink(snapshot.resolve(config))).hasToString("../../../blobs/weak");
  }

  @Test
  void download_breaksForGood_whatCameIsKept() throws IOException {
    server.trouble(UNET, FakeHub.breaksAfter(120_000));
    server.trouble(
        UNET, Collections.nCopies(5, FakeHub.breaksAfter(0)).toArray(FakeHub.Trouble[]::new));
    assertThatThrownBy(this::download)
        .isInstanceOf(IOException.class)
        .hasMessageContaining(UNET)
        .hasMessageEndingWith(
            ", 5 times in a row; check the connection and call it again later, it goes on where it"
                + " was");
    assertThat(waited).extracting(Duration::toSeconds).containsExactly(1L, 2L, 4L, 8L);
    assertThat(incomplete()).hasSize(120_000);
    assertThat(model().resolve("refs")).doesNotExist();
    server.forget();
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
    assertThat(rangesOf(UNET)).containsExactly("bytes=120000-");
  }

  @Test
  void download_stalls_asksAgain() throws IOException {
    server.trouble(UNET, server.stallsAfter(70_000), server.stallsAfter(0));
    Path snapshot = download();
    assertThat(snapshot.resolve(UNET)).hasBinaryContent(weights);
    assertThat(rangesOf(UNET)).containsExactly("", "bytes=70000-", "bytes=70000-");
  }

  /** A host that sends everything anew, and breaks off at the same place for ever. */
  @Test
  void download_rangesNotObeyed_endsAllTheSame() {
    FakeHub.Trouble always =
        (exchange, bytes) -> {
          exchange.sendResponseHeaders(200, bytes.length);
          exchange.getResponseBody().write(bytes, 0, 1000);
          return true;
        };
    server.trouble(UNET, Collections.nCopies(20, always).toArray(FakeHub.Trouble[]::new));
    assertThatThrownBy(this::download).hasMessageContaining(", 5 times in a row");
    assertThat(rangesOf(UNET)).hasSize(6);
  }

  @Test
  void download_rangeElsewhere_beginsAnew() throws IOException {
    FakeHub.Trouble elsewhere =
        (exchange, bytes) -> {
          FakeHub.send(exchange, 206, bytes, 5);
          return true;
        };
    server.trouble(UNET, FakeHub.breaksAfter(1000), elsewhere, FakeHub.breaksAfter(10));
    server.trouble(UNET, FakeHub.status(416, null));
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
    assertThat(rangesOf(UNET)).containsExactly("", "bytes=1000-", "", "bytes=10-", "");
  }

  /* ---------------- Who lies ---------------- */

  @Test
  void download_otherLength_refused() {
    server.trouble(UNET, FakeHub.sends(new byte[1000]));
    assertThatThrownBy(this::download)
        .hasMessage(
            where(UNET)
                + " must have 300000 bytes, as the hub says, but 1000 are sent; download it again"
                + " or from another HF_ENDPOINT");
    server.trouble(UNET, FakeHub.sendsChunked(new byte[300_001]));
    assertThatThrownBy(this::download)
        .hasMessage(
            where(UNET)
                + " must have 300000 bytes, as the hub says, but more are sent; download it again"
                + " or from another HF_ENDPOINT");
    assertThat(incomplete()).isEmptyFile();
    assertThat(model().resolve("refs")).doesNotExist();
  }

  @Test
  void download_tooFewWithoutLength_asksForTheRest() throws IOException {
    byte[] part = Arrays.copyOf(weights, 1000);
    server.trouble(UNET, FakeHub.sendsChunked(part));
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
    assertThat(rangesOf(UNET)).containsExactly("", "bytes=1000-");
  }

  @Test
  void download_otherBytes_refusedAndGone() throws IOException {
    byte[] other = new byte[300_000];
    server.trouble(UNET, FakeHub.sends(other));
    assertThatThrownBy(this::download)
        .hasMessage(
            where(UNET)
                + " is damaged: the SHA-256 of its bytes is "
                + FakeHub.sha256(other)
                + ", but the hub says "
                + FakeHub.sha256(weights)
                + "; nothing of it is kept, download it again or from another HF_ENDPOINT");
    assertThat(tree().keySet()).noneMatch(name -> name.contains(server.etagOf(UNET)));
    assertThat(model().resolve("refs")).doesNotExist();
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
  }

  /** Of a file of the same name, but not its beginning. */
  @Test
  void download_goesOnFromOtherBytes_beginsAnew() throws IOException {
    Files.createDirectories(model().resolve("blobs"));
    Files.write(incomplete(), new byte[777]);
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
    assertThat(rangesOf(UNET)).containsExactly("bytes=777-", "");
    // And one that is longer than the whole.
    Files.delete(model().resolve("blobs").resolve(server.etagOf(UNET)));
    Files.write(incomplete(), new byte[300_001]);
    server.forget();
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
    assertThat(rangesOf(UNET)).containsExactly("");
  }

  /** No such disk is there. */
  @Test
  void download_moreThanTheDiskHas_refused() {
    server.size(UNET, Long.MAX_VALUE / 2);
    assertThatThrownBy(this::download)
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            Pattern.quote(model().toString())
                + " needs \\d+ bytes more, but the disk has \\d+; make room, or set HF_HOME to a"
                + " folder on another disk");
  }

  /* ---------------- Who refuses ---------------- */

  @Test
  void download_token_neverToAnotherHost() throws IOException {
    server.trouble(UNET, FakeHub.breaksAfter(1000));
    download();
    assertThat(server.hubHeaders())
        .isNotEmpty()
        .allSatisfy(
            headers -> assertThat(headers.getFirst("Authorization")).isEqualTo("Bearer " + TOKEN));
    assertThat(server.storeHeaders())
        .hasSize(2)
        .allSatisfy(
            headers -> {
              assertThat(headers.containsKey("Authorization")).isFalse();
              assertThat(headers.containsKey("Cookie")).isFalse();
            });
  }

  /** Not even when the other host sends it back to the hub. */
  @Test
  void download_tokenAfterAnotherHost_staysBehind() throws IOException {
    server.trouble(UNET, FakeHub.redirect(server.endpoint() + "/elsewhere"));
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
    int last = server.requests().indexOf("GET /elsewhere");
    assertThat(last).isPositive();
    assertThat(server.hubHeaders())
        .filteredOn(headers -> !headers.containsKey("Authorization"))
        .hasSize(1);
  }

  @Test
  void download_noToken_nothingIsSent() throws IOException {
    environment.remove("HF_TOKEN");
    download();
    assertThat(server.hubHeaders()).noneMatch(headers -> headers.containsKey("Authorization"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"ftp://host/x", "file:///etc/passwd", "http:nothing", ""})
  void download_redirectToWhatIsNoWebPage_refused(String location) {
    server.trouble(UNET, FakeHub.redirect(location));
    assertThatThrownBy(this::download)
        .isInstanceOf(IOException.class)
        .hasMessage(
            server.storeAddress()
                + "/"
                + UNET
                + " leads to what is not followed: it must be an address of the web, and not from"
                + " https to http");
  }

  @Test
  void download_redirectsWithoutEnd_refused() {
    for (int i = 0; i < 20; i++) {
      server.trouble(UNET, FakeHub.redirect("/" + UNET));
    }
    assertThatThrownBy(this::download)
        .hasMessage(where(UNET) + " leads through more than 10 redirects");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "401|true|401: the hub does not accept the token in HF_TOKEN for this model; check the"
            + " name, or make a new token that may read it",
        "401|false|401: the model does not exist, is private, or has terms to be agreed to; check"
            + " its name, or set HF_TOKEN to a token that may read it",
        "403|true|403: the hub lets only some users read it; ask for it on the model's page, as the"
            + " user whose token HF_TOKEN is",
        "403|false|403: the hub lets only some users read it; ask for it on the model's page, and"
            + " set HF_TOKEN to a token of yours",
        "404|true|404: the hub has no such model, revision or file; check the names"
      })
  void download_refused_saysTheWayOut(int status, boolean token, String reason) {
    if (!token) {
      environment.remove("HF_TOKEN");
    }
    server.trouble("", FakeHub.status(status, null));
    assertThatThrownBy(this::download)
        .isInstanceOf(status == 404 ? NoSuchFileException.class : AccessDeniedException.class)
        .hasMessage(server.endpoint() + "/api/models/google/ddpm-tiny/revision/main: " + reason);
    assertThat(waited).isEmpty();
  }

  @Test
  void download_otherStatus_refused() {
    server.trouble("", FakeHub.status(418, null));
    assertThatThrownBy(this::download)
        .hasMessage(
            server.endpoint()
                + "/api/models/google/ddpm-tiny/revision/main answered 418, which no hub should;"
                + " check HF_ENDPOINT");
  }

  @Test
  void download_tooManyRequests_waitsAsLongAsIsAsked() throws IOException {
    server.trouble(
        "",
        FakeHub.status(429, "7"),
        FakeHub.status(500, null),
        FakeHub.status(503, "1"),
        FakeHub.status(502, "soon"));
    download();
    assertThat(waited).extracting(Duration::toSeconds).containsExactly(7L, 2L, 4L, 8L);
  }

  @Test
  void download_longPatienceAsked_endsAtOnce() {
    server.trouble("", FakeHub.status(429, "3600"));
    assertThatThrownBy(this::download)
        .hasMessage(
            server.endpoint()
                + "/api/models/google/ddpm-tiny/revision/main answered 429 and asks for 3600 s of"
                + " patience; call it again then, it goes on where it was");
    assertThat(waited).isEmpty();
  }

  @Test
  void download_serverErrorsWithoutEnd_fails() {
    for (int i = 0; i < 5; i++) {
      server.trouble("", FakeHub.status(500, null));
    }
    assertThatThrownBy(this::download)
        .hasMessage(
            server.endpoint()
                + "/api/models/google/ddpm-tiny/revision/main answered 500, 5 times in a row; check"
                + " the connection and call it again later, it goes on where it was");
  }

  /** The other host's address is good for a while only, so the hub is asked for another one. */
  @Test
  void download_otherHostRefuses_hubIsAskedAgain() throws IOException {
    server.trouble(UNET, FakeHub.status(403, null));
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
    assertThat(waited).hasSize(1);
  }

  @Test
  void download_nobodyThere_fails() {
    environment.put("HF_ENDPOINT", "http://127.0.0.1:1");
    assertThatThrownBy(this::download)
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith(
            "http://127.0.0.1:1/api/models/google/ddpm-tiny/revision/main did not answer: ")
        .hasMessageEndingWith(
            ", 5 times in a row; check the connection and call it again later, it goes on where it"
                + " was");
  }

  /* ---------------- The environment ---------------- */

  @ParameterizedTest
  @ValueSource(strings = {"1", "true", "Yes", "ON"})
  void download_offline_refused(String value) {
    environment.put("HF_HUB_OFFLINE", value);
    assertThatThrownBy(this::download)
        .isInstanceOf(IOException.class)
        .hasMessage(
            "HF_HUB_OFFLINE is set to "
                + value
                + ", so nothing is downloaded; unset it, or load what is in the cache by its name");
    assertThat(server.requests()).isEmpty();
  }

  @Test
  void download_tokenThatIsNone_refusedAndNotTold() {
    environment.put("HF_TOKEN", "hf_sec\nret");
    assertThatThrownBy(this::download)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "HF_TOKEN must have letters, digits and signs of ASCII alone, but has other characters;"
                + " copy it anew")
        .hasNoCause();
  }

  @ParameterizedTest
  @CsvSource({
    "huggingface.co, huggingface.co",
    "ftp://huggingface.co, ftp://huggingface.co",
    "https://h/?a, https://h/?a",
    "https://a b, https://a b",
    "https://me:pass@h, one with a user"
  })
  void download_endpointThatIsNone_refused(String endpoint, String told) {
    environment.put("HF_ENDPOINT", endpoint);
    assertThatThrownBy(this::download)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "HF_ENDPOINT must be an address such as https://huggingface.co, without user, ? and #,"
                + " but was "
                + told);
  }

  @Test
  void download_endpointWithSlash_isTheSame() throws IOException {
    environment.put("HF_ENDPOINT", server.endpoint() + "/");
    environment.put("HF_TOKEN", " " + TOKEN + "\n");
    environment.put("HF_HUB_OFFLINE", "0");
    assertThat(download()).isDirectory();
  }

  @Test
  void download_names_checkedFirst() {
    assertThatThrownBy(() -> hub().download("a/../b", "main", COMPONENTS, (f, b, t) -> {}))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> hub().download(ID, "../main", COMPONENTS, (f, b, t) -> {}))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(server.requests()).isEmpty();
  }

  /* ---------------- Threads ---------------- */

  @Test
  void download_progress_risesToTheEnd() throws IOException {
    server.trouble(UNET, FakeHub.breaksAfter(100_000));
    Map<String, List<Long>> heard = new TreeMap<>();
    Hub.Progress progress =
        (file, bytes, total) -> {
          heard.computeIfAbsent(file, key -> new ArrayList<>()).add(bytes);
          if (file.equals(UNET)) {
            assertThat(total).isEqualTo(300_000);
          }
        };
    hub().download(ID, "main", COMPONENTS, progress);
    assertThat(heard.keySet())
        .containsExactly(
            "model_index.json", "scheduler/scheduler_config.json", "unet/config.json", UNET);
    assertThat(heard.get(UNET)).startsWith(0L).contains(100_000L).endsWith(300_000L).isSorted();
    heard.clear();
    hub().download(ID, "main", COMPONENTS, progress);
    assertThat(heard.get(UNET)).containsExactly(300_000L);
  }

  @Test
  void download_listenerThrows_endsAndIsKept() throws IOException {
    Hub.Progress progress =
        (file, bytes, total) -> {
          if (bytes > 0 && file.equals(UNET)) {
            throw new UncheckedIOException(new IOException("enough"));
          }
        };
    assertThatThrownBy(() -> hub().download(ID, "main", COMPONENTS, progress))
        .isInstanceOf(UncheckedIOException.class);
    assertThat(Files.size(incomplete())).isPositive();
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
    assertThat(rangesOf(UNET)).hasSize(2).last().asString().startsWith("bytes=");
  }

  @Test
  void download_interrupted_endsSoonAndIsKept() throws IOException {
    server.trouble(UNET, server.stallsAfter(60_000));
    Hub patient =
        Hub.of(environment::get, folder)
            .with(
                new HubHttp.Limits(
                    Duration.ofSeconds(60),
                    Duration.ofSeconds(60),
                    Duration.ofSeconds(60),
                    Duration.ofSeconds(60),
                    5),
                waited::add);
    Thread self = Thread.currentThread();
    Hub.Progress progress =
        (file, bytes, total) -> {
          if (bytes == 60_000) {
            self.interrupt();
          }
        };
    assertThatThrownBy(() -> patient.download(ID, "main", COMPONENTS, progress))
        .isInstanceOf(InterruptedIOException.class)
        .hasMessage(
            "the download of google/ddpm-tiny was interrupted; what has come is kept, and the next"
                + " download goes on");
    assertThat(Thread.interrupted()).isTrue();
    assertThat(incomplete()).hasSize(60_000);
    assertThat(download().resolve(UNET)).hasBinaryContent(weights);
    // One that is interrupted before asks nobody.
    server.forget();
    Thread.currentThread().interrupt();
    assertThatThrownBy(this::download).isInstanceOf(InterruptedIOException.class);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(server.requests()).isEmpty();
  }

  @Test
  void download_byTwoThreads_onceAndWhole() {
    Hub real =
        Hub.of(environment::get, folder).with(QUICK, time -> Thread.sleep(time.toMillis() / 50));
    Stream<CompletableFuture<Path>> both =
        Stream.of(1, 2)
            .map(
                each ->
                    CompletableFuture.supplyAsync(
                        () -> {
                          try {
                            return real.download(ID, "main", COMPONENTS, (f, b, t) -> {});
                          } catch (IOException e) {
                            throw new UncheckedIOException(e);
                          }
                        }));
    for (CompletableFuture<Path> each : both.toList()) {
      assertThat(each.join().resolve(UNET)).hasBinaryContent(weights);
    }
    assertThat(rangesOf(UNET)).containsExactly("");
  }
}
