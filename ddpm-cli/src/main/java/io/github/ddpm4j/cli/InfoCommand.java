package io.github.ddpm4j.cli;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.pretrained.Pretrained;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Says what is in a file or folder. */
@Command(
    name = "info",
    sortOptions = false,
    description = {
      "Says what is in a model folder, a checkpoint, a folder or file of another library, or how a"
          + " picture was drawn."
    },
    footer = {"", "  ddpm info digits", "  ddpm info pictures/00000003.png"})
final class InfoCommand implements Callable<Integer> {

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "PATH", description = "The file or folder.")
  private Path path = Path.of("");

  @Override
  public Integer call() throws IOException {
    Inputs.require(List.of(path));
    PrintWriter out = spec.commandLine().getOut();
    if (path.toString().toLowerCase(Locale.ROOT).endsWith(".png") && Files.isRegularFile(path)) {
      Map<String, String> words = Pictures.provenance(path);
      if (words.isEmpty()) {
        out.println(path + " does not say how it was drawn");
      }
      words.forEach((name, value) -> line(out, name, value));
    } else if (LoadedModel.isOurs(path)) {
      try (DDPM ddpm = DDPM.load(path)) {
        print(out, ddpm);
      }
    } else {
      try (Pretrained foreign = Pretrained.load(path)) {
        out.println(foreign.audit());
      }
    }
    out.flush();
    return 0;
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

  private static void line(PrintWriter out, String name, Object value) {
    out.println(String.format(Locale.ROOT, "%-18s %s", name, value));
  }
}
