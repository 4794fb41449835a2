package io.github.ddpm4j.cli;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Writes a model in another layout. */
@Command(
    name = "convert",
    sortOptions = false,
    description = "Writes a model in another layout.",
    footer = {
      "",
      "  ddpm convert -m google/ddpm-cifar10-32 -o cifar10",
      "  ddpm convert -m digits -f diffusers -o digits-for-python"
    })
final class ConvertCommand implements Callable<Integer> {

  /** What can be written. */
  private enum Layout {
    DDPM4J,
    SAFETENSORS,
    DIFFUSERS,
    NPZ,
    TORCHSCRIPT
  }

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private ModelOptions model = new ModelOptions();

  @Option(
      names = {"-f", "--format"},
      paramLabel = "FORMAT",
      description =
          "ddpm4j (a folder of this library), safetensors (one file of it), diffusers (a folder),"
              + " npz (the paper's authors' variables), torchscript (default: ddpm4j).")
  private Layout format = Layout.DDPM4J;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "PATH",
      required = true,
      description = "Where to; a folder of the library's own is replaced.")
  private Path output = Path.of("");

  @Override
  public Integer call() throws IOException {
    check();
    try (LoadedModel loaded = model.load()) {
      DDPM ddpm = loaded.ddpm();
      switch (format) {
        case DDPM4J -> ddpm.save(output);
        case DIFFUSERS -> Pretrained.saveDiffusers(ddpm, output);
        case NPZ -> Pretrained.saveNpz(ddpm, output);
        case SAFETENSORS -> ddpm.saveSafetensors(output);
        case TORCHSCRIPT -> ddpm.denoiser(UNet.class).exportTorchScript(output);
      }
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(output);
    out.flush();
    return 0;
  }

  private void check() throws IOException {
    boolean folder = format == Layout.DDPM4J || format == Layout.DIFFUSERS;
    if (folder) {
      Inputs.requireFolder(output);
    } else {
      Pictures.requireSavable(output);
    }
    model.check();
  }
}
