package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;

/**
 * Looks at native memory while something runs: twice, halfway and at the end.
 *
 * <p>Arrays and managers are counted exactly, wherever they hang, so that a few rounds show what
 * one of them leaves. What no manager knows of shows in the resident memory of the process alone,
 * and only over many rounds.
 */
public final class MemoryWatch {

  private static final long ALLOWED_BYTES = 16L << 20;

  private final boolean ofProcess;
  private final int before = NativeResources.inAll();
  private final List<Integer> resources = new ArrayList<>();
  private final List<Long> resident = new ArrayList<>();

  private MemoryWatch(boolean ofProcess) {
    this.ofProcess = ofProcess;
  }

  /** Counts arrays and managers. */
  public static MemoryWatch ofArrays() {
    return new MemoryWatch(false);
  }

  /** Reads the resident memory, too; skips the test where the system does not tell it. */
  public static MemoryWatch ofProcess() {
    assumeTrue(ProcessMemory.isKnown(), "this system does not tell the resident memory");
    return new MemoryWatch(true);
  }

  public void look() {
    resources.add(NativeResources.inAll());
    if (ofProcess) {
      resident.add(ProcessMemory.residentBytes());
    }
  }

  /** Nothing grew between the two looks, and all that was made since the beginning is gone. */
  public void requireFlat() {
    assertThat(resources).as("looks").hasSize(2);
    assertThat(resources.get(1)).as("arrays and managers").isEqualTo(resources.get(0));
    assertThat(NativeResources.inAll()).as("arrays and managers afterwards").isEqualTo(before);
    if (ofProcess) {
      assertThat(resident.get(1) - resident.get(0))
          .as("growth of the resident memory from halfway to the end")
          .isLessThanOrEqualTo(ALLOWED_BYTES);
    }
  }
}
