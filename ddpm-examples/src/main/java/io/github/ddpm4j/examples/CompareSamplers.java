package io.github.ddpm4j.examples;

import com.google.gson.GsonBuilder;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.examples.comparison.Comparison;
import io.github.ddpm4j.examples.comparison.ComparisonTable;
import io.github.ddpm4j.examples.comparison.Row;
import io.github.ddpm4j.examples.data.Digits;
import io.github.ddpm4j.examples.data.IdxFiles;
import io.github.ddpm4j.examples.data.LabeledImages;
import io.github.ddpm4j.examples.judge.Judge;
import io.github.ddpm4j.examples.judge.Judgement;
import io.github.ddpm4j.files.WholeFile;
import io.github.ddpm4j.sampling.Samplers;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Which sampler for how many network calls: draws the same images of a trained model with each, and
 * judges them against images that it has not seen.
 */
@Command(
    name = "CompareSamplers",
    description = {
      "Draws the same images of a trained model with each sampler, and prints a table of how good"
          + " they are. docs/samplers.md explains it.",
      "Exit code 2: something to put right."
    },
    sortOptions = false)
public final class CompareSamplers implements Callable<Integer> {

  /** Training images beyond these add time and little else to the judge. */
  private static final int MOST_TRAINING = 2000;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--model",
      paramLabel = "FOLDER",
      description = "What Quickstart or TrainFashionMnist saved (default: ${DEFAULT-VALUE}).")
  private Path model = Mains.target("quickstart").resolve("model");

  @Option(
      names = "--data",
      paramLabel = "FOLDER",
      description =
          "Where the IDX files of training and test set lie (default: the bundled digits).")
  private @Nullable Path data;

  @Option(
      names = "--samplers",
      paramLabel = "SAMPLER",
      split = ";",
      description =
          "The samplers without their numbers of steps, such as \"ddim; dpm++2m, trailing\" (default:"
              + " the usual ones; a wrong name prints all).")
  private List<String> samplers = Samplers.usual();

  @Option(
      names = "--calls",
      paramLabel = "N",
      split = ",",
      description = "The network calls per image (default: 10,15,20,25,50,100).")
  private List<Integer> calls = List.of(10, 15, 20, 25, 50, 100);

  @Option(
      names = "--long-chain",
      paramLabel = "N",
      description =
          "The calls of the DDIM chain that the others are measured against (default: one per"
              + " timestep).")
  private @Nullable Integer longChain;

  @Option(names = "--no-ddpm", description = "Leaves out DDPM over every timestep.")
  private boolean withoutDdpm;

  @Option(
      names = "--images",
      paramLabel = "N",
      description = "Images that are drawn and judged, per seed (default: ${DEFAULT-VALUE}).")
  private int images = Digits.HELD_OUT;

  @Option(
      names = "--repeats",
      paramLabel = "N",
      description = "Seeds, each judged by itself (default: ${DEFAULT-VALUE}).")
  private int repeats = 3;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "The first of the seeds (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Images per network call (default: ${DEFAULT-VALUE}).")
  private int batchSize = 100;

  @Option(names = "--no-clip", description = "Leaves the predicted image as it is in every step.")
  private boolean unclipped;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Writes the figures of every seed into a file.")
  private @Nullable Path json;

  /**
   * Runs the comparison.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.setDefault("ai.djl.pytorch.num_threads", "1");
    Mains.exitWith(Mains.run(new CompareSamplers(), args));
  }

  @Override
  public Integer call() throws IOException {
    Mains.atLeast("--images", Judge.NEIGHBOURS + 1, images);
    Mains.atLeast("--repeats", 1, repeats);
    calls.forEach(one -> Mains.atLeast("--calls", 1, one));
    List<String> candidates = samplers.stream().map(String::strip).toList();
    candidates.forEach(text -> Samplers.parse(text, calls.get(0)));
    if (Files.notExists(model)) {
      throw new IOException(
          model + " does not exist; run Quickstart first, or name another model with --model");
    }
    Judge judge = judge();
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    try (DDPM ddpm = DDPM.load(model)) {
      int timesteps = ddpm.schedule().timesteps();
      Comparison.Settings settings =
          new Comparison.Settings(
              images,
              batchSize,
              !unclipped,
              Comparison.seeds(seed, repeats),
              longChain == null
                  ? timesteps
                  : Mains.within("--long-chain", 1, timesteps, longChain));
      Comparison comparison =
          new Comparison(
              ddpm,
              judge,
              settings,
              line -> {
                err.println(line);
                err.flush();
              });
      List<Row> rows = comparison.run(candidates, calls, !withoutDdpm);
      Judgement real = judge.realAgainstReal();
      out.print(ComparisonTable.of(real, rows));
      if (json != null) {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("settings", settings);
        report.put("realAgainstReal", real);
        report.put("rows", rows);
        WholeFile.writeText(
            json, new GsonBuilder().setPrettyPrinting().create().toJson(report) + "\n");
      }
    }
    out.flush();
    return 0;
  }

  private Judge judge() throws IOException {
    LabeledImages heldOut;
    LabeledImages training;
    if (data == null) {
      Digits digits = Digits.load();
      heldOut = digits.heldOut();
      training = digits.training();
    } else {
      heldOut = IdxFiles.test(data);
      training = IdxFiles.training(data);
    }
    Mains.within("--images", Judge.NEIGHBOURS + 1, heldOut.size(), images);
    return Judge.of(
        heldOut.slice(0, images),
        training.slice(0, Math.min(training.size(), images + MOST_TRAINING)));
  }
}
