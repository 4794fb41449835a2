package io.github.ddpm4j.cli;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.pretrained.Pretrained;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.regex.Pattern;
import picocli.CommandLine.Option;

/** Which model, and where it runs. */
final class ModelOptions {

  /** A folder of this library has this file. */
  private static final String DESCRIPTION = "ddpm.json";

  private static final Pattern CHECKPOINT = Pattern.compile("step-\\d+\\.[0-9a-f]+\\.safetensors");
  private static final Pattern ID = Pattern.compile("[\\w.-]+/[\\w.-]+");

  @Option(
      names = {"-m", "--model"},
      paramLabel = "MODEL",
      required = true,
      description =
          "A model folder, a checkpoint, another library's folder or file, or the name of a model"
              + " in the cache of Hugging Face.")
  private String model = "";

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, gpu0, gpu1, ... (default: ${DEFAULT-VALUE}).")
  private String device = "cpu";

  /** The model as the user named it. */
  String name() {
    return model;
  }

  /**
   * Loads the model.
   *
   * @return the model; the caller closes it
   */
  DDPM load() throws IOException {
    var on = Cli.device(device);
    Path path = Path.of(model);
    if (isOurs(path)) {
      return DDPM.load(path, on);
    }
    return foreign(path).ddpm();
  }

  /** Whether it was written by this library. */
  static boolean isOurs(Path path) {
    return Files.exists(path.resolve(DESCRIPTION))
        || CHECKPOINT.matcher(String.valueOf(path.getFileName())).matches();
  }

  /** A model of another library. */
  Pretrained foreign(Path path) throws IOException {
    Pretrained.Options options = Pretrained.options().device(Cli.device(device));
    if (Files.exists(path)) {
      return options.load(path);
    }
    if (ID.matcher(model).matches()) {
      return options.load(model);
    }
    throw new NoSuchFileException(model, null, "does not exist");
  }
}
