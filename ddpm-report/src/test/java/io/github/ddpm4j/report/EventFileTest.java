package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventFileTest {

  @TempDir private Path folder;

  /** The bytes are those of events.py, which writes the same by TensorBoard's own classes. */
  @Test
  void file_hasTheBytesOfTensorBoard() throws Exception {
    Map<String, Double> numbers = new LinkedHashMap<>();
    numbers.put("loss", 0.25);
    numbers.put("gradient_norm", 1e-3);
    Path runs = folder.resolve("a/b");
    try (EventFile file = EventFile.create(runs, 1_700_000_000.5)) {
      file.resumeAt(1_700_000_001, 301);
      file.numbers(1_700_000_002.25, 300, numbers);
      file.picture(1_700_000_003, 5_000_000_000L, "samples", 200, 100, new byte[] {(byte) 0x89, 1});
    }
    byte[] expected;
    try (var golden = getClass().getResourceAsStream("events.hex")) {
      expected =
          HexFormat.of()
              .parseHex(new String(golden.readAllBytes(), StandardCharsets.US_ASCII).strip());
    }
    assertThat(Files.readAllBytes(runs.resolve("events.out.tfevents.1700000000.ddpm4j.0")))
        .isEqualTo(expected);
  }

  @Test
  void create_inTheSameSecond_leavesTheOtherFile() throws Exception {
    EventFile.create(folder, 1.2).close();
    EventFile.create(folder, 1.9).close();
    try (var files = Files.list(folder)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder(
              "events.out.tfevents.0000000001.ddpm4j.0", "events.out.tfevents.0000000001.ddpm4j.1");
    }
  }
}
