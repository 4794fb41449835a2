package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.internal.files.WatchedFiles;
import io.github.ddpm4j.model.TinyDenoiser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A folder that is loaded while others replace its model. */
class ModelReplacedTest {

  private static final int MODELS = 3;
  private static final int LOADS = 300;

  @TempDir private Path temporary;

  private final NumberedModels models = new NumberedModels(MODELS);

  @AfterEach
  void close() {
    models.close();
  }

  /** The other process. */
  static final class Saver {

    private Saver() {}

    /** Replaces the model of a folder until its standard input ends. */
    public static void main(String[] args) throws IOException {
      Path folder = Path.of(args[0]);
      try (NumberedModels models = new NumberedModels(MODELS)) {
        for (int i = 0; System.in.available() == 0; i++) {
          models.get(i % MODELS).save(folder);
          if (i == 0) {
            System.out.println("saving");
          }
        }
      }
      System.out.println("done");
    }
  }

  @Test
  void load_whileAnotherProcessSaves_isAlwaysOneOfItsModels() throws Exception {
    Path folder = temporary.resolve("model");
    Path output = temporary.resolve("output");
    Process saver =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Dai.djl.pytorch.num_threads=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp",
                System.getProperty("java.class.path"),
                Saver.class.getName(),
                folder.toString())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      int[] loads = new int[MODELS];
      while (!Files.readString(output).contains("saving")) {
        assertThat(saver.isAlive()).as(Files.readString(output)).isTrue();
        Thread.sleep(20);
      }
      for (int i = 0; i < LOADS || Arrays.stream(loads).anyMatch(count -> count == 0); i++) {
        loads[models.load(folder)]++;
        assertThat(saver.isAlive()).as(Files.readString(output)).isTrue();
      }
    } finally {
      saver.getOutputStream().write('\n');
      saver.getOutputStream().flush();
      if (!saver.waitFor(20, TimeUnit.SECONDS)) {
        saver.destroyForcibly();
      }
    }
    assertThat(output).hasContent("saving\ndone\n");
    NumberedModels.assertHoldsAModelAlone(folder);
  }

  /** Returns the folder, in which something happens whenever weights are about to be opened. */
  private static Path atEachOpening(Path folder, WatchedFiles.Fault happening) {
    WatchedFiles files =
        new WatchedFiles(
            folder,
            change -> {
              if (change.operation() == WatchedFiles.Operation.READ
                  && change.file().toString().endsWith(".safetensors")) {
                happening.before(change);
              }
            });
    return files.path(folder);
  }

  /** Each time that the description has been read, the weights that it names are gone. */
  @Test
  void load_replacedBeforeTheWeightsAreOpened_isTheNewOne() throws IOException {
    Path folder = temporary.resolve("model");
    models.get(0).save(folder);
    int[] times = {0};
    Path watched =
        atEachOpening(
            folder,
            change -> {
              if (times[0]++ < 5) {
                models.get(times[0] % MODELS).save(folder);
              }
            });
    assertThat(models.load(watched)).isEqualTo(5 % MODELS);
    assertThat(times[0]).isEqualTo(6);
  }

  /** The description is the old one again, when the weights that it names were gone for a while. */
  @Test
  void load_replacedThereAndBack_isTheOldOne() throws IOException {
    Path folder = temporary.resolve("model");
    models.get(0).save(folder);
    int[] times = {0};
    Path watched =
        atEachOpening(
            folder,
            change -> {
              if (times[0]++ == 0) {
                models.get(1).save(folder);
                models.get(0).save(folder);
                throw new NoSuchFileException(change.file().toString());
              }
            });
    assertThat(models.load(watched)).isZero();
    assertThat(times[0]).isEqualTo(2);
  }

  @Test
  void load_weightsThatStayAway_isRefused() throws IOException {
    Path folder = temporary.resolve("model");
    models.get(0).save(folder);
    int[] times = {0};
    Path watched =
        atEachOpening(
            folder,
            change -> {
              times[0]++;
              throw new NoSuchFileException(change.file().toString());
            });
    assertThatThrownBy(() -> models.load(watched)).isInstanceOf(NoSuchFileException.class);
    assertThat(times[0]).isEqualTo(10);
  }

  /** Once they are open, they are read to the end, whatever becomes of the folder. */
  @Test
  void load_replacedAfterTheWeightsAreOpened_isTheOldOne() throws IOException {
    Path folder = temporary.resolve("model");
    models.get(0).save(folder);
    TinyDenoiser.Provider.beforeNext(
        () -> {
          try {
            models.get(1).save(folder);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
    assertThat(models.load(folder)).isZero();
    assertThat(models.load(folder)).isEqualTo(1);
  }

  @Test
  void load_onAnInterruptedThread_isDone() throws IOException {
    Path folder = temporary.resolve("model");
    Thread.currentThread().interrupt();
    models.get(0).save(folder);
    assertThat(models.load(folder)).isZero();
    assertThat(Thread.interrupted()).isTrue();
    // In the middle, which closes the file under its reader.
    TinyDenoiser.Provider.beforeNext(Thread.currentThread()::interrupt);
    assertThat(models.load(folder)).isZero();
    assertThat(Thread.interrupted()).isTrue();
    NumberedModels.assertHoldsAModelAlone(folder);
  }

  @Test
  void save_byManyThreads_leavesOneWholeModel() throws Exception {
    Path folder = temporary.resolve("model");
    ExecutorService threads = Executors.newFixedThreadPool(MODELS);
    try {
      List<CompletableFuture<Void>> savers = new ArrayList<>();
      for (int number = 0; number < MODELS; number++) {
        int own = number;
        savers.add(CompletableFuture.runAsync(() -> saveOften(own, folder), threads));
      }
      CompletableFuture<Void> all =
          CompletableFuture.allOf(savers.toArray(new CompletableFuture<?>[0]));
      while (!Files.exists(folder.resolve("ddpm.json"))) {
        assertThat(all.isCompletedExceptionally()).isFalse();
      }
      while (!all.isDone()) {
        assertThat(models.load(folder)).isBetween(0, MODELS - 1);
      }
      all.get();
    } finally {
      threads.shutdown();
    }
    assertThat(models.load(folder)).isBetween(0, MODELS - 1);
    NumberedModels.assertHoldsAModelAlone(folder);
  }

  private void saveOften(int number, Path folder) {
    try {
      for (int i = 0; i < 5; i++) {
        models.get(number).save(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
