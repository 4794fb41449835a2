package io.github.ddpm4j.cli;

import ai.djl.Device;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.latent.TextToImage;
import java.io.IOException;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which model, and where it runs. */
final class ModelOptions {

  @Option(
      names = {"-m", "--model"},
      paramLabel = "MODEL",
      required = true,
      converter = Names.OfModel.class,
      description =
          "A model folder, a checkpoint, another library's folder or file, the name of a model in"
              + " the cache of Hugging Face, or of one in the box: faces or fashion.")
  private String model = "";

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, gpu0, gpu1, ... (default: ${DEFAULT-VALUE}).")
  private String device = "cpu";

  @Mixin private FileOptions files = new FileOptions();

  /** The model as the user named it. */
  String name() {
    return model;
  }

  /** Where it runs. */
  Device device() {
    return Cli.device(device);
  }

  /** What its files don't say, for a model of several networks. */
  TextToImage.Options of(LatentPipeline pipeline) {
    return files.ofPipeline(pipeline);
  }

  /** Checks what can be told without loading. */
  void check() throws IOException {
    device();
    files.check(model);
    LoadedModel.require(model);
  }

  /**
   * Loads the model.
   *
   * @return the model; the caller closes it
   */
  LoadedModel load() throws IOException {
    return LoadedModel.load(model, device(), files.options());
  }
}
