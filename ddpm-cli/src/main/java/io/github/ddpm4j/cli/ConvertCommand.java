package io.github.ddpm4j.cli;

import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
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
    description = {
      "Writes a model in another layout.",
      "Latent and Stable Diffusion, folders with model_index.json or single files, are written as"
          + " folders of diffusers."
    },
    footer = {
      "",
      "  ddpm convert -m google/ddpm-cifar10-32 -o cifar10",
      "  ddpm convert -m digits -f diffusers -o digits-for-python",
      "  ddpm convert -m digits -f safetensors --type bfloat16 -o digits.safetensors",
      "  ddpm convert -m v1-5.ckpt --tokenizer clip -f diffusers --type float16 -o v1-5"
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

  /** What numbers are stored as. */
  private enum Type {
    FLOAT32(DataType.FLOAT32),
    FLOAT16(DataType.FLOAT16),
    BFLOAT16(DataType.BFLOAT16);

    private final DataType stored;

    Type(DataType stored) {
      this.stored = stored;
    }
  }

  private static final String TYPE = "--type";

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

  @Option(
      names = TYPE,
      paramLabel = "TYPE",
      description =
          "What safetensors and diffusers hold: float32, float16 or bfloat16, each number rounded to"
              + " the nearest (default: float32).")
  private Type type = Type.FLOAT32;

  @Mixin private SingleFileOptions single = new SingleFileOptions();

  @Override
  public Integer call() throws IOException {
    boolean folder = format == Layout.DDPM4J || format == Layout.DIFFUSERS;
    if (folder) {
      Inputs.requireFolder(output);
    } else {
      Pictures.requireSavable(output);
    }
    model.check();
    if (type != Type.FLOAT32 && format != Layout.SAFETENSORS && format != Layout.DIFFUSERS) {
      throw new IllegalArgumentException(
          TYPE
              + " is for safetensors and diffusers, since "
              + format.name().toLowerCase(Locale.ROOT)
              + " holds float32 alone; give another --format, or leave it out");
    }
    LatentPipeline pipeline = LatentPipeline.of(model.name(), single.given());
    if (pipeline != null) {
      convert(pipeline);
    } else {
      single.requireNone(model.name());
      convert();
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(output);
    out.flush();
    return 0;
  }

  private void convert() throws IOException {
    try (LoadedModel loaded = model.load()) {
      DDPM ddpm = loaded.ddpm();
      Writing.whole(() -> write(ddpm));
    }
  }

  private void write(DDPM ddpm) throws IOException {
    switch (format) {
      case DDPM4J -> ddpm.save(output);
      case DIFFUSERS -> Pretrained.saveDiffusers(ddpm, output, type.stored);
      case NPZ -> Pretrained.saveNpz(ddpm, output);
      case SAFETENSORS -> ddpm.saveSafetensors(output, type.stored);
      case TORCHSCRIPT -> ddpm.denoiser(UNet.class).exportTorchScript(output);
    }
  }

  /** Models of several networks have one layout alone. */
  private void convert(LatentPipeline pipeline) throws IOException {
    if (format != Layout.DIFFUSERS) {
      throw new IllegalArgumentException(
          pipeline.path()
              + " ("
              + pipeline.kind()
              + ") has several networks, which only --format diffusers holds; give that, or "
              + pipeline.networkAlone());
    }
    TextToImage.Options options = model.of(pipeline);
    single.set(options, pipeline);
    pipeline.save(output, options, model.device(), type.stored);
  }
}
