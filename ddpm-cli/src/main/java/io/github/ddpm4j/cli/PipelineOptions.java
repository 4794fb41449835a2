package io.github.ddpm4j.cli;

import ai.djl.Device;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.latent.TextToImage;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which pipeline draws what texts say, and where it runs. */
final class PipelineOptions {

  @Option(
      names = {"-m", "--model"},
      paramLabel = "MODEL",
      required = true,
      converter = Names.OfModel.class,
      description =
          "A folder of diffusers with model_index.json, its name in the cache of Hugging Face, or a"
              + " single file of Stable Diffusion.")
  private String model = "";

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, gpu0, gpu1, ... (default: ${DEFAULT-VALUE}).")
  private String device = "cpu";

  @Option(
      names = "--mapped",
      description =
          "Leaves weights in their files, which takes less memory; nobody may write to these"
              + " meanwhile.")
  private boolean mapped;

  @Mixin private SingleFileOptions single = new SingleFileOptions();

  @Option(
      names = "--prediction",
      paramLabel = "NAME",
      description = "What the network of such a file predicts: epsilon or velocity.")
  private FileOptions.@Nullable Target prediction;

  /** Where it runs. */
  private Device device() {
    return Cli.device(device);
  }

  /**
   * Checks what can be told without loading.
   *
   * @return the pipeline
   */
  LatentPipeline check() throws IOException {
    device();
    LatentPipeline pipeline = LatentPipeline.drawingTexts(model);
    if (prediction != null && Files.isDirectory(pipeline.path())) {
      throw new IllegalArgumentException(
          "--prediction is for single files of Stable Diffusion, and "
              + pipeline.name()
              + " ("
              + pipeline.kind()
              + ") says it itself; leave it out");
    }
    single.set(TextToImage.options(), pipeline); // for what it refuses
    return pipeline;
  }

  /** What the pictures depend on beside the files, by name. */
  Map<String, String> words() {
    Map<String, String> words = single.words();
    if (prediction != null) {
      words.put("prediction", prediction.known().toString());
    }
    return words;
  }

  /**
   * Loads the pipeline, without what encodes pictures.
   *
   * @return the model; the caller closes it
   */
  TextToImage load(LatentPipeline pipeline) throws IOException {
    TextToImage.Options options = TextToImage.options().device(device()).decoderAlone();
    if (mapped) {
      options.mapped();
    }
    if (prediction != null) {
      options.prediction(prediction.known());
    }
    single.set(options, pipeline);
    return pipeline.load(options);
  }
}
