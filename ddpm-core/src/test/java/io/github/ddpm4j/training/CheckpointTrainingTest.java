package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.checkpoint.CheckpointFile;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder;
import io.github.ddpm4j.internal.files.FailingChange;
import io.github.ddpm4j.internal.files.WatchedFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints while training goes on. */
class CheckpointTrainingTest {

  private static final Shape IMAGE = new Shape(1, 2, 2);
  private static final int STEPS = 8;

  @TempDir private Path temporary;

  /**
   * The disk gets the bytes of step 3 while the weights are those of step 5 already: what is
   * written is the state of step 3.
   */
  @Test
  void checkpoint_writtenLate_isThatOfItsStep() throws Exception {
    CountDownLatch trainedOn = new CountDownLatch(1);
    Path folder = temporary.resolve("run");
    float[][] scale = new float[1][];
    train(
        Checkpoints.in(writtenAfter(trainedOn, folder)).everySteps(3).keepLast(9),
        (event, network) -> {
          if (event.step() == 3) {
            scale[0] = floats(network.weights().get("scale"));
          } else if (event.step() == 5) {
            trainedOn.countDown();
          }
        });

    List<CheckpointFolder.Entry> entries = new CheckpointFolder(folder).entries();
    CheckpointFolder.Entry third = entries.get(entries.size() - 1);
    assertThat(third.step()).isEqualTo(3);
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      CheckpointFile.Contents contents = CheckpointFile.read(third.file(), manager);
      assertThat(contents.tensors().get("weights/scale").toFloatArray()).isEqualTo(scale[0]);
      assertThat(contents.tensors().get("history/losses").size()).isEqualTo(3);
    }
  }

  /** While one is being written, none is due; the last one is written all the same. */
  @Test
  void checkpoint_whileOneIsWritten_isPutOff() throws Exception {
    CountDownLatch ended = new CountDownLatch(1);
    Path folder = temporary.resolve("run");
    train(
        Checkpoints.in(writtenAfter(ended, folder)).everySteps(1).keepLast(9),
        (event, network) -> {
          if (event.step() == STEPS) {
            ended.countDown();
          }
        });
    assertThat(new CheckpointFolder(folder).entries())
        .extracting(CheckpointFolder.Entry::step)
        .containsExactly((long) STEPS, 1L);
  }

  /** A full disk, seen at each change of files in turn: training goes on to its end. */
  @Test
  void disk_thatIsFull_doesNotEndTheRun() throws Exception {
    boolean failed = true;
    for (int k = 0; failed; k++) {
      Path folder = temporary.resolve("run" + k);
      FailingChange fault = new FailingChange();
      int change = k;
      train(
          Checkpoints.in(new WatchedFiles(folder, fault).path(folder)).everySteps(4),
          (event, network) -> {
            if (event.step() == 4) {
              fault.failAt(change, false);
            }
          });
      failed = fault.stopFailing();
      try (var files = Files.list(folder)) {
        assertThat(files.map(file -> file.getFileName().toString()))
            .noneMatch(name -> name.endsWith(".part"));
      }
      assertThat(new CheckpointFolder(folder).newestWhole().orElseThrow().step()).isEqualTo(STEPS);
    }
  }

  /** Somebody deletes the folder, or puts a file in its place. */
  @Test
  void folder_thatVanishes_doesNotEndTheRun() throws Exception {
    Path folder = temporary.resolve("run");
    Checkpoints checkpoints = Checkpoints.in(folder).everySteps(1).keepEvery(1);
    train(
        checkpoints,
        (event, network) -> {
          if (event.step() == 4) {
            delete(folder);
          }
        });
    assertThat(new CheckpointFolder(folder).newestWhole().orElseThrow().step()).isEqualTo(STEPS);

    Path other = temporary.resolve("other");
    train(
        Checkpoints.in(other).everySteps(1).keepEvery(1),
        (event, network) -> {
          if (event.step() == 4) {
            delete(other);
            write(other);
          }
        });
    assertThat(other).hasContent("a file");
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.deleteIfExists(file);
      }
      Files.delete(folder);
    } catch (DirectoryNotEmptyException e) {
      delete(folder); // a checkpoint came in between
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void write(Path file) {
    try {
      Files.writeString(file, "a file");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private interface Watcher {
    void see(TrainingStepListener.Event event, AffineDenoiser network);
  }

  private static void train(Checkpoints checkpoints, Watcher watcher) {
    float[] ones = {1, 1, 1, 1};
    float[] zeros = {0, 0, 0, 0};
    try (NDManager manager = NDManager.newBaseManager();
        AffineDenoiser network = new AffineDenoiser(true, IMAGE, ones, zeros, 0)) {
      NDArray images = manager.full(new Shape(4).addAll(IMAGE), -0.5f);
      DDPM.builder()
          .timesteps(10)
          .denoiser(network)
          .build()
          .training()
          .batchSize(2)
          .steps(STEPS)
          .learningRate(0.1)
          .seed(1)
          .checkpoints(checkpoints)
          .listener(event -> watcher.see(event, network))
          .fit(new ArrayDataset.Builder().setData(images).setSampling(2, false).build())
          .close();
    }
  }

  private static float[] floats(NDArray array) {
    try (NDArray copy = array.duplicate()) {
      return copy.toFloatArray();
    }
  }

  /** The folder on a disk that takes no bytes before somebody counts down. */
  private static Path writtenAfter(CountDownLatch latch, Path folder) {
    WatchedFiles.Fault waiting =
        change -> {
          if (change.operation() == WatchedFiles.Operation.WRITE) {
            await(latch);
          }
        };
    return new WatchedFiles(folder, waiting).path(folder);
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(20, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
