package io.github.ddpm4j.web;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.service.SamplingService;
import java.net.InetSocketAddress;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Draws on a page in the browser, at http://localhost:8080: the models in the box, and those in the
 * folders that are named, of pipelines from text to picture too. Ctrl-C ends it. {@code
 * -Dport=9000} is another port, {@code -Dhost=0.0.0.0} lets other machines in.
 */
public final class Serve {

  private static final int PORT = Integer.getInteger("port", PageServer.DEFAULT_PORT);
  private static final String HOST = System.getProperty("host", "localhost");

  private Serve() {}

  /**
   * Runs it.
   *
   * @param folders folders of models or pipelines, by whose names the page calls them
   * @throws Exception if a model cannot be read, or the port is taken
   */
  public static void main(String... folders) throws Exception {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // calls share the cores
    DDPM.endStepsOnShutdown();
    Map<String, LatentModel> latent = new LinkedHashMap<>();
    InetSocketAddress address = new InetSocketAddress(HOST, PORT);
    try (SamplingService service = PageService.of(System.getProperties(), latent, folders);
        PageServer server = PageServer.start(service, latent, address)) {
      System.out.println("Open " + server.address() + " in a browser. Ctrl-C ends it.");
      Thread.currentThread().join();
    }
  }
}
