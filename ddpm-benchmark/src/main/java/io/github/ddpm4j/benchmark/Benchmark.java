package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
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
 * Measures networks of three sizes in every way that they can run: each in processes of its own,
 * and never two at once.
 */
@Command(
    name = "Benchmark",
    description = {
      "Measures time and memory of networks of three sizes, run in several ways.",
      "Leave the machine alone meanwhile. docs/performance.md says what is measured."
    },
    sortOptions = false)
public final class Benchmark implements Callable<Integer> {

  static final List<Preset> PRESETS =
      List.of(
          new Preset("digits", Benchmark::digits),
          new Preset("28x28", Benchmark::fashionMnist),
          new Preset("cifar10", UNet::cifar10));

  private final Class<?> main;
  private final List<Preset> networks;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--presets",
      paramLabel = "NAME",
      split = ",",
      description = "The networks: digits, 28x28, cifar10 (default: all).")
  private List<String> presets;

  @Option(
      names = "--variants",
      paramLabel = "NAME",
      split = ",",
      description =
          "The ways to run them: primitives, eager-float32, compiled-float32, compiled-bfloat16"
              + " (default: these), compiled-float16 (slow on a CPU), recomputed-float32,"
              + " recomputed-bfloat16 (whole step).")
  private List<String> variants =
      Arrays.stream(Variant.values()).filter(Variant::isUsual).map(Variant::toString).toList();

  @Option(
      names = "--parts",
      paramLabel = "NAME",
      split = ",",
      description =
          "What to measure, each in a process of its own: inference, step, pieces,"
              + " checkpoint, load, bounds (default: all but checkpoint and load).")
  private List<String> parts =
      Arrays.stream(Part.values())
          .filter(part -> part != Part.CHECKPOINT && part != Part.LOAD)
          .map(Part::toString)
          .toList();

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

  /** The benchmark of the three networks. */
  public Benchmark() {
    this(Benchmark.class, PRESETS);
  }

  /**
   * A benchmark of other networks.
   *
   * @param main what a process of its own runs, with these networks too
   * @param networks what can be measured
   */
  Benchmark(Class<?> main, List<Preset> networks) {
    this.main = main;
    this.networks = networks;
    presets = networks.stream().map(Preset::name).toList();
  }

  /** The network of the example Quickstart. */
  private static UNetBuilder digits() {
    return UNet.builder()
        .image(1, 8, 8)
        .baseChannels(32)
        .channelMultipliers(1, 2)
        .residualBlocks(1)
        .attentionAtLevels(1)
        .groups(8)
        .dropout(0);
  }

  /** For pictures of the size of Fashion-MNIST, with the default number of channels and blocks. */
  private static UNetBuilder fashionMnist() {
    return UNet.builder()
        .image(1, 28, 28)
        .baseChannels(64)
        .channelMultipliers(1, 2, 2)
        .attentionAtLevels(1);
  }

  /**
   * Runs the benchmark.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    DDPM.endStepsOnShutdown();
    Cli.exitWith(Cli.run(new Benchmark(), args));
  }

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    if (classPath) {
      out.println(Children.classPath(main));
      out.flush();
      return 0;
    }
    List<Preset> chosen = Cli.chosen("--presets", networks, Preset::name, presets);
    List<Variant> ways =
        Cli.chosen("--variants", List.of(Variant.values()), Variant::toString, variants);
    List<Part> measured = Cli.chosen("--parts", List.of(Part.values()), Part::toString, parts);
    int least = repeats == null ? (quick ? 1 : 10) : Cli.atLeast("--repeats", 1, repeats);
    Effort effort = new Effort(Cli.atLeast("--batch", 1, batch), least, quick);
    Device here = Cli.device(device);
    Cli.atLeast("--threads", 1, threads);
    if (json != null) {
      WholeFile.requirePlace(json);
    }
    if (child) {
      out.println(
          Measurements.of(measured.get(0), chosen.get(0), ways.get(0), here, effort).toJson());
    } else {
      Runs runs = new Runs(main, device, threads, jvmOptions, measured, effort);
      Report report = runs.all(chosen, ways, spec.commandLine().getErr());
      out.print(Table.of(report));
      out.flush(); // whatever becomes of the file
      if (json != null) {
        WholeFile.writeText(json, report.toJson());
      }
    }
    out.flush();
    return 0;
  }
}
