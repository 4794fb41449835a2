package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.files.Uninterrupted;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What people do in a catch block, on a thread that was interrupted: files are written and read,
 * and programs compiled, as ever, and the thread stays interrupted.
 */
class InterruptedThreadTest {

  @TempDir private Path folder;
  private NDManager manager;

  /** The engine itself may be loaded on a thread that is not. */
  @BeforeAll
  static void engine() {
    NDManager.newBaseManager().close();
  }

  @BeforeEach
  void setUp() {
    manager = NDManager.newBaseManager();
  }

  @AfterEach
  void close() {
    Thread.interrupted();
    manager.close();
  }

  private static <T> T interrupted(Callable<T> work) throws Exception {
    Thread.currentThread().interrupt();
    T result = work.call();
    assertThat(Thread.interrupted()).as("still interrupted").isTrue();
    return result;
  }

  @Test
  void wholeFile_isWritten() throws Exception {
    Path file = folder.resolve("file.txt");
    interrupted(
        () -> {
          WholeFile.writeText(file, "whole");
          return file;
        });
    assertThat(file).hasContent("whole");
  }

  /** The interrupt may come in the middle. */
  @Test
  void wholeFile_interruptedWhileItIsWritten_isWritten() throws IOException {
    Path file = folder.resolve("file.txt");
    WholeFile.write(
        file,
        out -> {
          out.write("who".getBytes(StandardCharsets.UTF_8));
          out.flush();
          Thread.currentThread().interrupt();
          out.write("le".getBytes(StandardCharsets.UTF_8));
        });
    assertThat(Thread.interrupted()).isTrue();
    assertThat(file).hasContent("whole");
  }

  @Test
  void uninterrupted_interruptedInTheMiddle_beginsAnew() throws IOException {
    Path file = Files.writeString(folder.resolve("file.txt"), "x");
    AtomicInteger times = new AtomicInteger();
    long size =
        Uninterrupted.run(
            () -> {
              try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                if (times.incrementAndGet() <= 2) {
                  Thread.currentThread().interrupt();
                }
                channel.force(true);
                return channel.size();
              }
            });
    assertThat(Thread.interrupted()).isTrue();
    assertThat(size).isEqualTo(1);
    assertThat(times).hasValue(3);
  }

  @Test
  void uninterrupted_workFails_staysInterruptedOrNot() {
    Uninterrupted.Work<Object> failing =
        () -> {
          throw new IOException("disk full");
        };
    assertThatThrownBy(() -> Uninterrupted.run(failing)).hasMessage("disk full");
    assertThat(Thread.interrupted()).isFalse();
    Thread.currentThread().interrupt();
    assertThatThrownBy(() -> Uninterrupted.run(failing)).hasMessage("disk full");
    assertThat(Thread.interrupted()).isTrue();
  }

  /** Else the tests here would show nothing. */
  @Test
  void channels_ofJava_fail() {
    Path file = folder.resolve("file.txt");
    assertThatThrownBy(
            () ->
                interrupted(
                    () -> {
                      try (FileChannel channel =
                          FileChannel.open(
                              file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                        channel.force(true);
                        return file;
                      }
                    }))
        .isInstanceOf(ClosedByInterruptException.class);
  }

  @Test
  void safetensors_areWrittenAndRead() throws Exception {
    Path file = folder.resolve("tensors.safetensors");
    NDArray values = manager.arange(6f).reshape(2, 3);
    interrupted(
        () -> {
          Safetensors.write(file, Map.of("values", values), Map.of("a", "b"));
          return file;
        });
    Map<String, NDArray> read = interrupted(() -> Safetensors.read(file, manager));
    assertThat(read.get("values")).isEqualTo(values);
    assertThat(interrupted(() -> Safetensors.metadata(file))).containsExactly(Map.entry("a", "b"));
  }

  @Test
  void samplesAndRuns_areSavedAndRestored() throws Exception {
    try (TinyDenoiser network = new TinyDenoiser(8, 0, 1)) {
      DDPM ddpm = DDPM.builder().timesteps(10).denoiser(network).build();
      Path file = folder.resolve("run.safetensors");
      Path grid = folder.resolve("grid.png");
      Path one = folder.resolve("one.png");
      try (SamplingRun run = ddpm.sampling().sampler(Samplers.ddim(4)).seed(1).start(2);
          SamplingRun other = ddpm.sampling().sampler(Samplers.ddim(4)).seed(1).start(2)) {
        run.next();
        interrupted(
            () -> {
              run.save(file);
              return file;
            });
        assertThat(interrupted(() -> other.restore(file)).step()).isEqualTo(1);
        try (Samples samples = other.finish()) {
          interrupted(
              () -> {
                samples.saveGrid(grid);
                samples.save(1, one);
                return grid;
              });
        }
      }
      assertThat(Pictures.read(manager, grid).getShape()).isEqualTo(new Shape(1, 68, 134));
      assertThat(interrupted(() -> Pictures.read(manager, one)).getShape())
          .isEqualTo(new Shape(1, 8, 8));
    }
  }

  @Test
  void statistics_areSavedAndLoaded() throws Exception {
    Path file = folder.resolve("statistics.safetensors");
    FeatureStatistics statistics =
        FeatureStatistics.of(new double[][] {{0, 1}, {2, 5}, {4, 3}, {1, 1}});
    interrupted(
        () -> {
          statistics.save(file);
          return file;
        });
    FeatureStatistics loaded = interrupted(() -> FeatureStatistics.load(file));
    assertThat(loaded.mean()).isEqualTo(statistics.mean());
  }

  @Test
  void program_isCompiled() throws Exception {
    String twice = "  def twice(self, x: Tensor) -> Tensor:\n    return torch.mul(x, 2)\n";
    try (Program program = interrupted(() -> Program.compile(twice))) {
      NDArray x = manager.create(new float[] {1, 2});
      assertThat(program.call("twice", x, List.of()).head().toFloatArray()).containsExactly(2, 4);
    }
  }

  @Test
  void dropout_isDrawn() throws Exception {
    NDArray ones = manager.ones(new Shape(100));
    float[] dropped =
        interrupted(() -> EagerOps.training(7, 3).dropout(ones, 0.5, 0).toFloatArray());
    assertThat(EagerOps.training(7, 3).dropout(ones, 0.5, 0).toFloatArray()).isEqualTo(dropped);
  }
}
