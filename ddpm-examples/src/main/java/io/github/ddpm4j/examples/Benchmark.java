package io.github.ddpm4j.examples;

import ai.djl.Device;
import io.github.ddpm4j.examples.benchmark.Children;
import io.github.ddpm4j.examples.benchmark.Effort;
import io.github.ddpm4j.examples.benchmark.Measurements;
import io.github.ddpm4j.examples.benchmark.Part;
import io.github.ddpm4j.examples.benchmark.Preset;
import io.github.ddpm4j.examples.benchmark.Report;
import io.github.ddpm4j.examples.benchmark.Runs;
import io.github.ddpm4j.examples.benchmark.Table;
import io.github.ddpm4j.examples.benchmark.Variant;
import io.github.ddpm4j.files.WholeFile;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Measures the networks of the examples in every way that they can run: each in processes of its
 * own, and never two at once.
 */
@Command(
    name = "Benchmark",
    description = {
      "Measures time and memory of the networks of the examples, run in several ways.",
      "Leave the machine alone meanwhile. docs/performance.md says what is measured."
    },
    sortOptions = false)
public final class Benchmark implements Callable<Integer> {

  private static final int SIDE = 28;

  private static final List<Preset> PRESETS =
      List.of(
          new Preset("digits", Quickstart::network),
          new Preset(
              "28x28", () -> TrainFashionMnist.network(SIDE, SIDE, TrainFashionMnist.CHANNELS)),
          new Preset("cifar10", UNet::cifar10));

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--presets",
      paramLabel = "NAME",
      split = ",",
      description = "The networks: digits, 28x28, cifar10 (default: all).")
  private List<String> presets = PRESETS.stream().map(Preset::name).toList();

  @Option(
      names = "--variants",
      paramLabel = "NAME",
      split = ",",
      description =
          "The ways to run them: primitives, eager-float32, compiled-float32, compiled-bfloat16"
              + " (default: all).")
  private List<String> variants = Arrays.stream(Variant.values()).map(Variant::toString).toList();

  @Option(
      names = "--parts",
      paramLabel = "NAME",
      split = ",",
      description =
          "What to measure, each in a process of its own: inference, step, pieces, bounds"
              + " (default: all).")
  private List<String> parts = Arrays.stream(Part.values()).map(Part::toString).toList();

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, gpu0, gpu1, ... (default: ${DEFAULT-VALUE}).")
  private String device = "cpu";

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads of libtorch (default: one per core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Images of a forward pass and of a training step (default: ${DEFAULT-VALUE}).")
  private int batch = 8;

  @Option(
      names = "--repeats",
      paramLabel = "N",
      description =
          "The least number of timed runs; sampling is timed a quarter as often (default: 10, or 1"
              + " with --quick).")
  private @Nullable Integer repeats;

  @Option(
      names = "--jvm-options",
      paramLabel = "OPTION",
      split = " ",
      description = "What Java is started with, besides the threads.")
  private List<String> jvmOptions = List.of();

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Writes everything that was measured into a file.")
  private @Nullable Path json;

  @Option(names = "--quick", description = "As little as possible, to see that all works.")
  private boolean quick;

  @Option(
      names = "--class-path",
      description = "Prints the class path, for scripts that start this main again, and exits.")
  private boolean classPath;

  /** Measures the first part of the first network, run in the first way, in this process. */
  @Option(names = "--child", hidden = true)
  private boolean child;

  /**
   * Runs the benchmark.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.exitWith(Mains.run(new Benchmark(), args));
  }

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    if (classPath) {
      out.println(Children.classPath(Benchmark.class));
      out.flush();
      return 0;
    }
    List<Preset> networks = Mains.chosen("--presets", PRESETS, Preset::name, presets);
    List<Variant> ways =
        Mains.chosen("--variants", List.of(Variant.values()), Variant::toString, variants);
    List<Part> measured = Mains.chosen("--parts", List.of(Part.values()), Part::toString, parts);
    int least = repeats == null ? (quick ? 1 : 10) : Mains.atLeast("--repeats", 1, repeats);
    Effort effort = new Effort(Mains.atLeast("--batch", 1, batch), least, quick);
    Devices.present(device);
    Mains.atLeast("--threads", 1, threads);
    if (child) {
      Device here = Devices.of(device, spec.commandLine().getErr());
      out.println(
          Measurements.of(measured.get(0), networks.get(0), ways.get(0), here, effort).toJson());
    } else {
      Runs runs = new Runs(Benchmark.class, device, threads, jvmOptions, measured, effort);
      Report report = runs.all(networks, ways, spec.commandLine().getErr());
      out.print(Table.of(report));
      if (json != null) {
        WholeFile.writeText(json, report.toJson());
      }
    }
    out.flush();
    return 0;
  }
}
