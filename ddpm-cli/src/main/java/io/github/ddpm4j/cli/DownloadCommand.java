package io.github.ddpm4j.cli;

import io.github.ddpm4j.pretrained.Pretrained;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Fetches a model. */
@Command(
    name = "download",
    sortOptions = false,
    description = {
      "Fetches a model from Hugging Face's hub into its cache on this machine.",
      "HF_HOME, HF_ENDPOINT and HF_TOKEN are obeyed. A download that broke goes on."
    },
    footer = {"", "  ddpm download google/ddpm-cifar10-32"})
final class DownloadCommand implements Callable<Integer> {

  private static final long MEGABYTE = 1 << 20;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "NAME", description = "The model, as owner/name.")
  private String id = "";

  @Option(
      names = "--revision",
      paramLabel = "REVISION",
      description = "A branch, tag or commit (default: ${DEFAULT-VALUE}).")
  private String revision = "main";

  @Override
  public Integer call() throws IOException {
    LoadedModel.requireId(id);
    PrintWriter err = spec.commandLine().getErr();
    boolean terminal = System.console() != null;
    long[] last = {-1};
    var folder =
        Pretrained.download(
            id,
            revision,
            (file, bytes, total) -> {
              if (bytes / MEGABYTE != last[0] || bytes == total) {
                last[0] = bytes / MEGABYTE;
                String line = file + ": " + bytes / MEGABYTE + " of " + total / MEGABYTE + " MB";
                if (terminal) {
                  err.print("\r" + line + (bytes == total ? System.lineSeparator() : ""));
                } else if (bytes == total) {
                  err.println(line);
                }
                err.flush();
              }
            });
    PrintWriter out = spec.commandLine().getOut();
    out.println(folder);
    out.flush();
    return 0;
  }
}
