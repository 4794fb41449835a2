package io.github.ddpm4j.web;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.github.ddpm4j.service.SamplingService;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A page over a sampling service, for a browser on this machine: choose, watch it being drawn, look
 * back over the steps, keep, fill in.
 *
 * <p>It runs on the JDK's own server, {@code jdk.httpserver}: the page needs six addresses and one
 * stream of events, which are a page of code, while a framework for them would be larger than the
 * library. The service stays the caller's.
 */
final class PageServer implements AutoCloseable {

  /** The port unless another one is named: {@value}. */
  static final int DEFAULT_PORT = 8080;

  /** The largest body of a request in bytes: {@value}. */
  static final int MOST_BYTES = 131_072;

  /** Drawings that a client may begin at once. */
  static final int BURST = 20;

  /** Drawings that a client may begin a second from then on. */
  static final double PER_SECOND = 1;

  /** Connections at once; each may hold a small thread. */
  private static final int MOST_CONNECTIONS = 2_000;

  private static final int STACK_BYTES = 256 * 1024;
  private static final Logger logger = LoggerFactory.getLogger(PageServer.class);
  private static final Pattern DRAWING =
      Pattern.compile("/api/drawings/([0-9a-f]{32})(?:/(events|(\\d{1,2})\\.png))?");

  /** Where the name localhost leads. */
  private static final Set<String> LOCALHOST = Set.of("127.0.0.1", "[::1]");

  private static final List<String> READ = List.of("GET", "HEAD");
  private static final Map<String, String> TYPES =
      Map.of(
          "/", "index.html",
          "/page.css", "page.css",
          "/page.js", "page.js",
          "/fill.js", "fill.js",
          "/icon.svg", "icon.svg");

  /** The page loads nothing from elsewhere, and nobody frames it. */
  private static final String POLICY =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src"
          + " 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

  static {
    // The server reads them once, when it is first used: seconds for a request to arrive, seconds
    // for an answer to leave (a stream of events that is cut goes on where it was), connections.
    System.getProperties().putIfAbsent("sun.net.httpserver.maxReqTime", "10");
    System.getProperties().putIfAbsent("sun.net.httpserver.maxRspTime", "600");
    System.getProperties()
        .putIfAbsent("jdk.httpserver.maxConnections", Integer.toString(MOST_CONNECTIONS));
  }

  private final HttpServer server;
  private final ExecutorService threads;
  private final Drawings drawings;
  private final ModelList models;
  private final EventStream streams = new EventStream();
  private final Allowance allowance;
  private final boolean isLocal;
  private final Map<String, Answer> files = new LinkedHashMap<>();

  private PageServer(
      SamplingService service,
      Map<String, LatentModel> latent,
      InetSocketAddress address,
      LongSupplier nanos)
      throws IOException {
    allowance = new Allowance(BURST, PER_SECOND, nanos);
    drawings = new Drawings(service, latent, Drawings.MOST_BYTES);
    models = new ModelList(drawings);
    for (Map.Entry<String, String> file : TYPES.entrySet()) {
      files.put(file.getKey(), resource(file.getValue()));
    }
    isLocal = address.getAddress().isLoopbackAddress();
    server = listening(address);
    AtomicInteger count = new AtomicInteger();
    threads =
        new ThreadPoolExecutor(
            0,
            MOST_CONNECTIONS,
            30,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            work -> {
              Thread thread =
                  new Thread(null, work, "ddpm4j-web-" + count.incrementAndGet(), STACK_BYTES);
              thread.setDaemon(true);
              return thread;
            });
    server.setExecutor(threads);
    server.createContext("/", this::handle);
    server.start();
  }

  private static HttpServer listening(InetSocketAddress address) throws IOException {
    try {
      return HttpServer.create(address, 1_000);
    } catch (BindException e) {
      throw new IOException(
          "nothing can listen at "
              + address.getHostString()
              + ":"
              + address.getPort()
              + " ("
              + e.getMessage()
              + "); name another port by -Dport=9000, or another host by -Dhost=localhost",
          e);
    }
  }

  /**
   * Starts a server that only this machine reaches.
   *
   * @param service what draws
   * @param port where to listen; 0 for any that is free
   * @throws IOException if the port is taken
   */
  static PageServer start(SamplingService service, int port) throws IOException {
    return start(service, Map.of(), new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
  }

  /**
   * Starts a server.
   *
   * @param service what draws
   * @param latent those of its models that draw latents, by their names; they stay the caller's
   * @param address where to listen. Whoever reaches it may draw
   * @throws IOException if it is no address of this machine, or taken
   */
  static PageServer start(
      SamplingService service, Map<String, LatentModel> latent, InetSocketAddress address)
      throws IOException {
    return start(service, latent, address, System::nanoTime);
  }

  /** Starts a server that tells by a clock, in nanoseconds, how often clients come. */
  static PageServer start(
      SamplingService service,
      Map<String, LatentModel> latent,
      InetSocketAddress address,
      LongSupplier nanos)
      throws IOException {
    if (address.isUnresolved()) {
      throw new IOException("there is no host of the name " + address.getHostString());
    }
    return new PageServer(service, latent, address, nanos);
  }

  /** Where a browser of this machine finds the page. */
  String address() {
    InetSocketAddress bound = server.getAddress();
    boolean isHere = LOCALHOST.contains(literal()) || bound.getAddress().isAnyLocalAddress();
    return "http://" + (isHere ? "localhost" : literal()) + ":" + bound.getPort() + "/";
  }

  /** The address that it listens at, as it stands in a URL. */
  private String literal() {
    InetAddress bound = server.getAddress().getAddress();
    String text =
        bound.isLoopbackAddress() && bound instanceof Inet6Address ? "::1" : bound.getHostAddress();
    return text.contains(":") ? "[" + text + "]" : text;
  }

  private static Answer resource(String name) {
    String type =
        switch (name.substring(name.lastIndexOf('.'))) {
          case ".html" -> "text/html; charset=utf-8";
          case ".css" -> "text/css; charset=utf-8";
          case ".svg" -> "image/svg+xml";
          default -> "text/javascript; charset=utf-8";
        };
    try (InputStream in =
        Objects.requireNonNull(PageServer.class.getResourceAsStream(name), name)) {
      return new Answer(200, type, in.readAllBytes());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      String client = exchange.getRemoteAddress().getAddress().getHostAddress();
      Answer answer;
      try {
        requireKnownHost(exchange);
        answer = answer(exchange, client);
        if (answer == null) {
          return; // it was a stream
        }
      } catch (RefusalException e) {
        answer = Answer.refusal(e.status(), String.valueOf(e.getMessage()));
        if (!e.allowed().isEmpty()) {
          exchange.getResponseHeaders().set("Allow", e.allowed());
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        answer = Answer.refusal(503, "the server is ending");
      } catch (RuntimeException e) {
        logger.warn("a request failed", e);
        answer = Answer.refusal(500, "the server failed; its log says why");
      }
      answer.send(exchange, POLICY);
    }
  }

  /** A page of another site whose name leads here must not reach a server of this machine. */
  private void requireKnownHost(HttpExchange exchange) {
    String host = exchange.getRequestHeaders().getFirst("Host");
    if (isLocal && (host == null || !isKnown(host.toLowerCase(Locale.ROOT)))) {
      throw new RefusalException(421, "this server is for this machine alone; open " + address());
    }
  }

  private boolean isKnown(String host) {
    String port = ":" + server.getAddress().getPort();
    String name = host.endsWith(port) ? host.substring(0, host.length() - port.length()) : host;
    return name.equals("localhost") || LOCALHOST.contains(name) || name.equals(literal());
  }

  private @Nullable Answer answer(HttpExchange exchange, String client)
      throws IOException, InterruptedException {
    String method = exchange.getRequestMethod();
    String path = exchange.getRequestURI().getRawPath();
    Answer file = files.get(path);
    if (file != null) {
      requireMethod(method, READ);
      return file;
    }
    if (path.equals("/api/models")) {
      requireMethod(method, READ);
      return Answer.json(200, models.json());
    }
    if (path.equals("/api/drawings")) {
      requireMethod(method, List.of("POST"));
      return begin(exchange, client);
    }
    Matcher drawing = DRAWING.matcher(path);
    if (!drawing.matches()) {
      throw new RefusalException(404, "there is nothing here; the page is at /");
    }
    Drawing known = drawings.get(drawing.group(1));
    if (drawing.group(3) != null) {
      requireMethod(method, READ);
      return known
          .picture(Integer.parseInt(drawing.group(3)))
          .map(picture -> new Answer(200, "image/png", picture.png()))
          .orElseThrow(() -> new RefusalException(404, "there is no such picture"));
    }
    if (drawing.group(2) != null) {
      requireMethod(method, List.of("GET"));
      streams.send(exchange, known, client);
      return null;
    }
    requireMethod(method, List.of("DELETE"));
    known.cancel();
    return new Answer(204, "", new byte[0]);
  }

  private static void requireMethod(String method, List<String> methods) {
    if (!methods.contains(method)) {
      throw RefusalException.allowing(methods);
    }
  }

  private Answer begin(HttpExchange exchange, String client)
      throws IOException, InterruptedException {
    String type = exchange.getRequestHeaders().getFirst("Content-Type");
    if (type == null || !type.toLowerCase(Locale.ROOT).startsWith("application/json")) {
      // Forms of other sites can send every type but this.
      throw new RefusalException(415, "the body must be application/json");
    }
    DrawRequest asked = DrawRequest.of(body(exchange));
    if (!allowance.take(client)) {
      throw new RefusalException(429, "that is a lot of drawings; wait a few seconds");
    }
    Drawing drawing = drawings.begin(asked, client);
    return Answer.json(202, "{\"id\":\"" + drawing.id() + "\"}");
  }

  private static String body(HttpExchange exchange) throws IOException {
    String length = exchange.getRequestHeaders().getFirst("Content-Length");
    if (length != null && (length.length() > 9 || Long.parseLong(length) > MOST_BYTES)) {
      throw tooLarge();
    }
    byte[] bytes;
    try {
      bytes = exchange.getRequestBody().readNBytes(MOST_BYTES + 1);
    } catch (IndexOutOfBoundsException e) { // how the JDK takes a chunk of 2 GiB or more
      throw tooLarge();
    }
    if (bytes.length > MOST_BYTES) {
      throw tooLarge();
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static RefusalException tooLarge() {
    return new RefusalException(413, "the body must have at most " + MOST_BYTES + " bytes");
  }

  /** Ends the server; requests that are under way are cut off. */
  @Override
  public void close() {
    server.stop(0);
    List<Runnable> left = threads.shutdownNow();
    if (!left.isEmpty()) {
      logger.info("{} requests were not answered", left.size());
    }
  }
}
