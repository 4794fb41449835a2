package io.github.ddpm4j.cli;

import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.report.internal.Progress;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
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
      "Fetches a model from Hugging Face's hub into its cache on this machine: of a pipeline all"
          + " parts that are read here.",
      "HF_HOME, HF_ENDPOINT and HF_TOKEN are obeyed. A download that broke goes on."
    },
    footer = {
      "",
      "  ddpm download google/ddpm-cifar10-32",
      "  ddpm download CompVis/ldm-text2im-large-256"
    })
final class DownloadCommand implements Callable<Integer> {

  private static final double MEGABYTE = 1 << 20;

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
    Path folder;
    try (FileProgress progress = new FileProgress()) {
      folder = TextToImage.download(id, revision, progress::heard);
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(folder);
    out.flush();
    return 0;
  }

  /** One after the other, since they come so. */
  private final class FileProgress implements AutoCloseable {

    private String name = "";
    private @Nullable Progress progress;

    void heard(String file, long bytes, long total) {
      Progress shown = progress;
      if (shown == null || !file.equals(name)) {
        close();
        shown = Ddpm.progress(spec, file, "MB").decimals(1);
        progress = shown;
        name = file;
      }
      shown.to(bytes / MEGABYTE, total / MEGABYTE, "");
    }

    @Override
    public void close() {
      if (progress != null) {
        progress.close();
      }
    }
  }
}
