package io.github.ddpm4j.examples;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.SamplingRun;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * A sampling run under the caller's hand: watched while it draws, put down in a file and taken up
 * again, cancelled, and sharing its network calls with another.
 */
public final class Steering {

  private static final int CALLS = 50;

  private Steering() {}

  /**
   * Runs the example.
   *
   * @param args the folder of a model, or nothing for the quickstart's
   * @throws IOException if there is no model, or a picture can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    Path model = args.length > 0 ? Path.of(args[0]) : Path.of(target, "quickstart", "model");
    run(model, Path.of(target, "steering"), CALLS);
  }

  static void run(Path model, Path folder, int calls) throws IOException {
    Path file = Files.createDirectories(folder).resolve("run.safetensors");
    List<BufferedImage> previews = new ArrayList<>();
    try (DDPM ddpm = DDPM.load(model)) {
      try (SamplingRun run = start(ddpm, calls, 1)) {
        while (run.step() < calls / 2) {
          previews.add(preview(run));
        }
        run.save(file);
      }
      // Another process could go on from here.
      try (SamplingRun run = start(ddpm, calls, 1).restore(file)) {
        while (run.hasNext()) {
          previews.add(preview(run));
        }
      }
      Pictures.animate(previews, 100, folder.resolve("previews.gif"));
      System.out.println(folder.resolve("previews.gif"));
      try (SamplingRun run = start(ddpm, calls, 1)) {
        run.cancel(); // any thread may
        run.next();
      } catch (CancellationException stopped) {
        System.out.println("Cancelled: " + stopped.getMessage() + ".");
      }
      try (SamplingRun one = start(ddpm, calls, 1);
          SamplingRun other = start(ddpm, calls, 2)) {
        one.next(); // wherever each of them is
        SamplingRun.advance(List.of(one, other));
        System.out.println("In one network call, two runs: " + one + " and " + other);
      }
    }
  }

  private static SamplingRun start(DDPM ddpm, int calls, long seed) {
    return ddpm.sampling().sampler(Samplers.ddim(calls)).seed(seed).start(12);
  }

  /** A step, and what the network takes the pictures to be after it. */
  private static BufferedImage preview(SamplingRun run) {
    return Pictures.of(run.next().predictedX0()).columns(4).enlarge(4).toGrid();
  }
}
