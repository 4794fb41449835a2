package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.PostHocEma;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Checkpoints.Change;
import io.github.ddpm4j.training.Ema;
import io.github.ddpm4j.unet.UNet.Execution;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Averages that are put together after training, against averages that were really kept. */
class PostHocEmaTest {

  private static final int SIDE = 4;
  private static final int RECORDS = 8;
  private static final int STEPS = 96;
  private static final int EVERY = 3;

  @TempDir private Path temporary;

  private static UNet network(Execution execution) {
    return UNet.builder()
        .image(1, SIDE, SIDE)
        .baseChannels(4)
        .groups(2)
        .channelMultipliers(1)
        .residualBlocks(1)
        .attentionAtLevels()
        .dropout(0)
        .execution(execution)
        .seed(1)
        .build();
  }

  private static ArrayDataset data(NDManager manager) {
    Random random = new Random(3);
    float[] values = new float[RECORDS * SIDE * SIDE];
    for (int i = 0; i < values.length; i++) {
      values[i] = 2 * random.nextFloat() - 1;
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(RECORDS, 1, SIDE, SIDE)))
        .setSampling(4, true)
        .build();
  }

  /** Trains, and gives the averaged weights and those of the last step. */
  private static List<Map<String, float[]>> train(Execution execution, Consumer<Training> more) {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(execution)) {
      Training training =
          DDPM.builder()
              .timesteps(6)
              .denoiser(network)
              .build()
              .training()
              .steps(STEPS)
              .learningRate(3e-3)
              .seed(7);
      more.accept(training);
      try (TrainedModel trained = training.fit(data(manager))) {
        return List.of(weights(trained.ddpm()), weights(trained.raw()));
      }
    }
  }

  private static Map<String, float[]> weights(DDPM model) {
    Map<String, float[]> weights = new TreeMap<>();
    model
        .denoiser(TrainableDenoiser.class)
        .weights()
        .forEach(
            (name, weight) -> {
              try (NDArray copy = weight.duplicate()) {
                weights.put(name, copy.toFloatArray());
              }
            });
    return weights;
  }

  /** ‖a − b‖ / ‖a − c‖ over all weights. */
  private static double distance(
      Map<String, float[]> a, Map<String, float[]> b, Map<String, float[]> c) {
    return Math.sqrt(squares(a, b) / squares(a, c));
  }

  private static double squares(Map<String, float[]> a, Map<String, float[]> b) {
    assertThat(a.keySet()).isEqualTo(b.keySet());
    double sum = 0;
    for (Map.Entry<String, float[]> entry : a.entrySet()) {
      float[] other = b.get(entry.getKey());
      for (int i = 0; i < other.length; i++) {
        sum += Math.pow((double) entry.getValue()[i] - other[i], 2);
      }
    }
    return sum;
  }

  /**
   * Relative to the distance of the kept average from the last weights. With 32 snapshots the
   * profiles are within 0.0023 and 0.0009; what was tracked comes back to float32's rounding.
   */
  @ParameterizedTest
  @CsvSource({"COMPILED, 0.15, 1e-3", "COMPILED, 0.08, 1e-3", "EAGER, 0.1, 1e-6"})
  void average_isTheOneThatWasKept(Execution execution, double width, double tolerance)
      throws IOException {
    PostHocEma averages = PostHocEma.in(temporary.resolve("averages")).everySteps(EVERY);
    List<Map<String, float[]>> trained =
        train(execution, t -> t.ema(Ema.powerFunction(width)).postHocEma(averages));
    try (DDPM model = averages.at(width, Device.cpu())) {
      double distance = distance(trained.get(0), weights(model), trained.get(1));
      assertThat(distance).isLessThan(tolerance);
      assertThat(model.provenance())
          .containsEntry("ema", "power function of width " + width + " after the fact")
          .containsEntry("weights", "averaged")
          .containsEntry("steps", (long) STEPS);
    }
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith("step-"))
          .sorted()
          .toList();
    }
  }

  private static final class Broken extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private static void breakOffAt(Training training, long step) {
    training.listener(
        event -> {
          if (event.step() == step) {
            throw new Broken();
          }
        });
  }

  /** The name of a snapshot holds the digest of its averages. */
  @Test
  void brokenOff_endsInTheSameSnapshots() throws IOException {
    Path whole = temporary.resolve("whole");
    Consumer<Training> settings = t -> t.steps(23);
    train(
        Execution.COMPILED,
        settings.andThen(t -> t.postHocEma(PostHocEma.in(whole).everySteps(4))));
    List<String> expected = names(whole);
    assertThat(expected).hasSize(6).last().asString().startsWith("step-0000000023.");

    Path broken = temporary.resolve("broken");
    Consumer<Training> goingOn =
        settings.andThen(
            t ->
                t.postHocEma(PostHocEma.in(broken).everySteps(4))
                    .checkpoints(Checkpoints.in(temporary.resolve("run")).everySteps(9))
                    .resume());
    // Before the first checkpoint, but after a snapshot.
    assertThatThrownBy(() -> train(Execution.COMPILED, goingOn.andThen(t -> breakOffAt(t, 6))))
        .isInstanceOf(Broken.class);
    assertThat(names(broken)).containsExactly(expected.get(0));
    // Between a checkpoint and a snapshot after it.
    assertThatThrownBy(() -> train(Execution.COMPILED, goingOn.andThen(t -> breakOffAt(t, 15))))
        .isInstanceOf(Broken.class);
    assertThat(names(broken)).isEqualTo(expected.subList(0, 3));
    // Ends early, at a step that the whole run has no snapshot of, and goes on from before it.
    train(
        Execution.COMPILED,
        goingOn.andThen(
            t ->
                t.listener(
                    event -> {
                      if (event.step() == 17) {
                        event.stop();
                      }
                    })));
    assertThat(names(broken)).hasSize(5).startsWith(expected.get(0)).contains(expected.get(3));
    List<String> checkpoints = names(temporary.resolve("run"));
    assertThat(checkpoints).last().asString().startsWith("step-0000000017.");
    Files.delete(temporary.resolve("run").resolve(checkpoints.get(checkpoints.size() - 1)));
    train(Execution.COMPILED, goingOn);
    assertThat(names(broken)).isEqualTo(expected);
  }

  @Test
  void snapshotsOfAnotherRun_areRefused() throws IOException {
    Path folder = temporary.resolve("averages");
    PostHocEma averages = PostHocEma.in(folder).everySteps(2);
    train(Execution.COMPILED, t -> t.steps(4).postHocEma(averages));
    List<String> before = names(folder);
    String pattern =
        "there is a snapshot of step 4 of another run \\(seed 7, digest [0-9a-f]{16}\\), and this"
            + " one \\(seed %d, digest [0-9a-f]{16}\\) begins at step 0: .*"
            + "; choose another folder for postHocEma\\(…\\), or call resume\\(\\) to go on with the"
            + " run that wrote it";
    assertThatThrownBy(() -> train(Execution.COMPILED, t -> t.steps(4).postHocEma(averages)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageMatching(String.format(Locale.ROOT, pattern, 7));
    assertThatThrownBy(
            () ->
                train(
                    Execution.COMPILED,
                    t ->
                        t.steps(4)
                            .seed(8)
                            .postHocEma(averages)
                            .checkpoints(temporary.resolve("run"))
                            .resume()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageMatching(String.format(Locale.ROOT, pattern, 8));
    assertThat(names(folder)).isEqualTo(before);
  }

  /** Averages cannot begin in the middle of a run. */
  @Test
  void resumedWithoutThem_isRefused() {
    Path run = temporary.resolve("run");
    train(Execution.COMPILED, t -> t.steps(3).checkpoints(run));
    PostHocEma averages = PostHocEma.in(temporary.resolve("averages"));
    assertThatThrownBy(
            () ->
                train(
                    Execution.COMPILED,
                    t -> t.steps(6).checkpoints(run).resume(Change.values()).postHocEma(averages)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the checkpoint is that of another run: postHocEma was false and is true; set"
                + " the run as it was, or train without resume()");
  }

  @Test
  void folderForBoth_isRefused() {
    assertThatThrownBy(
            () ->
                train(
                    Execution.COMPILED,
                    t -> t.checkpoints(temporary).postHocEma(PostHocEma.in(temporary))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("checkpoints and postHocEma need a folder each, but both were " + temporary);
  }

  @Test
  void at_whatCannotBe_isRefused() throws IOException {
    Path folder = temporary.resolve("averages");
    PostHocEma averages = PostHocEma.in(folder).everySteps(2);
    assertThatThrownBy(() -> averages.at(0.1))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(folder + ": it has no snapshots; train with postHocEma(…) first");
    assertThatThrownBy(() -> averages.everySteps(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("everySteps must be at least 1, but was 0");

    train(Execution.COMPILED, t -> t.steps(4).postHocEma(averages));
    assertThatThrownBy(() -> averages.at(0.3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the width of an average must lie in (0, 0.28867513459481287], but was 0.3");
    assertThatThrownBy(() -> averages.at(0.2))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the average of width 0.2 differs by 0.47 of its profile from what 2 snapshots of "
                + folder
                + " can give, more than 0.1; choose a width nearer to [0.05, 0.1], or store more"
                + " snapshots in a run");

    Path first = folder.resolve(names(folder).get(0));
    byte[] bytes = Files.readAllBytes(first);
    bytes[bytes.length - 1] ^= 1;
    Files.write(first, bytes);
    assertThatThrownBy(() -> averages.at(0.1))
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            ".*step-0000000002.* is damaged: the SHA-256 of its bytes begins with [0-9a-f]{16}, not"
                + " as named");
    Files.delete(first);
    Path other = temporary.resolve("other");
    train(Execution.COMPILED, t -> t.steps(2).seed(8).postHocEma(PostHocEma.in(other)));
    String name = names(other).get(0);
    Files.copy(other.resolve(name), folder.resolve(name));
    assertThatThrownBy(() -> averages.at(0.1))
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            ".*step-0000000002.* is of another run \\(seed 8, .*\\) than the newest snapshot"
                + " \\(seed 7, .*\\); move it away");
    Files.delete(folder.resolve(name));
    Path run = temporary.resolve("run");
    train(Execution.COMPILED, t -> t.steps(2).checkpoints(run));
    assertThatThrownBy(() -> PostHocEma.in(run).at(0.1))
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            ".*step-0000000002.* must have format ddpm4j-averages and version 1, but has"
                + " ddpm4j-checkpoint and 1; choose a folder that postHocEma\\(…\\) wrote to,"
                + " with the version of ddpm4j that did");
    averages.at(0.1).close();
  }
}
