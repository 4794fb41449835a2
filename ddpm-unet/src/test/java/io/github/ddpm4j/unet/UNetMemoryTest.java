package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The resident memory of the process stays as it is over thousands of steps and hundreds of
 * networks: nothing is left in native memory, not even what no count of arrays sees, such as
 * recorded graphs, buffers of uploads and compiled code. {@link UNetResourcesTest} counts what can
 * be counted, in seconds.
 */
@Tag("slow")
class UNetMemoryTest {

  private static final long ALLOWED_KB = 16 << 10;

  /** Parts of the second half. */
  private static final int WINDOWS = 4;

  private static final int HALF = 1000;
  private static final int STEPS = 2 * HALF;
  private static final int NETWORKS = 200;

  @ParameterizedTest
  @CsvSource({
    "COMPILED, FLOAT32, 1, false",
    "COMPILED, FLOAT32, 3, false",
    "COMPILED, BFLOAT16, 1, false",
    "COMPILED, BFLOAT16, 3, false",
    "EAGER, FLOAT32, 3, false",
    "COMPILED, FLOAT32, 1, true",
    "COMPILED, FLOAT32, 3, true",
    "COMPILED, BFLOAT16, 1, true",
    "COMPILED, BFLOAT16, 3, true",
    "EAGER, FLOAT32, 1, true"
  })
  void training_doesNotGrow(
      Execution execution, Precision precision, int accumulation, boolean worker) throws Exception {
    assumeTrue(NativeMemory.isKnown(), "this system does not tell the resident memory");
    MemoryRuns.on(
        worker,
        () -> {
          // What is made once for the whole process is there after the first step.
          MemoryRuns.train(execution, precision, accumulation, 1, event -> {});
          int before = NativeMemory.resources();
          Watch watch = new Watch();
          MemoryRuns.train(
              execution, precision, accumulation, STEPS, event -> watch.at(event.step()));
          watch.assertFlat(before);
        });
  }

  @ParameterizedTest
  @CsvSource({
    "COMPILED, FLOAT32, false",
    "COMPILED, BFLOAT16, false",
    "EAGER, FLOAT32, false",
    "COMPILED, FLOAT32, true",
    "COMPILED, BFLOAT16, true",
    "EAGER, FLOAT32, true"
  })
  void sampling_doesNotGrow(Execution execution, Precision precision, boolean worker)
      throws Exception {
    assumeTrue(NativeMemory.isKnown(), "this system does not tell the resident memory");
    MemoryRuns.on(
        worker,
        () -> {
          int before = NativeMemory.resources();
          Watch watch = new Watch();
          // Not in the last step, which adds no noise.
          MemoryRuns.sample(execution, precision, STEPS, step -> watch.at(step + 1L));
          watch.assertFlat(before);
        });
  }

  /**
   * Each is compiled, run and closed, and some are trained: no code, no array and no file of it
   * stays.
   */
  @Test
  void networks_openedUsedAndClosed_leaveNothing() throws InterruptedException {
    assumeTrue(NativeMemory.isKnown(), "this system does not tell the resident memory");
    int resources = NativeMemory.resources();
    Set<String> folders = MemoryRuns.temporaryFolders();
    List<Long> resident = new ArrayList<>();
    MemoryRuns.openUseAndClose(
        NETWORKS,
        network -> {
          if (network >= NETWORKS / 2 && network % (NETWORKS / 2 / WINDOWS) == 0) {
            resident.add(NativeMemory.residentKb());
          }
        });
    assertFlat(resident, "from network 100 to 200");
    assertThat(NativeMemory.resources()).as("arrays, managers, programs").isEqualTo(resources);
    assertThat(MemoryRuns.temporaryFoldersBeside(folders)).as("temporary folders").isEmpty();
  }

  /** What there was in the middle and at the end of a run. */
  private static final class Watch {
    private final List<Long> resident = new ArrayList<>();
    private final List<Integer> resources = new ArrayList<>();

    void at(long step) {
      if (step >= HALF && step % (HALF / WINDOWS) == 0) {
        resources.add(NativeMemory.resources());
        resident.add(NativeMemory.residentKb());
      }
    }

    void assertFlat(int before) {
      UNetMemoryTest.assertFlat(resident, "from step 1,000 to 2,000");
      assertThat(resources).as("arrays from step 1,000 to 2,000").containsOnly(resources.get(0));
      assertThat(NativeMemory.resources()).as("arrays after the run").isEqualTo(before);
    }
  }

  /**
   * What leaks grows in every window. What comes once does not, such as code that the JVM compiles
   * late on a busy machine: the median of the windows does not see it.
   */
  private static void assertFlat(List<Long> resident, String when) {
    assertThat(resident).hasSize(WINDOWS + 1);
    long[] growth =
        IntStream.range(0, WINDOWS)
            .mapToLong(i -> resident.get(i + 1) - resident.get(i))
            .sorted()
            .toArray();
    assertThat((growth[WINDOWS / 2 - 1] + growth[WINDOWS / 2]) / 2)
        .as("median growth in kB of the quarters %s, %s", when, Arrays.toString(growth))
        .isLessThanOrEqualTo(ALLOWED_KB / WINDOWS);
  }
}
