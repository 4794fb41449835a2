package io.github.ddpm4j.benchmark;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** All measurements of a run, and the report of them. */
final class Runs {

  private final Children children;
  private final List<String> common;
  private final Set<Part> parts;
  private final Map<String, Object> settings = new LinkedHashMap<>();

  /**
   * Sets up a run.
   *
   * @param main the class that measures one part, when called with {@code --child}
   * @param device where
   * @param threads how many threads libtorch has
   * @param jvmOptions what Java is started with besides
   * @param parts what is measured
   * @param effort how much of it
   */
  Runs(
      Class<?> main,
      String device,
      int threads,
      List<String> jvmOptions,
      Collection<Part> parts,
      Effort effort) {
    this.parts = EnumSet.copyOf(parts);
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
  Report all(List<Preset> presets, List<Variant> variants, PrintWriter progress)
      throws IOException {
    Map<String, String> versions = Machine.versions();
    Map<String, Spread> bounds = new LinkedHashMap<>();
    List<Report.Row> rows = new ArrayList<>();
    if (parts.contains(Part.BOUNDS)) {
      say(progress, "bounds of the machine");
      Measurements measured = measure(Part.BOUNDS, presets.get(0), variants.get(0));
      versions.putAll(measured.versions());
      bounds.putAll(measured.measures());
    }
    if (EnumSet.of(Part.BOUNDS).containsAll(parts)) {
      return new Report(Machine.describe(), versions, settings, bounds, rows);
    }
    for (Preset preset : presets) {
      for (Variant variant : variants) {
        say(progress, preset.name() + " " + variant);
        rows.add(row(preset, variant, versions));
      }
    }
    return new Report(Machine.describe(), versions, settings, bounds, rows);
  }

  private static void say(PrintWriter progress, String line) {
    progress.println(line);
    progress.flush();
  }

  private Report.Row row(Preset preset, Variant variant, Map<String, String> versions)
      throws IOException {
    String where = "";
    long parameters = 0;
    Map<String, Spread> measures = new LinkedHashMap<>();
    for (Part part : parts) {
      if (part != Part.BOUNDS) {
        Measurements measured = measure(part, preset, variant);
        where = measured.device();
        parameters = measured.parameters();
        versions.putAll(measured.versions());
        measures.putAll(measured.measures());
      }
    }
    return new Report.Row(preset.name(), variant.toString(), where, parameters, measures);
  }

  private Measurements measure(Part part, Preset preset, Variant variant) throws IOException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--child",
                "--parts",
                part.toString(),
                "--presets",
                preset.name(),
                "--variants",
                variant.toString()));
    arguments.addAll(common);
    return children.run(arguments);
  }
}
