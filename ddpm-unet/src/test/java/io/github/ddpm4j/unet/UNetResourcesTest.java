package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Runs leave no array, no manager and no program open, neither from step to step nor at their end.
 * Counted exactly, so a few steps tell. What these counts do not see is for {@link UNetMemoryTest}.
 */
class UNetResourcesTest {

  private static final int STEPS = 12;

  /** So many that one of each precision is trained. */
  private static final int NETWORKS = 8;

  @ParameterizedTest
  @CsvSource({
    "COMPILED, FLOAT32, 1, false",
    "COMPILED, FLOAT32, 3, true",
    "COMPILED, BFLOAT16, 1, true",
    "COMPILED, BFLOAT16, 3, false",
    "COMPILED, FLOAT16, 1, true",
    "EAGER, FLOAT32, 1, true",
    "EAGER, FLOAT32, 3, false"
  })
  void training_fromStepToStep_opensNothing(
      Execution execution, Precision precision, int accumulation, boolean worker) throws Exception {
    // What is made once for the whole process is there after the first step.
    MemoryRuns.on(
        worker, () -> MemoryRuns.train(execution, precision, accumulation, 1, event -> {}));
    int before = NativeMemory.resources();
    List<Integer> counts = new ArrayList<>();
    MemoryRuns.on(
        worker,
        () ->
            MemoryRuns.train(
                execution,
                precision,
                accumulation,
                STEPS,
                event -> counts.add(NativeMemory.resources())));
    assertFlat(counts, before);
  }

  @ParameterizedTest
  @CsvSource({
    "COMPILED, FLOAT32, true",
    "COMPILED, BFLOAT16, false",
    "COMPILED, BFLOAT16, true",
    "EAGER, FLOAT32, false",
    "EAGER, FLOAT32, true"
  })
  void sampling_fromStepToStep_opensNothing(
      Execution execution, Precision precision, boolean worker) throws Exception {
    int before = NativeMemory.resources();
    List<Integer> counts = new ArrayList<>();
    MemoryRuns.on(
        worker,
        () ->
            MemoryRuns.sample(
                execution, precision, STEPS, step -> counts.add(NativeMemory.resources())));
    // The last step adds no noise.
    assertFlat(counts.subList(0, STEPS - 1), before);
  }

  private static void assertFlat(List<Integer> counts, int before) {
    assertThat(counts).hasSizeGreaterThanOrEqualTo(STEPS - 1);
    // From the second step on, as the first one compiles.
    assertThat(counts.subList(1, counts.size()))
        .as("arrays, managers and programs during the run")
        .containsOnly(counts.get(1));
    assertThat(counts.get(1)).as("those of the run").isGreaterThan(before);
    assertThat(NativeMemory.resources()).as("those after the run").isEqualTo(before);
  }

  @Test
  void networks_openedUsedAndClosed_leaveNothing() throws InterruptedException {
    int resources = NativeMemory.resources();
    Set<String> folders = MemoryRuns.temporaryFolders();
    MemoryRuns.openUseAndClose(NETWORKS, network -> {});
    assertThat(NativeMemory.resources()).as("arrays, managers, programs").isEqualTo(resources);
    assertThat(MemoryRuns.temporaryFoldersBeside(folders)).as("temporary folders").isEmpty();
  }
}
