package io.github.ddpm4j.report;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * A headless browser with one page, spoken to by its DevTools protocol. Tests of another module see
 * this file by a link.
 */
public final class Chromium implements AutoCloseable {

  private static final List<String> NAMES =
      List.of("chromium", "chromium-browser", "google-chrome");
  private static final long PATIENCE_SECONDS = 30;

  private final Process process;
  private final WebSocket socket;
  private final Map<Integer, CompletableFuture<JsonObject>> answers = new ConcurrentHashMap<>();
  private final AtomicInteger asked = new AtomicInteger();

  /** What the page has said to the console or thrown, and what it asked for from elsewhere. */
  public final List<String> complaints = Collections.synchronizedList(new ArrayList<>());

  /** Where the page may ask for something. */
  private volatile String home = "file:";

  private volatile CompletableFuture<Void> loaded = new CompletableFuture<>();
  private String session = "";

  /** The browser of this machine. */
  public static Optional<Path> installed() {
    return Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .flatMap(folder -> NAMES.stream().map(name -> Path.of(folder, name)))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /** Starts it, with its files in a folder. */
  public Chromium(Path binary, Path folder) throws Exception {
    process =
        new ProcessBuilder(
                binary.toString(),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--user-data-dir=" + folder,
                "--remote-debugging-port=0",
                "about:blank")
            .redirectErrorStream(true)
            .start();
    BufferedReader out =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    String marker = "DevTools listening on ";
    String line;
    do {
      line = out.readLine();
      if (line == null) {
        throw new IOException("the browser ended before it listened");
      }
    } while (!line.startsWith(marker));
    socket =
        HttpClient.newHttpClient()
            .newWebSocketBuilder()
            .buildAsync(URI.create(line.substring(marker.length())), new Listener())
            .get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    String target =
        ask("Target.createTarget", Map.of("url", "about:blank")).get("targetId").getAsString();
    session =
        ask("Target.attachToTarget", Map.of("targetId", target, "flatten", true))
            .get("sessionId")
            .getAsString();
    for (String domain : List.of("Page", "Runtime", "Log", "Network")) {
      ask(domain + ".enable", Map.of());
    }
  }

  private final class Listener implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
      text.append(data);
      if (last) {
        JsonObject message = JsonParser.parseString(text.toString()).getAsJsonObject();
        text.setLength(0);
        hear(message);
      }
      from.request(1);
      return null;
    }
  }

  private void hear(JsonObject message) {
    if (message.has("id")) {
      answers.remove(message.get("id").getAsInt()).complete(message);
      return;
    }
    String method = message.get("method").getAsString();
    JsonObject params = message.getAsJsonObject("params");
    switch (method) {
      case "Page.loadEventFired" -> loaded.complete(null);
      case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded" ->
          complaints.add(method + " " + params);
      case "Network.requestWillBeSent" -> {
        String url = params.getAsJsonObject("request").get("url").getAsString();
        if (!url.startsWith(home) && !url.startsWith("data:")) {
          complaints.add("asks for " + url);
        }
      }
      default -> {
        // of no interest
      }
    }
  }

  /** Sends a command and waits for what it gives. */
  public JsonObject ask(String method, Map<String, Object> params) throws Exception {
    int id = asked.incrementAndGet();
    JsonObject command = new JsonObject();
    command.addProperty("id", id);
    command.addProperty("method", method);
    command.add("params", new Gson().toJsonTree(params));
    if (!session.isEmpty()) {
      command.addProperty("sessionId", session);
    }
    CompletableFuture<JsonObject> answer = new CompletableFuture<>();
    answers.put(id, answer);
    socket.sendText(command.toString(), true).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    JsonObject message = answer.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    if (message.has("error")) {
      throw new IOException(method + ": " + message.get("error"));
    }
    return message.getAsJsonObject("result");
  }

  /** Shows a file in a window of a size, light or dark. */
  public void open(Path file, int width, int height, boolean dark) throws Exception {
    open("file:", file.toUri().toString(), width, height, dark);
  }

  /** Shows an address, whose page may ask for all that begins with another. */
  public void open(String from, String url, int width, int height, boolean dark) throws Exception {
    home = from;
    ask(
        "Emulation.setDeviceMetricsOverride",
        Map.of("width", width, "height", height, "deviceScaleFactor", 1, "mobile", width < 500));
    ask(
        "Emulation.setEmulatedMedia",
        Map.of(
            "features",
            List.of(Map.of("name", "prefers-color-scheme", "value", dark ? "dark" : "light"))));
    loaded = new CompletableFuture<>();
    ask("Page.navigate", Map.of("url", url));
    loaded.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
  }

  /** What an expression of JavaScript gives in the page, as text. */
  public String value(String expression) throws Exception {
    JsonObject answer =
        ask(
            "Runtime.evaluate",
            Map.of("expression", expression, "returnByValue", true, "awaitPromise", true));
    if (answer.has("exceptionDetails")) {
      throw new IOException(expression + ": " + answer.get("exceptionDetails"));
    }
    JsonElement value = answer.getAsJsonObject("result").get("value");
    return value == null ? "undefined" : value.getAsString();
  }

  /** Presses a key, as a person does. */
  public void press(String key, int code) throws Exception {
    for (String type : List.of("keyDown", "keyUp")) {
      ask(
          "Input.dispatchKeyEvent",
          Map.of("type", type, "key", key, "code", key, "windowsVirtualKeyCode", code));
    }
  }

  /** Presses the mouse at a place, moves it to another and lets go, as a person does. */
  public void drag(double fromX, double fromY, double toX, double toY) throws Exception {
    mouse("mousePressed", fromX, fromY);
    for (int i = 1; i <= 10; i++) {
      mouse("mouseMoved", fromX + (toX - fromX) * i / 10, fromY + (toY - fromY) * i / 10);
    }
    mouse("mouseReleased", toX, toY);
  }

  private void mouse(String type, double x, double y) throws Exception {
    ask(
        "Input.dispatchMouseEvent",
        Map.of("type", type, "x", x, "y", y, "button", "left", "buttons", 1, "clickCount", 1));
  }

  /** The whole page as a PNG file. */
  public void picture(Path file) throws Exception {
    String png =
        ask("Page.captureScreenshot", Map.of("format", "png", "captureBeyondViewport", true))
            .get("data")
            .getAsString();
    Files.write(file, Base64.getDecoder().decode(png));
  }

  @Override
  public void close() throws Exception {
    socket.abort();
    process.destroy();
    if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
    }
  }
}
