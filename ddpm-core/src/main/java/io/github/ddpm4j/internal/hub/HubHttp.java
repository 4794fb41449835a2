package io.github.ddpm4j.internal.hub;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.ProxySelector;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Questions to the hub, asked again when it or the network fails for a moment. The token goes to
 * the hub alone: a redirect to another host, port or protocol leaves it behind, and so do all that
 * follow.
 */
final class HubHttp {

  private static final Logger logger = LoggerFactory.getLogger(Hub.class);

  private static final int MOST_REDIRECTS = 10;

  /** A host that asks for more patience is not waited for. */
  private static final Duration LONGEST_WAIT = Duration.ofMinutes(2);

  private final URI endpoint;
  private final @Nullable String token;
  private final Limits limits;
  private final Hub.Waits waits;
  private final HttpClient client;

  /**
   * How patient to be.
   *
   * @param connect for a connection
   * @param answer for the first words of an answer
   * @param stall for the next piece of a file
   * @param firstWait before the second attempt; each further one waits twice as long
   * @param attempts how many in a row may bring nothing
   */
  record Limits(
      Duration connect, Duration answer, Duration stall, Duration firstWait, int attempts) {

    static final Limits USUAL =
        new Limits(
            Duration.ofSeconds(10),
            Duration.ofSeconds(30),
            Duration.ofSeconds(30),
            Duration.ofSeconds(1),
            5);
  }

  HubHttp(URI endpoint, @Nullable String token, Limits limits, Hub.Waits waits) {
    this.endpoint = endpoint;
    this.token = token;
    this.limits = limits;
    this.waits = waits;
    HttpClient.Builder builder =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(limits.connect());
    ProxySelector proxies = ProxySelector.getDefault();
    if (proxies != null) {
      builder.proxy(proxies);
    }
    client = builder.build();
  }

  /** A failure that may be over soon. */
  static final class Passing extends IOException {

    private static final long serialVersionUID = 1;

    private final transient @Nullable Duration wait;

    Passing(String message, @Nullable Duration wait, @Nullable Throwable cause) {
      super(message, cause);
      this.wait = wait;
    }
  }

  /** What is asked. */
  @FunctionalInterface
  interface Attempt {

    /**
     * Asks once.
     *
     * @return whether it is done; if not, it has come further and is asked again at once
     * @throws Passing if asking again may help
     * @throws IOException if it will not
     * @throws InterruptedException if the thread is interrupted
     */
    boolean isDone() throws IOException, InterruptedException;
  }

  /** An answer, after the redirects that led to it. */
  record Answer(HttpResponse<PolledBody> response, List<HttpHeaders> redirects, boolean fromTheHub)
      implements AutoCloseable {

    int status() {
      return response.statusCode();
    }

    PolledBody body() {
      return response.body();
    }

    HttpHeaders headers() {
      return response.headers();
    }

    /** A header of the first redirect that has it, else of the answer. */
    Optional<String> first(String name) {
      for (HttpHeaders each : redirects) {
        Optional<String> value = each.firstValue(name);
        if (value.isPresent()) {
          return value;
        }
      }
      return headers().firstValue(name);
    }

    OptionalLong length() {
      return number(headers().firstValue("Content-Length"));
    }

    @Override
    public void close() {
      body().close();
    }
  }

  static OptionalLong number(Optional<String> text) {
    try {
      return text.isEmpty() ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(text.get()));
    } catch (NumberFormatException e) {
      logger.debug("no number: {}", text, e);
      return OptionalLong.empty();
    }
  }

  /** The address of something, of which each part may hold any characters. */
  URI address(String... parts) {
    StringBuilder address = new StringBuilder(endpoint.toString());
    for (String part : parts) {
      address.append('/');
      address.append(URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20"));
    }
    return URI.create(address.toString());
  }

  /** How messages name an address: without its query, which may hold signatures. */
  static String name(URI address) {
    String host = address.getScheme() + "://" + address.getHost();
    return (address.getPort() < 0 ? host : host + ":" + address.getPort()) + address.getPath();
  }

  Duration stall() {
    return limits.stall();
  }

  /** Asks until it is done, or nothing helps. */
  void ask(Attempt attempt) throws IOException, InterruptedException {
    int failures = 0;
    while (true) {
      try {
        if (attempt.isDone()) {
          return;
        }
        failures = 0;
      } catch (Passing e) {
        failures++;
        if (failures >= limits.attempts()) {
          throw new IOException(
              e.getMessage()
                  + ", "
                  + failures
                  + " times in a row; check the connection and call it again later, it goes on"
                  + " where it was",
              e);
        }
        Duration own = limits.firstWait().multipliedBy(1L << (failures - 1));
        Duration wait = e.wait == null || e.wait.compareTo(own) < 0 ? own : e.wait;
        logger.info("{}; trying again in {} s", e.getMessage(), wait.toMillis() / 1000.0);
        waits.sleep(wait);
      }
    }
  }

  /**
   * Asks for something small.
   *
   * @param address where it is
   * @param most the most bytes that it may have
   * @return its bytes
   */
  byte[] bytes(URI address, int most) throws IOException, InterruptedException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    ask(
        () -> {
          all.reset();
          try (Answer answer = once("GET", address, Map.of(), Map.of())) {
            requireGood(answer);
            for (List<ByteBuffer> piece = next(answer, address);
                piece != null;
                piece = next(answer, address)) {
              for (ByteBuffer part : piece) {
                byte[] bytes = new byte[part.remaining()];
                part.get(bytes);
                all.writeBytes(bytes);
              }
              if (all.size() > most) {
                throw new IOException(
                    name(address) + " must have at most " + most + " bytes, but has more");
              }
            }
            return true;
          }
        });
    return all.toByteArray();
  }

  /** The next piece of an answer; a connection that breaks may be better the next time. */
  @Nullable List<ByteBuffer> next(Answer answer, URI address)
      throws IOException, InterruptedException {
    try {
      return answer.body().next(limits.stall());
    } catch (IOException e) {
      throw new Passing(name(address) + ": " + e.getMessage(), null, e);
    }
  }

  /**
   * Asks once, and follows redirects.
   *
   * @param method {@code GET} or {@code HEAD}; the latter follows no redirect to another host
   * @param address where to begin
   * @param headers what every host is told
   * @param own what the hub alone is told
   * @return the answer, whatever its status; the caller closes it
   * @throws Passing if there is none
   */
  Answer once(String method, URI address, Map<String, String> headers, Map<String, String> own)
      throws IOException, InterruptedException {
    List<HttpHeaders> redirects = new ArrayList<>();
    boolean home = true;
    URI now = address;
    while (true) {
      HttpRequest.Builder request =
          HttpRequest.newBuilder(now)
              .timeout(limits.answer())
              .method(method, HttpRequest.BodyPublishers.noBody())
              .header("Accept-Encoding", "identity")
              .header("User-Agent", "ddpm4j");
      headers.forEach(request::header);
      if (home) {
        own.forEach(request::header);
        if (token != null) {
          request.header("Authorization", "Bearer " + token);
        }
      }
      HttpResponse<PolledBody> response = send(request.build(), now);
      Answer answer = new Answer(response, redirects, home);
      if (!isRedirect(response.statusCode())) {
        return answer;
      }
      answer.close();
      URI next = target(now, response.headers());
      redirects.add(response.headers());
      home &= isSameOrigin(next, endpoint);
      if (method.equals("HEAD") && !home) {
        return new Answer(response, redirects, false);
      }
      if (redirects.size() > MOST_REDIRECTS) {
        throw new IOException(
            name(address) + " leads through more than " + MOST_REDIRECTS + " redirects");
      }
      now = next;
    }
  }

  private HttpResponse<PolledBody> send(HttpRequest request, URI address)
      throws IOException, InterruptedException {
    try {
      return client.send(request, info -> new PolledBody());
    } catch (SSLException e) {
      throw new IOException(
          name(address)
              + " cannot be reached safely: "
              + e.getMessage()
              + "; check the clock, the proxy and the certificates of this Java",
          e);
    } catch (IOException e) {
      String told = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
      throw new Passing(name(address) + " did not answer: " + told, null, e);
    }
  }

  private static boolean isRedirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  }

  private static URI target(URI from, HttpHeaders headers) throws IOException {
    String location = headers.firstValue("Location").orElse("");
    URI target;
    try {
      target = from.resolve(location);
    } catch (IllegalArgumentException e) {
      throw new IOException(name(from) + " leads to what is no address", e);
    }
    boolean secure = "https".equals(target.getScheme());
    boolean plain = "http".equals(target.getScheme()) && "http".equals(from.getScheme());
    if (location.isEmpty() || target.getHost() == null || !(secure || plain)) {
      throw new IOException(
          name(from)
              + " leads to what is not followed: it must be an address of the web, and not"
              + " from https to http");
    }
    return target;
  }

  private static boolean isSameOrigin(URI one, URI other) {
    return one.getScheme().equals(other.getScheme())
        && one.getHost().equalsIgnoreCase(other.getHost())
        && one.getPort() == other.getPort();
  }

  /** Throws unless the answer is the one that was asked for. */
  void requireGood(Answer answer) throws IOException {
    int status = answer.status();
    if (status == 200 || status == 206 || (isRedirect(status) && !answer.fromTheHub())) {
      return;
    }
    String where = name(answer.response().uri());
    if (status == 408 || status == 429 || status >= 500) {
      throw passing(where, status, answer.headers());
    }
    if (!answer.fromTheHub()) {
      // Its address was good for a while only: the hub gives another one.
      throw new Passing(where + " answered " + status, null, null);
    }
    throw switch (status) {
      case 401 ->
          new AccessDeniedException(
              where,
              null,
              token == null
                  ? "401: the model does not exist, is private, or has terms to be agreed to;"
                      + " check its name, or set HF_TOKEN to a token that may read it"
                  : "401: the hub does not accept the token in HF_TOKEN for this model; check the"
                      + " name, or make a new token that may read it");
      case 403 ->
          new AccessDeniedException(
              where,
              null,
              "403: the hub lets only some users read it; ask for it on the model's page, "
                  + (token == null
                      ? "and set HF_TOKEN to a token of yours"
                      : "as the user whose token HF_TOKEN is"));
      case 404 ->
          new NoSuchFileException(
              where, null, "404: the hub has no such model, revision or file; check the names");
      default ->
          new IOException(
              where + " answered " + status + ", which no hub should; check HF_ENDPOINT");
    };
  }

  private static IOException passing(String where, int status, HttpHeaders headers) {
    OptionalLong seconds = number(headers.firstValue("Retry-After"));
    Duration wait = Duration.ofSeconds(Math.max(0, seconds.orElse(0)));
    if (wait.compareTo(LONGEST_WAIT) > 0) {
      return new IOException(
          where
              + " answered "
              + status
              + " and asks for "
              + wait.toSeconds()
              + " s of patience; call it again then, it goes on where it was");
    }
    return new Passing(where + " answered " + status, wait, null);
  }
}
