package io.github.ddpm4j.unet;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.TorchScriptFeatures;
import io.github.ddpm4j.internal.torch.ModuleTree;
import io.github.ddpm4j.internal.torch.ScriptArchive;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * A process in which one thread closes what others use, over and over. Memory that is freed under a
 * reader ends the process, so this runs as a child of a test.
 */
final class CloseInUse {

  private static final int USERS = 3;

  private static final String FORWARD =
      """
        def forward(self, x: Tensor) -> Tensor:
          return torch.cumsum(torch.exp(torch.flatten(x, 1)), 1)
      """;

  private CloseInUse() {}

  /** What is closed, and how it is used until then. */
  private record Subject(AutoCloseable closed, Use use) {}

  @FunctionalInterface
  private interface Use {
    void once() throws Exception;
  }

  /**
   * Prints how many calls were refused, at least one a round.
   *
   * @param args the subject and the number of rounds
   */
  public static void main(String[] args) throws Exception {
    int refused = 0;
    Path folder = Files.createTempDirectory("close-in-use");
    ExecutorService threads = Executors.newFixedThreadPool(USERS);
    try (UNet network = network()) {
      for (int round = 0; round < Integer.parseInt(args[1]); round++) {
        refused += round(threads, subject(args[0], network, folder));
      }
    } finally {
      threads.shutdown();
    }
    System.out.println(refused > 0 ? "refused" : "never refused");
  }

  private static int round(ExecutorService threads, Subject subject) throws Exception {
    CountDownLatch started = new CountDownLatch(USERS);
    List<Future<Integer>> users = new ArrayList<>();
    for (int i = 0; i < USERS; i++) {
      users.add(
          threads.submit(
              () -> {
                started.countDown();
                try {
                  while (true) {
                    subject.use.once();
                  }
                } catch (IllegalStateException e) {
                  return 1; // cancelled, too
                }
              }));
    }
    started.await();
    Thread.sleep(3);
    subject.closed.close();
    int refused = 0;
    for (Future<Integer> user : users) {
      refused += user.get();
    }
    return refused;
  }

  private static UNet network() {
    return UNet.builder().image(1, 8, 8).levelChannels(8).groups(2).seed(1).build();
  }

  @SuppressWarnings("StatementSwitchToExpressionSwitch") // each case has statements of its own
  private static Subject subject(String name, UNet network, Path folder) throws Exception {
    DDPM ddpm = DDPM.builder().timesteps(1000).denoiser(network).build();
    NDManager manager = NDManager.newBaseManager();
    switch (name) {
      case "run":
        SamplingRun run = ddpm.sampling().sampler(Samplers.ddim(900)).seed(1).start(4);
        return new Subject(run, () -> run.finish().close());
      case "samples":
        Samples samples = ddpm.sampling().sampler(Samplers.ddim(1)).seed(1).generate(64);
        return new Subject(
            samples,
            () -> {
              try (NDManager own = NDManager.newBaseManager()) {
                samples.toNDArray(own).toFloatArray();
                samples.saveGrid(folder.resolve(Thread.currentThread().getName() + ".png"));
              }
            });
      case "features":
        Path file = folder.resolve("network.pt");
        if (!Files.exists(file)) {
          try (OutputStream out = Files.newOutputStream(file)) {
            ScriptArchive.write(ModuleTree.of("Net", Map.of()), FORWARD, List.of(), out);
          }
        }
        TorchScriptFeatures features = Features.torchScript(file).load();
        NDArray images = manager.zeros(new Shape(64, 1, 8, 8));
        return new Subject(features, () -> features.of(images));
      case "save":
        UNet saved = network();
        DDPM whole = DDPM.builder().denoiser(saved).build();
        return new Subject(
            saved, () -> whole.save(folder.resolve(Thread.currentThread().getName())));
      case "parameters":
        UNet written = network();
        return new Subject(
            written,
            () -> written.saveParameters(new DataOutputStream(new ByteArrayOutputStream())));
      case "network":
        UNet used = network();
        NDArray x = manager.ones(new Shape(2, 1, 8, 8));
        return new Subject(used, () -> used.predict(x, Levels.at(3, 3), Condition.none()).close());
      default:
        throw new IllegalArgumentException(name);
    }
  }
}
