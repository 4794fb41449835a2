package io.github.ddpm4j.web;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpContext;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpPrincipal;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.URI;
import org.junit.jupiter.api.Test;

class AnswerTest {

  /** Servers that buffer what they send lose it where the body of the request was not read. */
  @Test
  void send_aBody_hasLeftBeforeTheExchangeEnds() throws Exception {
    Buffering exchange = new Buffering();
    Answer.refusal(413, "too large").send(exchange, "default-src 'none'");
    assertThat(exchange.sent).hasToString("{\"error\":\"too large\"}");
  }

  /** An exchange that sends when it is told to. */
  private static final class Buffering extends HttpExchange {

    private final ByteArrayOutputStream sent = new ByteArrayOutputStream();
    private final OutputStream body = new BufferedOutputStream(sent);
    private final Headers headers = new Headers();

    @Override
    public OutputStream getResponseBody() {
      return body;
    }

    @Override
    public Headers getResponseHeaders() {
      return headers;
    }

    @Override
    public String getRequestMethod() {
      return "POST";
    }

    @Override
    public void sendResponseHeaders(int status, long length) {}

    @Override
    public void close() {}

    @Override
    public Headers getRequestHeaders() {
      throw new UnsupportedOperationException();
    }

    @Override
    public URI getRequestURI() {
      throw new UnsupportedOperationException();
    }

    @Override
    public HttpContext getHttpContext() {
      throw new UnsupportedOperationException();
    }

    @Override
    public InputStream getRequestBody() {
      throw new UnsupportedOperationException();
    }

    @Override
    public InetSocketAddress getRemoteAddress() {
      throw new UnsupportedOperationException();
    }

    @Override
    public int getResponseCode() {
      throw new UnsupportedOperationException();
    }

    @Override
    public InetSocketAddress getLocalAddress() {
      throw new UnsupportedOperationException();
    }

    @Override
    public String getProtocol() {
      throw new UnsupportedOperationException();
    }

    @Override
    public Object getAttribute(String name) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void setAttribute(String name, Object value) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void setStreams(InputStream in, OutputStream out) {
      throw new UnsupportedOperationException();
    }

    @Override
    public HttpPrincipal getPrincipal() {
      throw new UnsupportedOperationException();
    }
  }
}
