package io.github.ddpm4j.web;

import com.google.gson.JsonObject;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * What is answered over HTTP.
 *
 * @param status of HTTP
 * @param type of the body
 * @param body the bytes
 */
@SuppressWarnings("ArrayRecordComponent") // not handed on
record Answer(int status, String type, byte[] body) {

  static Answer json(int status, String text) {
    return new Answer(status, "application/json", text.getBytes(StandardCharsets.UTF_8));
  }

  static Answer refusal(int status, String message) {
    JsonObject error = new JsonObject();
    error.addProperty("error", message);
    return json(status, error.toString());
  }

  /** What every answer has. */
  static void addHeaders(HttpExchange exchange, String type, String policy) {
    Headers headers = exchange.getResponseHeaders();
    headers.set("Content-Security-Policy", policy);
    headers.set("X-Content-Type-Options", "nosniff");
    headers.set("Referrer-Policy", "no-referrer");
    headers.set("Cache-Control", "no-store");
    if (!type.isEmpty()) {
      headers.set("Content-Type", type);
    }
  }

  void send(HttpExchange exchange, String policy) throws IOException {
    addHeaders(exchange, type, policy);
    if (status == 429 || status == 503) {
      exchange.getResponseHeaders().set("Retry-After", "5");
    }
    if (status >= 400) {
      // What is left of the body is not worth reading.
      exchange.getResponseHeaders().set("Connection", "close");
    }
    boolean isHead = exchange.getRequestMethod().equals("HEAD");
    if (isHead) {
      exchange.getResponseHeaders().set("Content-Length", Integer.toString(body.length));
    }
    boolean empty = body.length == 0 || isHead;
    exchange.sendResponseHeaders(status, empty ? -1 : body.length);
    if (!empty) {
      exchange.getResponseBody().write(body);
      // Before the end of the exchange, which may cut the connection when a request was not read.
      exchange.getResponseBody().flush();
    }
  }
}
