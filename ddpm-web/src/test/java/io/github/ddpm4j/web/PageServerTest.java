package io.github.ddpm4j.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.service.SamplingService;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The server, spoken to as browsers do and as they don't. */
@Timeout(60)
class PageServerTest {

  static {
    Limits.set();
  }

  @TempDir private Path folder;
  private final Semaphore calls = new Semaphore(Integer.MAX_VALUE / 2);
  private final HttpClient client = HttpClient.newHttpClient();
  private final AtomicLong clock = new AtomicLong();
  private SamplingService service;
  private PageServer server;

  @BeforeEach
  void start() throws IOException {
    service =
        SamplingService.builder()
            .model("classes", TestModels.classes(calls))
            .model("portraits", TestModels.attributes())
            .mostImages(4)
            .queue(2)
            .build();
    server =
        PageServer.start(
            service,
            Map.of(),
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            clock::get);
  }

  @AfterEach
  void close() {
    server.close();
    calls.release(1_000_000);
    service.close();
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(server.address()).resolve(path))
        .timeout(Duration.ofSeconds(20));
  }

  private HttpResponse<String> get(String path) throws Exception {
    return client.send(request(path).build(), BodyHandlers.ofString());
  }

  private HttpResponse<String> post(String body) throws Exception {
    return client.send(
        request("/api/drawings")
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  private static String body(String more) {
    return ("{'model':'classes','prompt':'Bag','sampler':'ddim','steps':5,'guidance':1,'seed':7,"
            + "'count':2"
            + more
            + "}")
        .replace('\'', '"');
  }

  private static String one(String more) {
    return body(more).replace("\"count\":2", "\"count\":1");
  }

  private String begin(String body) throws Exception {
    HttpResponse<String> answer = post(body);
    assertThat(answer.body()).matches("\\{\"id\":\"[0-9a-f]{32}\"}");
    assertThat(answer.statusCode()).isEqualTo(202);
    return JsonParser.parseString(answer.body()).getAsJsonObject().get("id").getAsString();
  }

  private static String error(HttpResponse<String> answer, int status) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
    return JsonParser.parseString(answer.body()).getAsJsonObject().get("error").getAsString();
  }

  private JsonObject last(String events) {
    String[] lines = events.strip().split("\n");
    return JsonParser.parseString(lines[lines.length - 1].substring("data: ".length()))
        .getAsJsonObject();
  }

  /* ---------------- As the page does ---------------- */

  @ParameterizedTest
  @ValueSource(strings = {"/", "/page.css", "/page.js", "/fill.js", "/icon.svg"})
  void files_areThose_andLoadNothingFromElsewhere(String path) throws Exception {
    HttpResponse<String> answer = get(path);
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.headers().firstValue("Content-Security-Policy").orElseThrow())
        .startsWith("default-src 'none'; script-src 'self';")
        .contains("frame-ancestors 'none'");
    assertThat(answer.headers().firstValue("X-Content-Type-Options")).hasValue("nosniff");
    assertThat(answer.body().replace("http://www.w3.org/2000/svg", ""))
        .doesNotContain("http:")
        .doesNotContain("https:")
        .doesNotContain("//cdn");
    assertThat(get(path + "x").statusCode()).isEqualTo(404);
  }

  @Test
  void models_areThoseOfTheService() throws Exception {
    JsonArray models =
        JsonParser.parseString(get("/api/models").body())
            .getAsJsonObject()
            .getAsJsonArray("models");
    assertThat(models.get(0).toString())
        .isEqualTo(
            "{\"name\":\"classes\",\"width\":4,\"height\":4,\"colour\":false,\"mostSteps\":99,"
                + "\"fills\":true,\"text\":false,\"guidance\":2.0,\"mostGuidance\":8.0,\"attributes\":[],\"classes\":[\"Boot\",\"Bag\"]}");
    assertThat(models.get(1).toString())
        .contains("\"width\":8,\"height\":6,\"colour\":true")
        .contains("{\"name\":\"glasses\",\"values\":[\"none\",\"dark\"]}]")
        .contains("\"classes\":[]");
  }

  @Test
  void drawing_stepsThenPictures_thatSayHowTheyWereDrawn() throws Exception {
    String id = begin(body(""));
    HttpResponse<String> stream = get("/api/drawings/" + id + "/events");
    assertThat(stream.headers().firstValue("Content-Type")).hasValue("text/event-stream");
    String[] events = stream.body().split("\n\n");
    assertThat(events).hasSizeBetween(2, 6);
    assertThat(events[0])
        .startsWith("id: 0\nevent: step\ndata: {\"step\":")
        .contains("\"steps\":5,\"image\":\"data:image/png;base64,");
    assertThat(events[events.length - 2]).contains("\"step\":5,\"steps\":5");
    JsonArray pictures = last(stream.body()).getAsJsonArray("pictures");
    assertThat(pictures).hasSize(2);
    assertThat(pictures.get(1).getAsJsonObject().get("class").getAsString()).isEqualTo("Bag");

    Path file = folder.resolve("one.png");
    HttpResponse<Path> png =
        client.send(request("/api/drawings/" + id + "/1.png").build(), BodyHandlers.ofFile(file));
    assertThat(png.headers().firstValue("Content-Type")).hasValue("image/png");
    assertThat(Pictures.provenance(file)).containsEntry("image", "1").containsEntry("seed", "7");
    assertThat(ImageIO.read(file.toFile()).getWidth()).isEqualTo(4);
    assertThat(error(get("/api/drawings/" + id + "/2.png"), 404))
        .isEqualTo("there is no such picture");

    // Whoever comes back hears the rest alone.
    HttpResponse<String> rest =
        client.send(
            request("/api/drawings/" + id + "/events")
                .header("Last-Event-ID", Integer.toString(events.length - 2))
                .build(),
            BodyHandlers.ofString());
    assertThat(rest.body()).startsWith("id: " + (events.length - 1) + "\nevent: done\n");
    for (int heard : new int[] {events.length - 1, events.length, 999_999}) {
      HttpResponse<String> nothing =
          client.send(
              request("/api/drawings/" + id + "/events")
                  .header("Last-Event-ID", Integer.toString(heard))
                  .build(),
              BodyHandlers.ofString());
      assertThat(nothing.statusCode()).as("after event %d", heard).isEqualTo(204);
      assertThat(nothing.body()).isEmpty();
    }
  }

  @Test
  void events_beyondTheLast_endWithTheDrawing() throws Exception {
    calls.drainPermits();
    String id = begin(body(""));
    try (Socket socket = connect()) {
      String get =
          "GET /api/drawings/"
              + id
              + "/events HTTP/1.1\r\n"
              + host()
              + "Last-Event-ID: 999999\r\nConnection: close\r\n\r\n";
      socket.getOutputStream().write(get.getBytes(StandardCharsets.ISO_8859_1));
      socket.setSoTimeout(10_000); // less than the time from one sign of life to the next
      assertThat(socket.getInputStream().read()).isEqualTo('H');
      calls.release(1_000_000);
      assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1))
          .startsWith("TTP/1.1 200 ")
          .doesNotContain("event:");
    }
  }

  @Test
  void drawing_withAHole_keepsTheRest() throws Exception {
    String id = begin(body(""));
    get("/api/drawings/" + id + "/events");
    String mask = "ff00";
    String fill = ",'fill':{'drawing':'" + id + "','picture':1,'mask':'" + mask + "'}";
    assertThat(error(post(body(fill)), 400))
        .isEqualTo("count must be 1 where a part of a picture is filled in, but was 2");
    String filled =
        begin(one(fill).replace("\"seed\":7", "\"seed\":8").replace("\"steps\":5", "\"steps\":20"));
    assertThat(get("/api/drawings/" + filled + "/events").body()).contains("event: done");
    int[] before = pixels(id, 1);
    int[] after = pixels(filled, 0);
    assertThat(Arrays.copyOf(after, 8)).containsExactly(Arrays.copyOf(before, 8));
    assertThat(Arrays.copyOfRange(after, 8, 16)).isNotEqualTo(Arrays.copyOfRange(before, 8, 16));

    assertThat(error(post(one(fill.replace(mask, "f0"))), 400))
        .isEqualTo("mask must have 4 digits for 16 pixels, but has 2");
    assertThat(error(post(one(fill.replace(id, "0".repeat(32)))), 404))
        .isEqualTo("there is no such drawing, or it was forgotten");
    assertThat(error(post(one(fill.replace("'picture':1", "'picture':2"))), 404))
        .isEqualTo("there is no such picture");
    assertThat(
            error(post(one(fill).replace("classes", "portraits").replace("Bag", "hat=red")), 400))
        .isEqualTo("a picture is filled in by the model that drew it");
  }

  private int[] pixels(String id, int picture) throws Exception {
    try (InputStream in =
        client
            .send(
                request("/api/drawings/" + id + "/" + picture + ".png").build(),
                BodyHandlers.ofInputStream())
            .body()) {
      return ImageIO.read(in).getRaster().getPixels(0, 0, 4, 4, (int[]) null);
    }
  }

  @Test
  void drawing_thatIsStopped_saysSo() throws Exception {
    calls.drainPermits();
    String id = begin(body(""));
    HttpRequest stop = request("/api/drawings/" + id).DELETE().build();
    assertThat(client.send(stop, BodyHandlers.ofString()).statusCode()).isEqualTo(204);
    calls.release(1);
    assertThat(get("/api/drawings/" + id + "/events").body())
        .contains("event: failed\ndata: {\"message\":\"Stopped.\"}");
  }

  @Test
  void drawing_thatTheServiceRefuses_isAnswered() throws Exception {
    assertThat(error(post(body("").replace("Bag", "horse")), 400))
        .isEqualTo(
            "the prompt must be a class, of [Boot, Bag], or its number from 0, but was \"horse\"");
    assertThat(error(post(body("").replace("classes", "other")), 400))
        .isEqualTo("there is no such model, but there are [classes, portraits]");
    assertThat(error(post(body("").replace("ddim", "ddim, resampling=1000000x1000000")), 400))
        .isEqualTo("sampler must be one of [dpm++2m, unipc, ddim, ddpm, euler-a]");
    calls.drainPermits();
    List<String> begun = new ArrayList<>();
    begun.add(begin(body("").replace("\"count\":2", "\"count\":4")));
    while (service.status().running() == 0) {
      Thread.onSpinWait();
    }
    begun.add(begin(body("")));
    begun.add(begin(body("")));
    HttpResponse<String> full = post(body(""));
    assertThat(error(full, 503))
        .startsWith("there is too much to draw just now: the service has 2 requests that wait");
    assertThat(full.headers().firstValue("Retry-After")).hasValue("5");
    calls.release(1_000_000);
    for (String id : begun) {
      assertThat(get("/api/drawings/" + id + "/events").body()).contains("event: done");
    }
  }

  @Test
  void drawings_oneAfterTheOther_areLimited() throws Exception {
    for (int i = 0; i <= PageServer.BURST; i++) {
      assertThat(post(body(",'nonsense':1")).statusCode()).isEqualTo(400);
    }
    String one = body("").replace("\"steps\":5", "\"steps\":1");
    for (int i = 0; i < PageServer.BURST; i++) {
      String id = begin(one);
      get("/api/drawings/" + id + "/events"); // the queue is short
    }
    HttpResponse<String> limited = post(one);
    assertThat(error(limited, 429)).isEqualTo("that is a lot of drawings; wait a few seconds");
    assertThat(limited.headers().firstValue("Retry-After")).hasValue("5");
    clock.addAndGet(Math.round(1e9 / PageServer.PER_SECOND));
    begin(one);
    assertThat(error(post(one), 429)).startsWith("that is a lot of drawings");
  }

  /* ---------------- As no page does ---------------- */

  /** Sends bytes, and gives all that comes back until the connection ends. */
  private String raw(String text) throws IOException {
    try (Socket socket = connect()) {
      socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
      socket.shutdownOutput();
      socket.setSoTimeout(20_000);
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    } catch (SocketException e) {
      return "reset";
    }
  }

  private Socket connect() throws IOException {
    URI address = URI.create(server.address());
    return new Socket("localhost", address.getPort());
  }

  private String host() {
    return "Host: localhost:" + URI.create(server.address()).getPort() + "\r\n";
  }

  /** More than an array of Java holds, as the sizes of chunks say. */
  @ParameterizedTest
  @ValueSource(strings = {"80000000", "ffffffff", "fffffffff"})
  void chunk_thatIsHuge_isTooLarge(String size) throws IOException {
    String answer =
        raw(
            "POST /api/drawings HTTP/1.1\r\n"
                + host()
                + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                + size
                + "\r\n{}");
    assertThat(answer).startsWith("HTTP/1.1 413 ");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/page.js/../../../etc/passwd",
        "/page.css%00.html",
        "/api/drawings/../models",
        "/api/drawings/%2e%2e/events",
        "/api/drawings/0123456789abcdef0123456789abcdef/../../../../etc/passwd",
        "/PageServer.class",
        "file:///etc/passwd"
      })
  void path_thatTricks_isNotFound(String path) throws IOException {
    String answer = raw("GET " + path + " HTTP/1.1\r\n" + host() + "Connection: close\r\n\r\n");
    assertThat(answer).startsWith("HTTP/1.1 404 ").doesNotContain("root:").doesNotContain("Êþº¾");
  }

  @Test
  void request_thatIsNoHttp_isEnded() throws Exception {
    assertThat(raw("\0\1\2\3\r\n\r\n")).doesNotContain("200");
    assertThat(raw("GET mailto:nobody HTTP/1.1\r\n" + host() + "\r\n")).doesNotContain(" 200 ");
    assertThat(raw("GET / HTTP/1.1\r\n" + "X: y\r\n".repeat(1_000) + "\r\n"))
        .doesNotContain(" 200 ");
    assertThat(get("/").statusCode()).isEqualTo(200);
  }

  /** A name of another site that leads to this machine. */
  @Test
  void host_ofAnother_isRefused() throws IOException {
    for (String host : List.of("Host: evil.example\r\n", "Host: localhost:1\r\n", "")) {
      assertThat(raw("GET /api/models HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"))
          .startsWith("HTTP/1.1 421 ")
          .contains("{\"error\":\"this server is for this machine alone; open http://localhost:");
    }
  }

  @Test
  void head_isAnsweredAsGet_withoutABody() throws Exception {
    String id = begin(body(""));
    get("/api/drawings/" + id + "/events");
    for (String path : List.of("/", "/api/models", "/api/drawings/" + id + "/0.png")) {
      HttpResponse<byte[]> get = client.send(request(path).build(), BodyHandlers.ofByteArray());
      String answer = raw("HEAD " + path + " HTTP/1.1\r\n" + host() + "Connection: close\r\n\r\n");
      assertThat(answer)
          .startsWith("HTTP/1.1 200 ")
          .containsIgnoringCase("\r\nContent-Length: " + get.body().length + "\r\n")
          .endsWith("\r\n\r\n");
    }
  }

  @Test
  void methodsAndTypes_thatAreNotForIt_areRefused() throws Exception {
    HttpResponse<String> get = get("/api/drawings");
    assertThat(error(get, 405)).isEqualTo("only POST is for this address");
    assertThat(get.headers().firstValue("Allow")).hasValue("POST");
    HttpRequest put = request("/").PUT(BodyPublishers.ofString("x")).build();
    HttpResponse<String> refused = client.send(put, BodyHandlers.ofString());
    assertThat(error(refused, 405)).isEqualTo("only GET and HEAD are for this address");
    assertThat(refused.headers().firstValue("Allow")).hasValue("GET, HEAD");
    assertThat(raw("HEAD /api/drawings HTTP/1.1\r\n" + host() + "Connection: close\r\n\r\n"))
        .startsWith("HTTP/1.1 405 ")
        .contains("Allow: POST\r\n");
    HttpRequest form =
        request("/api/drawings")
            .header("Content-Type", "text/plain")
            .POST(BodyPublishers.ofString(body("")))
            .build();
    assertThat(error(client.send(form, BodyHandlers.ofString()), 415))
        .isEqualTo("the body must be application/json");
  }

  @Test
  void body_thatIsTooLarge_isRefusedUnread() throws Exception {
    String head = "POST /api/drawings HTTP/1.1\r\n" + host() + "Content-Type: application/json\r\n";
    String refusal = "{\"error\":\"the body must have at most 131072 bytes\"}";
    for (String length : List.of("131073", "999999999", "9999999999999")) {
      assertThat(raw(head + "Content-Length: " + length + "\r\n\r\n"))
          .startsWith("HTTP/1.1 413 ")
          .endsWith(refusal);
    }
    // Chunks of which the last never comes: the answer does not wait for it.
    String chunk = "1000\r\n" + "x".repeat(0x1000) + "\r\n";
    try (Socket socket = connect()) {
      String all = head + "Transfer-Encoding: chunked\r\n\r\n" + chunk.repeat(33);
      socket.getOutputStream().write(all.getBytes(StandardCharsets.ISO_8859_1));
      socket.setSoTimeout(20_000);
      byte[] start = socket.getInputStream().readNBytes("HTTP/1.1 413 ".length());
      assertThat(new String(start, StandardCharsets.ISO_8859_1)).isEqualTo("HTTP/1.1 413 ");
    }
    assertThat(error(post("[".repeat(65_000)), 400))
        .isEqualTo("the body must be one object of JSON");
  }

  /** A thousand that say half a sentence hold nobody up, and are sent away. */
  @Test
  void connections_thatAreSlow_harmNobody_andAreEnded() throws Exception {
    List<Socket> slow = new ArrayList<>();
    try {
      for (int i = 0; i < 1_000; i++) {
        Socket socket = connect();
        slow.add(socket);
        String half =
            i % 2 == 0
                ? "GET / HTTP/1.1\r\nHo"
                : "POST /api/drawings HTTP/1.1\r\n"
                    + host()
                    + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
        socket.getOutputStream().write(half.getBytes(StandardCharsets.ISO_8859_1));
      }
      String id = begin(body(""));
      assertThat(get("/api/drawings/" + id + "/events").body()).contains("event: done");
      for (int i : new int[] {0, 1, 500, 999}) {
        Socket socket = slow.get(i);
        socket.setSoTimeout(20_000);
        assertThat(ends(socket)).isTrue();
      }
      assertThat(get("/").statusCode()).isEqualTo(200);
    } finally {
      for (Socket socket : slow) {
        socket.close();
      }
    }
  }

  /** Whether the other side ends a connection, with an answer or without. */
  private static boolean ends(Socket socket) throws IOException {
    try {
      socket.getInputStream().readAllBytes();
      return true;
    } catch (SocketTimeoutException e) {
      return false;
    } catch (SocketException e) {
      return true; // reset
    }
  }

  @Test
  void streams_ofOneClient_areLimited() throws Exception {
    calls.drainPermits();
    String id = begin(body(""));
    List<Socket> open = new ArrayList<>();
    try {
      for (int i = 0; i < EventStream.MOST_OF_A_CLIENT; i++) {
        Socket socket = connect();
        open.add(socket);
        String get = "GET /api/drawings/" + id + "/events HTTP/1.1\r\n" + host() + "\r\n";
        socket.getOutputStream().write(get.getBytes(StandardCharsets.ISO_8859_1));
        assertThat(socket.getInputStream().read()).isEqualTo('H');
      }
      assertThat(error(get("/api/drawings/" + id + "/events"), 429))
          .isEqualTo("too many drawings are watched at once; close some");
    } finally {
      for (Socket socket : open) {
        socket.close();
      }
      calls.release(1_000_000);
    }
  }

  @Test
  void start_forAll_answersByAnyName() throws Exception {
    try (PageServer all =
        PageServer.start(service, Map.of(), new InetSocketAddress("0.0.0.0", 0))) {
      assertThat(all.address()).startsWith("http://localhost:");
      URI address = URI.create(all.address().replace("localhost", "127.0.0.2"));
      assertThat(
              client
                  .send(HttpRequest.newBuilder(address).build(), BodyHandlers.ofString())
                  .statusCode())
          .isEqualTo(200);
    }
  }

  /** Such as that of the machine's own name on Debian, where localhost does not lead. */
  @Test
  void start_onAnotherAddressOfThisMachine_isFoundThere() throws Exception {
    try (PageServer other =
        PageServer.start(service, Map.of(), new InetSocketAddress("127.0.0.2", 0))) {
      assertThat(other.address()).matches("http://127\\.0\\.0\\.2:\\d+/");
      HttpRequest page = HttpRequest.newBuilder(URI.create(other.address())).build();
      assertThat(client.send(page, BodyHandlers.ofString()).statusCode()).isEqualTo(200);
      int port = URI.create(other.address()).getPort();
      try (Socket socket = new Socket("127.0.0.2", port)) {
        String get = "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
        socket.getOutputStream().write(get.getBytes(StandardCharsets.ISO_8859_1));
        assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1))
            .startsWith("HTTP/1.1 421 ")
            .contains("open " + other.address());
      }
    }
  }

  @Test
  void start_whereItCannot_saysSo() {
    int port = URI.create(server.address()).getPort();
    assertThatThrownBy(() -> PageServer.start(service, port))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("nothing can listen at localhost:" + port + " (")
        .hasMessageEndingWith(
            "); name another port by -Dport=9000, or another host by -Dhost=localhost");
    assertThatThrownBy(
            () ->
                PageServer.start(
                    service, Map.of(), InetSocketAddress.createUnresolved("nowhere.invalid", 1)))
        .isInstanceOf(IOException.class)
        .hasMessage("there is no host of the name nowhere.invalid");
  }

  @Test
  void page_isWhole() throws IOException {
    // Every name that the script asks for is in the page.
    String html = text("index.html");
    String script = text("page.js");
    Matcher asked = Pattern.compile("\\$\\(\"([\\w-]+)\"\\)").matcher(script);
    int found = 0;
    while (asked.find()) {
      found++;
      assertThat(html).contains("id=\"" + asked.group(1) + "\"");
    }
    assertThat(found).isGreaterThan(50);
  }

  private static String text(String name) throws IOException {
    return Files.readString(Path.of("src/main/resources/io/github/ddpm4j/web", name));
  }
}
