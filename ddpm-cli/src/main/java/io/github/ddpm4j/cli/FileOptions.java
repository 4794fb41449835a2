package io.github.ddpm4j.cli;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.schedule.Schedule;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What files of other libraries don't say of themselves. */
final class FileOptions {

  private static final String PREDICTION = "--prediction";

  @Option(
      names = "--image",
      paramLabel = "CxHxW",
      converter = ImageSize.class,
      description = "The size of its images, for a file of another library that doesn't say it.")
  private @Nullable Shape image;

  @Option(
      names = "--heads",
      paramLabel = "N",
      description = "The heads of its attention, likewise.")
  private @Nullable Integer heads;

  @Option(
      names = "--head-channels",
      paramLabel = "N",
      description = "The channels of a head, likewise.")
  private @Nullable Integer headChannels;

  @Option(
      names = "--groups",
      paramLabel = "N",
      description = "The groups of its normalisation, if they are not the library's default.")
  private @Nullable Integer groups;

  @Option(
      names = "--new-attention-order",
      description = "For guided-diffusion, if use_new_attention_order was set.")
  private boolean newAttentionOrder;

  @Option(
      names = "--rescaled-timesteps",
      paramLabel = "BOOLEAN",
      arity = "1",
      description = "For guided- and improved-diffusion, what rescale_timesteps was.")
  private @Nullable Boolean rescaledTimesteps;

  @Option(names = "--prefix", paramLabel = "NAME", description = "Which of a file's networks.")
  private @Nullable String prefix;

  @Option(names = "--raw", description = "Its weights as trained, and not their average.")
  private boolean raw;

  @Option(
      names = "--schedule",
      paramLabel = "NAME:N",
      converter = ScheduleName.Converter.class,
      description =
          "Its noise schedule, likewise: linear, scaled-linear, cosine or flow, such as"
              + " linear:1000.")
  private @Nullable Schedule schedule;

  @Option(
      names = PREDICTION,
      paramLabel = "NAME",
      description = "What it predicts, likewise: epsilon, x0, velocity or flow.")
  private @Nullable Target prediction;

  /** What networks predict. */
  enum Target {
    EPSILON,
    X0,
    VELOCITY,
    FLOW;

    Prediction known() {
      return switch (this) {
        case EPSILON -> Prediction.EPSILON;
        case X0 -> Prediction.X0;
        case VELOCITY -> Prediction.VELOCITY;
        case FLOW -> Prediction.FLOW;
      };
    }
  }

  /**
   * Checks what can be told without the file.
   *
   * @param name the model
   * @throws IllegalArgumentException if an option makes no sense, for a model that says all of
   *     itself too
   */
  void check(String name) {
    if (LoadedModel.saysAll(name)) {
      given()
          .findFirst()
          .ifPresent(
              option -> {
                throw new IllegalArgumentException(
                    option
                        + " is for files of other libraries, and "
                        + name
                        + " says all of itself; leave it out");
              });
    }
    if (heads != null) {
      Cli.atLeast("--heads", 1, heads);
    }
    if (groups != null) {
      Cli.atLeast("--groups", 1, groups);
    }
    if (headChannels != null) {
      Cli.atLeast("--head-channels", 1, headChannels);
      if (heads != null) {
        throw new IllegalArgumentException("--heads takes the place of --head-channels; leave one");
      }
    }
  }

  /** The options that are given. */
  private Stream<String> given() {
    Map<String, Boolean> all = new LinkedHashMap<>();
    all.put("--image", image != null);
    all.put("--heads", heads != null);
    all.put("--head-channels", headChannels != null);
    all.put("--groups", groups != null);
    all.put("--new-attention-order", newAttentionOrder);
    all.put("--rescaled-timesteps", rescaledTimesteps != null);
    all.put("--prefix", prefix != null);
    all.put("--raw", raw);
    all.put("--schedule", schedule != null);
    all.put(PREDICTION, prediction != null);
    return all.entrySet().stream().filter(Map.Entry::getValue).map(Map.Entry::getKey);
  }

  /**
   * What is said of a model of several networks.
   *
   * @throws IllegalArgumentException if that is more than such a model leaves open
   */
  TextToImage.Options ofPipeline(LatentPipeline pipeline) {
    given()
        .filter(option -> !option.equals(PREDICTION))
        .findFirst()
        .ifPresent(
            option -> {
              throw new IllegalArgumentException(
                  option
                      + " is for files of a single network, and "
                      + pipeline.path()
                      + " has several; leave it out");
            });
    TextToImage.Options options = TextToImage.options();
    if (prediction != null) {
      pipeline.requireText(PREDICTION);
      options.prediction(prediction.known());
    }
    return options;
  }

  Pretrained.Options options() {
    Pretrained.Options options = Pretrained.options().raw(raw);
    if (image != null) {
      options.image(
          Math.toIntExact(image.get(0)),
          Math.toIntExact(image.get(1)),
          Math.toIntExact(image.get(2)));
    }
    if (heads != null) {
      options.heads(heads);
    }
    if (headChannels != null) {
      options.headChannels(headChannels);
    }
    if (groups != null) {
      options.groups(groups);
    }
    if (newAttentionOrder) {
      options.newAttentionOrder(true);
    }
    if (rescaledTimesteps != null) {
      options.rescaledTimesteps(rescaledTimesteps);
    }
    if (schedule != null) {
      options.schedule(schedule);
    }
    if (prediction != null) {
      options.prediction(prediction.known());
    }
    return prefix == null ? options : options.prefix(prefix);
  }
}
