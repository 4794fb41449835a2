package io.github.ddpm4j.web;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.service.SamplingService;
import java.net.InetSocketAddress;
import java.nio.file.Path;

/**
 * Draws on a page in the browser, at http://localhost:8080: the models in the box, and those in the
 * folders that are named. Ctrl-C ends it. {@code -Dport=9000} is another port, {@code
 * -Dhost=0.0.0.0} lets other machines in.
 */
public final class Serve {

  private static final int PORT = Integer.getInteger("port", PageServer.DEFAULT_PORT);
  private static final String HOST = System.getProperty("host", "localhost");

  private Serve() {}

  /**
   * Runs it.
   *
   * @param folders model folders, by whose names the page calls them
   * @throws Exception if a model cannot be read, or the port is taken
   */
  public static void main(String... folders) throws Exception {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // calls share the cores
    DDPM.endStepsOnShutdown();
    SamplingService.Builder models = SamplingService.builder().properties(System.getProperties());
    for (String name : Models.names()) {
      models.model(name, Models.load(name));
    }
    for (String folder : folders) {
      models.model(Path.of(folder).getFileName().toString(), DDPM.load(Path.of(folder)));
    }
    try (SamplingService service = models.build();
        PageServer server = PageServer.start(service, new InetSocketAddress(HOST, PORT))) {
      System.out.println("Open " + server.address() + " in a browser. Ctrl-C ends it.");
      Thread.currentThread().join();
    }
  }
}
