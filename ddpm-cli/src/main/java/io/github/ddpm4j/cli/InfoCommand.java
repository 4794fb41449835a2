package io.github.ddpm4j.cli;

import ai.djl.Device;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.pretrained.Pretrained;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Says what is in a file or folder. */
@Command(
    name = "info",
    sortOptions = false,
    description = {
      "Says what is in a model folder, a checkpoint or a folder of them, a folder or file of another"
          + " library, a file of tensors (.safetensors, .npz, .pt), or how a picture was drawn.",
      "A file of tensors that is no model that is known is listed, and said why it is none."
    },
    footer = {
      "",
      "  ddpm info faces",
      "  ddpm info photos-model",
      "  ddpm info pictures/00000003.png"
    })
final class InfoCommand implements Callable<Integer> {

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      paramLabel = "PATH",
      description = "The file or folder, or the name of a model in the box.")
  private Path path = Path.of("");

  @Mixin private FileOptions files = new FileOptions();

  @Override
  public Integer call() throws IOException {
    files.check(path.toString());
    PrintWriter out = spec.commandLine().getOut();
    if (LoadedModel.isInTheBox(path.toString())) {
      try (DDPM ddpm = Models.load(path.toString(), Device.cpu())) {
        print(out, ddpm);
      }
      out.flush();
      return 0;
    }
    Inputs.require(List.of(path));
    if (path.toString().toLowerCase(Locale.ROOT).endsWith(".png") && Files.isRegularFile(path)) {
      Map<String, String> words = Pictures.provenance(path);
      if (words.isEmpty()) {
        out.println(path + " does not say how it was drawn");
      }
      words.forEach((name, value) -> line(out, name, value));
    } else if (LoadedModel.isOurs(path)) {
      model(out, path);
    } else if (Files.isRegularFile(path) && TensorListing.isOurs(path)) {
      TensorListing.print(out, path);
    } else if (!Files.isDirectory(path) || !training(out)) {
      foreign(out);
    }
    out.flush();
    return 0;
  }

  private static void model(PrintWriter out, Path path) throws IOException {
    try (DDPM ddpm = DDPM.load(path)) {
      print(out, ddpm);
    }
  }

  private void foreign(PrintWriter out) throws IOException {
    try (Pretrained foreign = files.options().load(path)) {
      out.println(foreign.audit());
    } catch (IOException | IllegalArgumentException e) {
      if (!Files.isRegularFile(path)) {
        throw e;
      }
      try (TensorSource source = TensorFiles.open(path)) {
        source.tensors();
      } catch (IOException none) {
        throw e; // no file of tensors either
      }
      line(
          out,
          "no model, since",
          String.valueOf(Advice.of(e.getMessage())).replaceAll("\\s+", " "));
      TensorListing.print(out, path);
    }
  }

  /** The folder of a training run, or of its checkpoints; false if it is neither. */
  private boolean training(PrintWriter out) throws IOException {
    Path inside = path.resolve("checkpoints");
    Path folder = Files.isDirectory(inside) ? inside : path;
    List<Path> checkpoints;
    try (Stream<Path> files = Files.list(folder)) {
      // Their names have the step in digits of one number.
      checkpoints = files.filter(LoadedModel::isCheckpoint).sorted().toList();
    }
    Path model = path.resolve("model");
    boolean finished = LoadedModel.isOurs(model);
    if (checkpoints.isEmpty() && !finished) {
      return false;
    }
    line(out, "what", finished ? "a training run that ended" : "a training run that has not ended");
    for (Path checkpoint : checkpoints) {
      line(
          out,
          "checkpoint",
          checkpoint + String.format(Locale.ROOT, ", %,d bytes", Files.size(checkpoint)));
    }
    Path newest = finished ? model : checkpoints.get(checkpoints.size() - 1);
    out.println();
    out.println(newest + ":");
    model(out, newest);
    return true;
  }

  private static void print(PrintWriter out, DDPM ddpm) {
    line(out, "schedule", ddpm.schedule());
    line(out, "prediction", ddpm.prediction());
    line(out, "variance", ddpm.variance());
    line(out, "data range", ddpm.dataRange());
    ddpm.denoiser().ifPresent(network -> line(out, "network", network));
    if (!ddpm.classNames().isEmpty()) {
      line(out, "classes", String.join(", ", ddpm.classNames()));
    }
    ddpm.metadata().forEach((name, value) -> line(out, name, value));
    ddpm.provenance().forEach((name, value) -> line(out, name, value));
  }

  static void line(PrintWriter out, String name, Object value) {
    out.println(String.format(Locale.ROOT, "%-18s %s", name, value));
  }
}
