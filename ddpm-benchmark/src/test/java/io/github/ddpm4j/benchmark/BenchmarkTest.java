package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchmarkTest {

  private static final Set<String> SPREAD =
      Set.of("median", "lower", "upper", "min", "max", "count");

  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  /** The benchmark over one network that is compiled within a second. */
  static final class Tiny {

    static final int PARAMETERS = 10_593;

    private Tiny() {}

    static Benchmark benchmark() {
      return new Benchmark(Tiny.class, List.of(new Preset("tiny", Tiny::network)));
    }

    private static UNetBuilder network() {
      return UNet.builder()
          .image(1, 4, 4)
          .baseChannels(8)
          .channelMultipliers(1)
          .residualBlocks(1)
          .groups(4);
    }

    public static void main(String[] args) {
      Cli.exitWith(Cli.run(benchmark(), args));
    }
  }

  private int run(String... args) {
    return run(Tiny.benchmark(), args);
  }

  private int run(Benchmark benchmark, String... args) {
    return Cli.commandLine(benchmark)
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(args);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--presets digits,mnist | --presets must be of digits, 28x28, cifar10, but was mnist",
        "--variants fast | --variants must be of primitives, eager-float32, compiled-float32,"
            + " compiled-bfloat16, compiled-float16, recomputed-float32, recomputed-bfloat16, but was"
            + " fast",
        "--parts all | --parts must be of inference, step, pieces, checkpoint, load, bounds, but was all",
        "--device tpu | --device must be cpu, gpu0, gpu1, ..., but was tpu",
        "--repeats 0 | --repeats must be at least 1, but was 0",
        "--batch 0 | --batch must be at least 1, but was 0",
        "--threads 0 | --threads must be at least 1, but was 0"
      })
  void benchmark_wrongOption_endsInOneLine(String arguments, String message) {
    assertThat(run(new Benchmark(), arguments.split(" "))).isEqualTo(Cli.USER_ERROR);
    assertThat(err.toString().strip()).isEqualTo("Benchmark: " + message);
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void benchmark_gpuThatIsNotHere_isRefused() {
    assertThat(run("--device", "gpu99")).isEqualTo(Cli.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo(
            "Benchmark: --device must be one that is here, but was gpu99, and the engine sees "
                + Engine.getInstance().getGpuCount()
                + " GPUs; use cpu, or a libtorch built for the GPU");
    assertThat(out.toString()).isEmpty();
  }

  /** After an hour of measurements it would be late to say so. */
  @Test
  void benchmark_jsonWhereNoFileCanBe_isRefusedBeforeMeasuring() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "data");
    assertThat(run("--json", file.resolve("result.json").toString())).isEqualTo(Cli.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo(
            "Benchmark: "
                + file.resolve("result.json")
                + " must lie in a folder, but "
                + file
                + " is none; choose another folder");
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void benchmark_classPath_oneLine() {
    assertThat(run("--class-path")).isZero();
    assertThat(out.toString().strip()).isEqualTo(System.getProperty("java.class.path"));
  }

  /** What a process of its own does, in this one. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "inference | primitives | forwardMs firstCallMs ddim50Ms outsideNetworkPercent",
        "inference | compiled-bfloat16 | forwardMs firstCallMs ddim50Ms outsideNetworkPercent",
        "step | primitives | stepMs firstStepMs",
        "step | compiled-float32 | stepMs firstStepMs",
        "pieces | primitives | forwardBackwardMs optimizerMs emaMs",
        "pieces | eager-float32 | forwardBackwardMs optimizerMs emaMs",
        "checkpoint | compiled-float32 | stepAloneMs stepWithCheckpointMs checkpointWaitMs copyMs stepResumedMs",
        "load | compiled-float32 | readWeightsMs readIntoNewMemoryMs loadMs loadPerRead loadPeakPerSize",
        "bounds | primitives | matmulFloat32Gflops matmulBfloat16Gflops copyGbPerSecond"
      })
  void child_part_measuresAll(String part, String variant, String measures) {
    String[] child = {
      "--child",
      "--quick",
      "--batch",
      "2",
      "--presets",
      "tiny",
      "--parts",
      part,
      "--variants",
      variant
    };
    assertThat(run(child)).as(err.toString()).isZero();

    JsonObject result = JsonParser.parseString(out.toString()).getAsJsonObject();
    assertThat(result.keySet())
        .containsExactlyInAnyOrder("device", "parameters", "versions", "measures");
    assertThat(result.getAsJsonObject("versions").keySet())
        .containsExactlyInAnyOrder("djl", "libtorch");
    assertThat(result.get("parameters").getAsLong())
        .isEqualTo(part.equals("bounds") ? 0 : Tiny.PARAMETERS);
    JsonObject found = result.getAsJsonObject("measures");
    assertThat(found.keySet()).contains(measures.split(" "));
    for (String measure : found.keySet()) {
      assertThat(found.getAsJsonObject(measure).keySet()).isEqualTo(SPREAD);
    }
  }

  /** Four processes, one after the other. */
  @Test
  void benchmark_quick_writesTableAndFile() throws IOException {
    Path json = folder.resolve("result.json");
    int code =
        run(
            "--quick",
            "--batch",
            "1",
            "--threads",
            "1",
            "--variants",
            "compiled-float32",
            "--jvm-options",
            "-XX:+UseSerialGC -Xmx256m",
            "--json",
            json.toString());

    assertThat(code).as(err.toString()).isZero();
    assertThat(err.toString().lines())
        .containsExactly("bounds of the machine", "tiny compiled-float32");
    assertThat(out.toString().lines())
        .anyMatch(line -> line.matches("\\| tiny +\\| compiled-float32 \\|.*"))
        .anyMatch(line -> line.startsWith("versions: ddpm4j "))
        .anyMatch(line -> line.startsWith("settings: device cpu, threads 1, batch 1, repeats 1, "))
        .contains("Medians, and in brackets their ratio to eager-float32:");
    JsonObject report = JsonParser.parseString(Files.readString(json)).getAsJsonObject();
    assertThat(report.keySet())
        .containsExactly("machine", "versions", "settings", "bounds", "rows");
    assertThat(report.getAsJsonObject("versions").keySet())
        .containsExactlyInAnyOrder("ddpm4j", "java", "djl", "libtorch");
    assertThat(report.getAsJsonObject("bounds").keySet())
        .containsExactly("matmulFloat32Gflops", "matmulBfloat16Gflops", "copyGbPerSecond");
    JsonObject row = report.getAsJsonArray("rows").get(0).getAsJsonObject();
    assertThat(row.get("preset").getAsString()).isEqualTo("tiny");
    assertThat(row.get("variant").getAsString()).isEqualTo("compiled-float32");
    assertThat(row.get("parameters").getAsLong()).isEqualTo(Tiny.PARAMETERS);
    assertThat(row.getAsJsonObject("measures").keySet())
        .contains(
            "forwardMs",
            "forwardBackwardMs",
            "optimizerMs",
            "emaMs",
            "stepMs",
            "ddim50Ms",
            "outsideNetworkPercent",
            "firstCallMs",
            "firstStepMs");
  }

  @Test
  void benchmark_boundsOnly_noRows() {
    assertThat(run("--quick", "--parts", "bounds")).as(err.toString()).isZero();
    assertThat(err.toString().strip()).isEqualTo("bounds of the machine");
    assertThat(out.toString()).contains("matmulFloat32Gflops");
  }
}
