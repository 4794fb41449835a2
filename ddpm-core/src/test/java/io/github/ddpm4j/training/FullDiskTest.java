package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder;
import io.github.ddpm4j.model.TinyDenoiser;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A disk that is really full, and one that can no longer be written: a file system in memory that a
 * process of its own mounts where nobody else sees it. Where the system allows no such mounts, as
 * in many containers and elsewhere than on Linux, the test is skipped.
 */
class FullDiskTest {

  private static final int SECONDS = 60;

  private static final String EXPECTED =
      """
      filled: No space left on device
      saving onto a full disk: IOException: DISK/model could not be written: No space left on device
      holds the first in 2 files
      a new one: IOException: DISK/other could not be written: No space left on device
      other is there: false
      filled: No space left on device
      saving over leftovers: done
      holds the second in 2 files
      filled: No space left on device
      NOT 3
      NOT 4
      NOT 5
      NOT 6
      NOT 6
      NOT 6
      trained 6 steps
      training, CONTINUE: done
      steps [2, 1]
      going on: done
      steps [6, 5, 4, 3, 2, 1]
      filled: No space left on device
      NOT 3
      training, STOP: UncheckedIOException: the checkpoint of step 3 was not written: No space left on device
      steps [2, 1]
      going on: done
      steps [6, 5, 4, 3, 2, 1]
      read-only: true
      saving, read-only: IOException: DISK/model could not be written: Read-only file system
      a new one: IOException: DISK/other could not be written: Read-only file system
      holds the second in 2 files
      training, read-only: UncheckedIOException: checkpoints cannot be written to DISK/run-CONTINUE: Read-only file system
      training elsewhere, read-only: UncheckedIOException: checkpoints cannot be written to DISK/new: Read-only file system
      loading a checkpoint: done
      """;

  /** What is logged of a checkpoint, after the name of who logs it. */
  private static final String NOT =
      "the checkpoint of step $1 could not be written, and the newest one is that of step 2: No"
          + " space left on device";

  @TempDir private Path temporary;

  /** What the other process does; it prints what becomes of it. */
  static final class OnTheDisk implements AutoCloseable {

    private static final int STEPS = 6;
    private static final int FULL_AT = 3;
    private static final int SIZE = 6;

    private final Path disk;
    private final NDManager manager = NDManager.newBaseManager();
    private final TinyDenoiser first = new TinyDenoiser(SIZE, 0, 1);
    private final TinyDenoiser second = new TinyDenoiser(SIZE, 0, 2);

    private OnTheDisk(Path disk) {
      this.disk = disk;
    }

    public static void main(String[] args) throws Exception {
      try (OnTheDisk on = new OnTheDisk(Path.of(args[0]))) {
        on.models();
        on.checkpoints();
        on.readOnly();
      }
    }

    private interface Attempt {
      void run() throws Exception;
    }

    private void say(String what, Attempt attempt) {
      try {
        attempt.run();
        System.out.println(what + ": done");
      } catch (Exception e) {
        String message = String.valueOf(e.getMessage()).replace(disk.toString(), "DISK");
        System.out.println(what + ": " + e.getClass().getSimpleName() + ": " + message);
      }
    }

    private static DDPM model(TinyDenoiser network) {
      return DDPM.builder().timesteps(10).denoiser(network).build();
    }

    private Path filler() {
      return disk.resolve("filler");
    }

    private void fill(Path file) {
      byte[] piece = new byte[1 << 12];
      try (OutputStream out = Files.newOutputStream(file)) {
        while (true) {
          out.write(piece);
        }
      } catch (IOException full) {
        System.out.println("filled: " + full.getMessage());
      }
    }

    private String held(Path folder) throws IOException {
      try (DDPM loaded = DDPM.load(folder);
          Stream<Path> files = Files.list(folder)) {
        float[] weight =
            loaded.denoiser(TinyDenoiser.class).weights().get("first.bias").toFloatArray();
        boolean isFirst = Arrays.equals(weight, first.weights().get("first.bias").toFloatArray());
        boolean isSecond = Arrays.equals(weight, second.weights().get("first.bias").toFloatArray());
        return (isFirst ? "the first" : isSecond ? "the second" : "another")
            + " in "
            + files.count()
            + " files";
      }
    }

    private void models() throws Exception {
      Path folder = disk.resolve("model");
      model(first).save(folder);
      fill(filler());
      say("saving onto a full disk", () -> model(second).save(folder));
      System.out.println("holds " + held(folder));
      say("a new one", () -> model(second).save(disk.resolve("other")));
      System.out.println("other is there: " + Files.exists(disk.resolve("other")));
      Files.delete(filler());
      // What a killed save left takes all of the room.
      fill(folder.resolve(".weights." + UUID.randomUUID() + ".part"));
      say("saving over leftovers", () -> model(second).save(folder));
      System.out.println("holds " + held(folder));
    }

    private Dataset data() {
      return new ArrayDataset.Builder()
          .setData(manager.zeros(new Shape(4, 1, SIZE, SIZE)))
          .setSampling(2, true)
          .build();
    }

    private Training training(Checkpoints checkpoints) {
      return model(first).training().anyRange().steps(STEPS).seed(1).checkpoints(checkpoints);
    }

    private void checkpoints() throws Exception {
      for (Checkpoints.OnFailure onFailure : Checkpoints.OnFailure.values()) {
        Path folder = disk.resolve("run-" + onFailure);
        // One that is kept for good is waited for.
        Checkpoints checkpoints =
            Checkpoints.in(folder).everySteps(1).keepEvery(1).onFailure(onFailure);
        say(
            "training, " + onFailure,
            () -> {
              Training training =
                  training(checkpoints)
                      .listener(
                          event -> {
                            if (event.step() == FULL_AT) {
                              awaitCheckpoint(folder, FULL_AT - 1);
                              fill(filler());
                            }
                          });
              try (TrainedModel trained = training.fit(data())) {
                System.out.println("trained " + trained.losses().steps() + " steps");
              }
            });
        System.out.println("steps " + steps(folder));
        Files.delete(filler());
        say("going on", () -> training(checkpoints).resume().fit(data()).close());
        System.out.println("steps " + steps(folder));
      }
    }

    /** It is written beside the run. */
    private static void awaitCheckpoint(Path folder, long step) {
      try {
        while (!steps(folder, 2).contains(step)) {
          Thread.sleep(1);
        }
      } catch (IOException | InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }

    private static List<Long> steps(Path folder) throws IOException {
      return steps(folder, 0);
    }

    /** The steps of whole checkpoints, with not more than so many other files. */
    private static List<Long> steps(Path folder, long most) throws IOException {
      CheckpointFolder checkpoints = new CheckpointFolder(folder);
      List<Long> steps = new ArrayList<>();
      for (CheckpointFolder.Entry entry : checkpoints.entries()) {
        entry.requireWhole();
        steps.add(entry.step());
      }
      try (Stream<Path> files = Files.list(folder)) {
        long others = files.count() - steps.size();
        if (others > most) {
          throw new IOException(others + " other files");
        }
      }
      return steps;
    }

    private void readOnly() throws Exception {
      Path run = disk.resolve("run-CONTINUE");
      Path folder = disk.resolve("model");
      remount();
      say("saving, read-only", () -> model(first).save(folder));
      say("a new one", () -> model(first).save(disk.resolve("other")));
      System.out.println("holds " + held(folder));
      say("training, read-only", () -> training(Checkpoints.in(run)).fit(data()).close());
      say(
          "training elsewhere, read-only",
          () -> training(Checkpoints.in(disk.resolve("new"))).fit(data()).close());
      say("loading a checkpoint", () -> DDPM.load(newest(run)).close());
    }

    private static Path newest(Path run) throws IOException {
      return new CheckpointFolder(run).entries().get(0).file();
    }

    private void remount() throws Exception {
      Process mount =
          new ProcessBuilder("mount", "-o", "remount,ro", disk.toString()).inheritIO().start();
      System.out.println("read-only: " + (mount.waitFor() == 0));
    }

    @Override
    public void close() {
      first.close();
      second.close();
      manager.close();
    }
  }

  private int run(Path output, String... command) throws Exception {
    Process process;
    try {
      process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start();
    } catch (IOException e) {
      return -1;
    }
    if (!process.waitFor(SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
      throw new IllegalStateException(Files.readString(output));
    }
    return process.exitValue();
  }

  private String[] mounted(Path disk, String... command) {
    List<String> whole =
        new ArrayList<>(
            List.of(
                "unshare",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                "mount -t tmpfs -o size=256k none \"$0\" && exec \"$@\"",
                disk.toString()));
    whole.addAll(List.of(command));
    return whole.toArray(String[]::new);
  }

  @Test
  void disk_thatIsFullOrReadOnly_endsNothingThatWasThere() throws Exception {
    Path disk = Files.createDirectory(temporary.resolve("disk"));
    Path output = temporary.resolve("output");
    assumeTrue(
        run(output, mounted(disk, "true")) == 0,
        "this system lets no user mount a file system: no disk to be filled");

    int status =
        run(
            output,
            mounted(
                disk,
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Dai.djl.pytorch.num_threads=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showThreadName=false",
                "-cp",
                System.getProperty("java.class.path"),
                OnTheDisk.class.getName(),
                disk.toString()));

    String said = Files.readString(output).replaceAll("(?m)^WARN \\S+CheckpointWriter - ", "");
    assertThat(said).isEqualTo(EXPECTED.replaceAll("NOT (\\d)", NOT));
    assertThat(status).isZero();
  }
}
