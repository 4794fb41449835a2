package io.github.ddpm4j.cli;

import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options of how pictures are drawn. */
final class SamplerOptions {

  @Option(
      names = {"-s", "--sampler"},
      paramLabel = "SAMPLER",
      description =
          "As docs/samplers.md writes them, such as ddim:50 or 'unipc:10, karras' (default:"
              + " dpm++2m:20, or what the model was tuned for).")
  private @Nullable String sampler;

  @Option(
      names = "--any-sampler",
      description = "Take SAMPLER even for a model that was tuned for another.")
  private boolean any;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "The same seed draws the same pictures (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = {"-c", "--class"},
      paramLabel = "CLASS",
      split = ",",
      description = "A class of each picture in turn, by name or number.")
  private List<String> classes = List.of();

  @Option(
      names = {"-a", "--attributes"},
      paramLabel = "TEXT",
      description =
          "What a model of attributes shall draw, such as 'hair=long, hat=red'; given more than"
              + " once, of each picture in turn.")
  private List<String> attributes = List.of();

  @Option(
      names = {"-g", "--guidance"},
      paramLabel = "SCALE",
      description =
          "Classifier-free guidance towards class and attributes; 1 is none (default: 1).")
  private @Nullable Double guidance;

  /** These as one. */
  SamplerSettings settings() {
    return new SamplerSettings(sampler, any, seed, classes, attributes, guidance);
  }
}
