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

  /** The bytes of a file between two lines that say how far it is. */
  private static final long LINE = 64 * MEGABYTE;

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
    long[] told = {0};
    var folder =
        Pretrained.download(
            id,
            revision,
            (file, bytes, total) -> {
              if (bytes == total || bytes / LINE > told[0]) {
                err.println(file + ": " + bytes / MEGABYTE + " of " + total / MEGABYTE + " MB");
                err.flush();
              }
              told[0] = bytes / LINE;
            });
    PrintWriter out = spec.commandLine().getOut();
    out.println(folder);
    out.flush();
    return 0;
  }
}
