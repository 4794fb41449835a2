package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingEvent;
import io.github.ddpm4j.sampling.SamplingRun;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * A sampling run under the caller's hand: watched while it draws, stopped, put down in a file and
 * taken up again, and sharing its network calls with another.
 */
@Command(
    name = "Steering",
    description =
        "Draws step by step: previews, stop, save and go on, and two requests in one call.",
    sortOptions = false)
public final class Steering extends ModelUse {

  private static final int COLUMNS = 4;
  private static final int LEAST_SIDE = 32;

  /** Columns of the strip of previews. */
  private static final int SHOWN = 10;

  private static final int FRAME_MILLIS = 100;

  /** How long the last frame stays, in frames. */
  private static final int LAST_FRAMES = 15;

  @Option(
      names = "--calls",
      paramLabel = "N",
      description = "Steps of the run (default: ${DEFAULT-VALUE}).")
  private int calls = 50;

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Pictures (default: ${DEFAULT-VALUE}).")
  private int count = 12;

  /** Sets up the example. */
  public Steering() {
    super("steering");
  }

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.exitWith(Mains.run(new Steering(), args));
  }

  @Override
  void use(DDPM ddpm, NDManager manager) throws IOException {
    Mains.atLeast("--calls", 2, calls);
    Mains.atLeast("--count", 1, count);
    NDArray whole = watched(ddpm, manager);
    cancelled(ddpm);
    out()
        .printf(
            Locale.ROOT,
            "Saved after step %d and gone on with from the file: the pictures differ by %s at"
                + " most.%n",
            calls / 2,
            greatestDifference(interrupted(ddpm, manager), whole));
    together(ddpm, manager, whole);
  }

  private SamplingRun start(DDPM ddpm) {
    return ddpm.sampling().sampler(sampler()).seed(seed()).batchSize(count).start(count);
  }

  private Sampler sampler() {
    return Samplers.ddim(calls);
  }

  /** Every step gives what the network takes the pictures to be: a preview. */
  private NDArray watched(DDPM ddpm, NDManager manager) throws IOException {
    List<BufferedImage> frames = new ArrayList<>();
    List<NDArray> shown = new ArrayList<>();
    List<String> steps = new ArrayList<>();
    try (SamplingRun run = start(ddpm)) {
      while (run.hasNext()) {
        SamplingEvent event = run.next();
        NDArray preview = event.predictedX0();
        frames.add(frame(ddpm, preview));
        if (run.step() * SHOWN / calls > steps.size()) {
          NDArray some = preview.get(":" + Math.min(count, COLUMNS)).duplicate();
          some.attach(manager);
          shown.add(some);
          steps.add("" + run.step());
        }
      }
      try (Samples samples = run.finish()) {
        NDArray drawn = samples.toNDArray(manager);
        frames.addAll(Collections.nCopies(LAST_FRAMES, frame(ddpm, drawn)));
        Path animation = file("previews.gif");
        Pictures.animate(frames, FRAME_MILLIS, animation);
        written(animation, "What the network takes the pictures to be, step by step:");
        Figure figure = figure(ddpm, steps.toArray(String[]::new));
        for (int i = 0; i < Math.min(count, COLUMNS); i++) {
          int picture = i;
          figure.row("", shown.stream().map(x0 -> x0.get(picture)).toArray(NDArray[]::new));
        }
        save(figure, "previews.png", "The same of the first few, after so many steps:");
        out().println();
        return drawn;
      }
    }
  }

  private static BufferedImage frame(DDPM ddpm, NDArray pictures) {
    long side = Math.max(pictures.getShape().get(2), pictures.getShape().get(3));
    return Pictures.of(pictures)
        .dataRange(ddpm.dataRange().min(), ddpm.dataRange().max())
        .columns(COLUMNS)
        .enlarge((int) Math.max(1, LEAST_SIDE / side))
        .toGrid();
  }

  /** Any thread may cancel; the thread that draws then gets an exception in place of a step. */
  private void cancelled(DDPM ddpm) {
    try (SamplingRun run = start(ddpm)) {
      run.next();
      run.cancel();
      run.next();
    } catch (CancellationException stopped) {
      out().println("Cancelled: " + stopped.getMessage() + ".");
    }
  }

  private NDArray interrupted(DDPM ddpm, NDManager manager) throws IOException {
    Path saved = file("run.safetensors");
    try (SamplingRun run = start(ddpm)) {
      while (run.step() < calls / 2) {
        run.next();
      }
      run.save(saved);
    }
    // Another process could do this.
    try (SamplingRun run = start(ddpm).restore(saved);
        Samples samples = run.finish()) {
      return samples.toNDArray(manager);
    }
  }

  /** A request that came later, of another kind, joins the network calls of the first. */
  private void together(DDPM ddpm, NDManager manager, NDArray whole) throws IOException {
    NDArray given = pictures(ddpm, manager, count);
    int networkCalls = 0;
    try (SamplingRun drawing = start(ddpm);
        SamplingRun varying =
            ddpm.sampling()
                .sampler(sampler())
                .seed(seed())
                .batchSize(count)
                .startImageToImage(given, 0.5)) {
      int alone = drawing.steps() + varying.steps();
      while (drawing.hasNext() || varying.hasNext()) {
        boolean both = drawing.step() >= calls / 4 && drawing.hasNext() && varying.hasNext();
        SamplingRun.advance(
            both ? List.of(drawing, varying) : List.of(drawing.hasNext() ? drawing : varying));
        networkCalls++;
      }
      try (Samples drawn = drawing.finish();
          Samples varied = varying.finish()) {
        out()
            .printf(
                Locale.ROOT,
                "Two requests, %d pictures, in %d network calls in place of %d: the first differ by"
                    + " %.1e at most from those drawn alone.%n",
                drawn.size() + varied.size(),
                networkCalls,
                alone,
                greatestDifference(drawn.toNDArray(manager), whole));
      }
    }
  }

  private static float greatestDifference(NDArray one, NDArray other) {
    return one.sub(other).abs().max().getFloat();
  }
}
