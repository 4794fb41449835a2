package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MachineTest {

  @Test
  void cpu_linux_model() {
    assertThat(Machine.cpu("processor\t: 0\nmodel name\t: Chip 9000\nmodel name\t: Chip 9000\n"))
        .isEqualTo("Chip 9000");
    assertThat(Machine.cpu("")).isEqualTo("unknown");
  }

  @Test
  void describe_here_complete() {
    assertThat(Machine.describe()).containsOnlyKeys("cpu", "cores", "memoryMb", "os");
    assertThat(Machine.versions().get("ddpm4j")).matches("[0-9]+\\.[0-9]+\\.[0-9]+(-SNAPSHOT)?");
    assertThat(Machine.versions()).containsOnlyKeys("ddpm4j", "java");
  }

  @Test
  void megabytes_status_ofTheLine() {
    String status = "VmPeak:\t 4096 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1536 kB\n";
    assertThat(Memory.megabytes("VmHWM", status)).hasValue(2);
    assertThat(Memory.megabytes("VmRSS", status)).hasValue(1.5);
    assertThat(Memory.megabytes("VmHWM", "nothing")).isEmpty();
  }
}
