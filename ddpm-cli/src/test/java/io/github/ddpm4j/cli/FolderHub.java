package io.github.ddpm4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/** A hub on this machine which has one folder under every name, but those that have their own. */
final class FolderHub implements AutoCloseable {

  private static final String COMMIT = "267b167dc01f0e4e61923ea244e8b988f84deb80";

  static {
    // Else each answer waits for 40 ms for the one before to be confirmed.
    System.setProperty("sun.net.httpserver.nodelay", "true");
  }

  private final Path folder;
  private final Map<String, Path> others = new ConcurrentHashMap<>();
  private final HttpServer server;

  FolderHub(Path folder) throws IOException {
    this.folder = folder;
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/", this::answer);
    server.start();
  }

  /** Has another folder under a name. */
  FolderHub with(String name, Path other) {
    others.put(name, other);
    return this;
  }

  /** The folder that an address is of. */
  private Path folderOf(String path) {
    return others.entrySet().stream()
        .filter(other -> path.contains("/" + other.getKey() + "/"))
        .map(Map.Entry::getValue)
        .findFirst()
        .orElse(folder);
  }

  /** Sets the variables of a process that is to use it, with a cache of its own. */
  void announce(Map<String, String> environment, Path cache) {
    environment.keySet().removeIf(name -> name.startsWith("HF_"));
    environment.put("HF_ENDPOINT", "http://127.0.0.1:" + server.getAddress().getPort());
    environment.put("HF_HOME", cache.toString());
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String path = exchange.getRequestURI().getPath();
      byte[] bytes =
          path.startsWith("/api/")
              ? listing(folderOf(path))
              : Files.readAllBytes(
                  folderOf(path)
                      .resolve(path.substring(path.indexOf(COMMIT) + COMMIT.length() + 1)));
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

  private static byte[] listing(Path folder) throws IOException {
    JsonArray siblings = new JsonArray();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        JsonObject sibling = new JsonObject();
        sibling.addProperty("rfilename", folder.relativize(file).toString());
        siblings.add(sibling);
      }
    }
    JsonObject listing = new JsonObject();
    listing.addProperty("sha", COMMIT);
    listing.add("siblings", siblings);
    return listing.toString().getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
