package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.benchmark.Arrivals.Arrival;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class ServiceLoadTest {

  @Test
  void poisson_manyArrivals_rateAndShares() {
    List<Arrival> all = Arrivals.poisson(20_000, 50, 3);
    assertThat(all).hasSize(20_000);
    assertThat(all.get(19_999).nanos() / 1e9).isBetween(390.0, 410.0);
    double few = all.stream().filter(Arrival::isShort).count() / 20_000.0;
    assertThat(few).isBetween(0.89, 0.91);
    assertThat(Arrivals.poisson(10, 50, 3)).isEqualTo(all.subList(0, 10));
    // Exponential times: as many shorter than the mean as 1 − 1/e.
    long shorter =
        IntStream.range(1, 20_000)
            .filter(i -> all.get(i).nanos() - all.get(i - 1).nanos() < 20_000_000)
            .count();
    assertThat(shorter / 20_000.0).isBetween(0.62, 0.645);
  }

  @Test
  void call_fewRequests_aRowEach() {
    StringWriter printed = new StringWriter();
    CommandLine command = new CommandLine(new ServiceLoad());
    command.setOut(new PrintWriter(printed));
    int code =
        command.execute(
            "--preset",
            "digits",
            "--requests",
            "6",
            "--loads",
            "0.5",
            "--calibration",
            "0.05",
            "--follow",
            "--precision",
            "auto",
            "--devices",
            "2");
    assertThat(code).isZero();
    assertThat(printed.toString())
        .contains("calls of 1: ")
        .containsPattern(
            "\\| 0.50 \\| by the step \\| \\d\\.\\d\\d \\| \\d+ \\| \\d+ \\| \\d+ \\|.*\\| 0 \\|")
        .contains("ticks of the service by images: 1.")
        .containsPattern("\\| 0.50 \\| simulated \\| 1\\.00 \\| \\d+ \\| \\d+ \\|.*\\| 0 \\|")
        .containsPattern("\\| 0.50 \\| short \\| \\d+ \\| \\d+ \\|.*\\| (yes|not .*) \\|")
        .contains("| load | requests/s | devices: 1 | devices: 2 |")
        .containsPattern("\\| 1.00 \\| [0-9.]+ \\| \\d+, \\d+, \\d+ % \\| \\d+, \\d+, \\d+ % \\|")
        .containsPattern("\\| 0.50 \\| whole \\| \\d\\.\\d\\d \\| \\d+ \\| \\d+ \\|.*\\| 0 \\|");
    for (String row : printed.toString().split("\n")) {
      if (row.matches("\\| 0\\.50 \\| (by the step|simulated|whole) .*")) {
        String[] cells = row.split(" *\\| *");
        // None waits for its first step longer than for its last.
        assertThat(Integer.parseInt(cells[4]))
            .as(row)
            .isLessThanOrEqualTo(Math.max(milliseconds(cells[7]), milliseconds(cells[10])));
      }
    }
    command.setErr(new PrintWriter(printed));
    assertThat(command.execute("--requests", "0")).isNotZero();
    assertThat(command.execute("--devices", "0")).isNotZero();
    assertThat(command.execute("--precision", "int8")).isNotZero();
    assertThat(printed.toString())
        .contains("--precision must be of float32, bfloat16, float16, auto, but was int8");
    assertThat(printed.toString()).contains("--devices must be at least 1, but was 0");
  }

  private static int milliseconds(String cell) {
    return cell.equals("-") ? 0 : Integer.parseInt(cell);
  }

  @Test
  void call_withImages_callsOfNoMore() {
    StringWriter printed = new StringWriter();
    CommandLine command = new CommandLine(new ServiceLoad());
    command.setOut(new PrintWriter(printed));
    command.setErr(new PrintWriter(printed));
    int code =
        command.execute(
            "--preset=digits", "--requests=2", "--loads=1", "--calibration=0.05", "--images=4");
    assertThat(code).isZero();
    assertThat(printed.toString())
        .doesNotContain("calls of 1: ")
        .contains("capacity, by calls of 4 beside ticks: ")
        .containsPattern("ticks of the service by images: .*\\b4\\.0: [0-9.]+ ms\n");
    assertThat(command.execute("--images", "0")).isNotZero();
    assertThat(printed.toString()).contains("--images must be at least 1, but was 0");
  }
}
