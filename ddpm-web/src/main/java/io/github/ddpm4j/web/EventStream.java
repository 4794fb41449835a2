package io.github.ddpm4j.web;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** Sends what happens to drawings as server-sent events (HTML standard, section 9.2). */
final class EventStream {

  /** Streams that a client may have open. */
  static final int MOST_OF_A_CLIENT = 32;

  private static final Duration HEARTBEAT = Duration.ofSeconds(15);

  private final Map<String, Integer> open = new HashMap<>();

  /**
   * Sends the events of a drawing until it ends or the client leaves. A client that comes back says
   * the last number that it heard, and gets what followed; the status 204, upon which browsers stay
   * away, if that was the end.
   *
   * @throws RefusalException if it has too many streams open
   */
  void send(HttpExchange exchange, Drawing drawing, String client)
      throws IOException, InterruptedException {
    int next = next(exchange);
    if (drawing.isOverBefore(next)) {
      exchange.sendResponseHeaders(204, -1);
      return;
    }
    begin(client);
    try {
      Answer.addHeaders(exchange, "text/event-stream", "default-src 'none'");
      exchange.sendResponseHeaders(200, 0);
      OutputStream out = exchange.getResponseBody();
      out.flush();
      while (true) {
        Optional<Drawing.Event> event = drawing.event(next, HEARTBEAT);
        if (event.isEmpty() && drawing.isOverBefore(next)) {
          return;
        }
        String text = event.map(EventStream::text).orElse(":\n\n"); // does anybody listen?
        out.write(text.getBytes(StandardCharsets.UTF_8));
        out.flush();
        if (event.isPresent()) {
          if (event.get().isLast()) {
            return;
          }
          next = event.get().number() + 1;
        }
      }
    } finally {
      end(client);
    }
  }

  private static String text(Drawing.Event event) {
    return "id: "
        + event.number()
        + "\nevent: "
        + event.name()
        + "\ndata: "
        + event.data()
        + "\n\n";
  }

  private static int next(HttpExchange exchange) {
    String last = exchange.getRequestHeaders().getFirst("Last-Event-ID");
    return last != null && last.matches("\\d{1,6}") ? Integer.parseInt(last) + 1 : 0;
  }

  private synchronized void begin(String client) {
    if (open.getOrDefault(client, 0) >= MOST_OF_A_CLIENT) {
      throw new RefusalException(429, "too many drawings are watched at once; close some");
    }
    open.merge(client, 1, Integer::sum);
  }

  private synchronized void end(String client) {
    open.merge(client, -1, Integer::sum);
    open.remove(client, 0);
  }
}
