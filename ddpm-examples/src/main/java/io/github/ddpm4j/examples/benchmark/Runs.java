package io.github.ddpm4j.examples.benchmark;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** All measurements of a run, and the report of them. */
public final class Runs {

  private final Children children;
  private final List<String> common;
  private final Map<String, Object> settings = new LinkedHashMap<>();

  /**
   * Sets up a run.
   *
   * @param main the class that measures one part, when called with {@code --measure}
   * @param device where
   * @param threads how many threads libtorch has
   * @param jvmOptions what Java is started with besides
   * @param effort how much is measured
   */
  public Runs(Class<?> main, String device, int threads, List<String> jvmOptions, Effort effort) {
    List<String> options = new ArrayList<>(jvmOptions);
    options.add("-Dai.djl.pytorch.num_threads=" + threads);
    children = new Children(main, options);
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--device", device,
                "--batch", Integer.toString(effort.batch()),
                "--repeats", Integer.toString(effort.repeats())));
    if (effort.quick()) {
      arguments.add("--quick");
    }
    common = List.copyOf(arguments);
    settings.put("device", device);
    settings.put("threads", threads);
    settings.put("batch", effort.batch());
    settings.put("repeats", effort.repeats());
    settings.put("jvmOptions", String.join(" ", jvmOptions));
    settings.put("variablesRemoved", String.join(" ", Children.removedVariables()));
  }

  /**
   * Measures, process by process.
   *
   * @param presets the networks
   * @param variants how each of them runs
   * @param progress where a line for each goes
   * @return the report
   * @throws IOException if a process fails
   */
  public Report all(List<Preset> presets, List<Variant> variants, PrintWriter progress)
      throws IOException {
    progress.println("bounds of the machine");
    progress.flush();
    Measurements bounds = measure(Part.BOUNDS, presets.get(0), variants.get(0));
    List<Report.Row> rows = new ArrayList<>();
    for (Preset preset : presets) {
      for (Variant variant : variants) {
        progress.println(preset.name() + " " + variant);
        progress.flush();
        rows.add(row(preset, variant));
      }
    }
    Map<String, String> versions = Machine.versions();
    versions.putAll(bounds.versions());
    return new Report(Machine.describe(), versions, settings, bounds.measures(), rows);
  }

  private Report.Row row(Preset preset, Variant variant) throws IOException {
    Measurements inference = measure(Part.INFERENCE, preset, variant);
    Map<String, Spread> measures = new LinkedHashMap<>(inference.measures());
    measures.putAll(measure(Part.PARTS, preset, variant).measures());
    measures.putAll(measure(Part.STEP, preset, variant).measures());
    return new Report.Row(
        preset.name(), variant.toString(), inference.device(), inference.parameters(), measures);
  }

  private Measurements measure(Part part, Preset preset, Variant variant) throws IOException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--measure", part.name(),
                "--presets", preset.name(),
                "--variants", variant.toString()));
    arguments.addAll(common);
    return children.run(arguments);
  }
}
