package io.github.ddpm4j.internal.hub;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.JsonFile;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/**
 * A hub on this machine, as Hugging Face's answers: small files from the hub itself, large ones by
 * a redirect to another host, which is another port here. It may be told to fail.
 */
public final class FakeHub implements AutoCloseable {

  /** The model that it has. */
  public static final String ID = "google/ddpm-tiny";

  /** Its only commit. */
  public static final String COMMIT = "267b167dc01f0e4e61923ea244e8b988f84deb80";

  private final HttpServer hub;
  private final HttpServer store;
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Map<String, byte[]> files = new LinkedHashMap<>();
  private final Set<String> large = new TreeSet<>();
  private final Map<String, String> etags = new HashMap<>();
  private final Map<String, Long> sizes = new HashMap<>();
  private final Map<String, Queue<Trouble>> troubles = new HashMap<>();
  private final List<String> requests = Collections.synchronizedList(new ArrayList<>());
  private final List<Headers> hubHeaders = Collections.synchronizedList(new ArrayList<>());
  private final List<Headers> storeHeaders = Collections.synchronizedList(new ArrayList<>());
  private String commit = COMMIT;

  static {
    // Else each answer waits for 40 ms for the one before to be confirmed.
    System.setProperty("sun.net.httpserver.nodelay", "true");
  }

  /** What goes wrong with one request for the bytes of a file. */
  interface Trouble {

    /** Answers; false if the usual answer is to be given all the same. */
    boolean answers(HttpExchange exchange, byte[] bytes) throws IOException;
  }

  /** Starts both hosts on free ports. */
  public FakeHub() throws IOException {
    InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    hub = HttpServer.create(any, 0);
    store = HttpServer.create(any, 0);
    hub.setExecutor(threads);
    store.setExecutor(threads);
    hub.createContext("/", exchange -> answer(exchange, hubHeaders, this::ofHub));
    store.createContext("/", exchange -> answer(exchange, storeHeaders, this::ofStore));
    hub.start();
    store.start();
  }

  /** The address of the hub. */
  public String endpoint() {
    return "http://127.0.0.1:" + hub.getAddress().getPort();
  }

  String storeAddress() {
    return "http://127.0.0.1:" + store.getAddress().getPort();
  }

  /** Gives the model a small file. */
  public FakeHub file(String name, byte[] bytes) {
    files.put(name, bytes);
    return this;
  }

  /** Gives the model a large file, which the other host has. */
  public FakeHub largeFile(String name, byte[] bytes) {
    large.add(name);
    return file(name, bytes);
  }

  FakeHub commit(String value) {
    commit = value;
    return this;
  }

  FakeHub etag(String name, String etag) {
    etags.put(name, etag);
    return this;
  }

  FakeHub size(String name, long size) {
    sizes.put(name, size);
    return this;
  }

  /** What goes wrong with the next requests for the bytes of a file, one after the other. */
  FakeHub trouble(String name, Trouble... next) {
    troubles.computeIfAbsent(name, key -> new ArrayDeque<>()).addAll(List.of(next));
    return this;
  }

  /** Method, path and range of every request, in order. */
  List<String> requests() {
    synchronized (requests) {
      return List.copyOf(requests);
    }
  }

  void forget() {
    requests.clear();
  }

  List<Headers> hubHeaders() {
    return hubHeaders;
  }

  List<Headers> storeHeaders() {
    return storeHeaders;
  }

  static String sha256(byte[] bytes) {
    return HexFormat.of().formatHex(WholeFile.sha256().digest(bytes));
  }

  String etagOf(String name) {
    String own = etags.get(name);
    String digest = sha256(bytes(name));
    return own != null ? own : large.contains(name) ? digest : digest.substring(0, 40);
  }

  private byte[] bytes(String name) {
    return files.getOrDefault(name, new byte[0]);
  }

  /* ---------------- Answers ---------------- */

  /** What a host does. */
  private interface Answers {
    void to(HttpExchange exchange) throws IOException;
  }

  private void answer(HttpExchange exchange, List<Headers> seen, Answers answers)
      throws IOException {
    Headers headers = exchange.getRequestHeaders();
    seen.add(headers);
    String range = headers.getFirst("Range");
    requests.add(
        exchange.getRequestMethod()
            + " "
            + exchange.getRequestURI()
            + (range == null ? "" : " " + range)
            + (headers.containsKey("If-Range") ? " if " + headers.getFirst("If-Range") : ""));
    try (exchange) {
      answers.to(exchange);
    }
  }

  private void ofHub(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    String resolve = "/" + ID + "/resolve/" + COMMIT + "/";
    if (path.startsWith("/api/models/" + ID + "/revision/")) {
      byte[] listing = listing();
      if (!isTroubled("", exchange, listing)) {
        send(exchange, 200, listing, 0);
      }
    } else if (path.startsWith(resolve) && files.containsKey(path.substring(resolve.length()))) {
      ofFile(exchange, path.substring(resolve.length()));
    } else {
      exchange.sendResponseHeaders(404, -1);
    }
  }

  private byte[] listing() {
    Map<String, Object> listing = new LinkedHashMap<>();
    listing.put("id", ID);
    listing.put("sha", commit);
    listing.put(
        "siblings", files.keySet().stream().map(name -> Map.of("rfilename", name)).toList());
    return JsonFile.text(listing).getBytes(StandardCharsets.UTF_8);
  }

  private void ofFile(HttpExchange exchange, String name) throws IOException {
    Headers headers = exchange.getResponseHeaders();
    headers.set("X-Repo-Commit", COMMIT);
    long size = sizes.getOrDefault(name, (long) bytes(name).length);
    String etag = etagOf(name);
    if (large.contains(name)) {
      headers.set("X-Linked-Etag", "\"" + etag + "\"");
      headers.set("X-Linked-Size", Long.toString(size));
      headers.set("Location", storeAddress() + "/" + name + "?signature=secret");
      exchange.sendResponseHeaders(302, -1);
      return;
    }
    headers.set("ETag", etag.startsWith("W/") ? etag : "\"" + etag + "\"");
    if (exchange.getRequestMethod().equals("HEAD")) {
      headers.set("Content-Length", Long.toString(size));
      exchange.sendResponseHeaders(200, -1);
    } else {
      ofBytes(exchange, name);
    }
  }

  private void ofStore(HttpExchange exchange) throws IOException {
    ofBytes(exchange, exchange.getRequestURI().getPath().substring(1));
  }

  private void ofBytes(HttpExchange exchange, String name) throws IOException {
    byte[] bytes = bytes(name);
    if (isTroubled(name, exchange, bytes)) {
      return;
    }
    int first = first(exchange);
    String condition = exchange.getRequestHeaders().getFirst("If-Range");
    if (condition != null && !condition.equals("\"" + etagOf(name) + "\"")) {
      first = 0;
    }
    if (first >= bytes.length && first > 0) {
      exchange.sendResponseHeaders(416, -1);
    } else {
      send(exchange, first == 0 ? 200 : 206, bytes, first);
    }
  }

  private boolean isTroubled(String name, HttpExchange exchange, byte[] bytes) throws IOException {
    Trouble trouble;
    synchronized (troubles) {
      Queue<Trouble> left = troubles.get(name);
      trouble = left == null ? null : left.poll();
    }
    return trouble != null && trouble.answers(exchange, bytes);
  }

  static int first(HttpExchange exchange) {
    String range = exchange.getRequestHeaders().getFirst("Range");
    return range == null ? 0 : Integer.parseInt(range.replaceAll("[^0-9]", ""));
  }

  static void send(HttpExchange exchange, int status, byte[] bytes, int first) throws IOException {
    if (status == 206) {
      exchange
          .getResponseHeaders()
          .set("Content-Range", "bytes " + first + "-" + (bytes.length - 1) + "/" + bytes.length);
    }
    int length = bytes.length - first;
    exchange.sendResponseHeaders(status, length == 0 ? -1 : length);
    exchange.getResponseBody().write(bytes, first, length);
  }

  /* ---------------- Troubles ---------------- */

  static Trouble status(int status, @Nullable String retryAfter) {
    return (exchange, bytes) -> {
      if (retryAfter != null) {
        exchange.getResponseHeaders().set("Retry-After", retryAfter);
      }
      exchange.sendResponseHeaders(status, -1);
      return true;
    };
  }

  static Trouble redirect(String location) {
    return (exchange, bytes) -> {
      exchange.getResponseHeaders().set("Location", location);
      exchange.sendResponseHeaders(302, -1);
      return true;
    };
  }

  /** Sends some bytes of those that were asked for, and then closes the connection. */
  static Trouble breaksAfter(int count) {
    return (exchange, bytes) -> {
      part(exchange, bytes, count);
      return true;
    };
  }

  /** Sends some bytes of those that were asked for, and then falls silent. */
  Trouble stallsAfter(int count) {
    return (exchange, bytes) -> {
      part(exchange, bytes, count);
      try {
        closed.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      return true;
    };
  }

  private static void part(HttpExchange exchange, byte[] bytes, int count) throws IOException {
    int first = first(exchange);
    if (first > 0) {
      exchange
          .getResponseHeaders()
          .set("Content-Range", "bytes " + first + "-" + (bytes.length - 1) + "/" + bytes.length);
    }
    exchange.sendResponseHeaders(first > 0 ? 206 : 200, bytes.length - first);
    OutputStream out = exchange.getResponseBody();
    out.write(bytes, first, count);
    out.flush();
  }

  /** Sends other bytes, all of them, whatever was asked for. */
  static Trouble sends(byte[] other) {
    return (exchange, bytes) -> {
      send(exchange, 200, other, 0);
      return true;
    };
  }

  /** Sends them without saying how many. */
  static Trouble sendsChunked(byte[] other) {
    return (exchange, bytes) -> {
      exchange.sendResponseHeaders(200, 0);
      exchange.getResponseBody().write(other);
      return true;
    };
  }

  @Override
  public void close() {
    closed.countDown();
    hub.stop(0);
    store.stop(0);
    threads.shutdownNow();
  }
}
