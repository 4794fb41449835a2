package io.github.ddpm4j.cli;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.schedule.Schedule;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What files of other libraries don't say of themselves. */
final class FileOptions {

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

  @Option(names = "--prefix", paramLabel = "NAME", description = "Which of a file's networks.")
  private @Nullable String prefix;

  @Option(names = "--raw", description = "Its weights as trained, and not their average.")
  private boolean raw;

  @Option(
      names = "--schedule",
      paramLabel = "NAME:N",
      converter = ScheduleName.class,
      description =
          "Its noise schedule, likewise: linear, scaled-linear or cosine, such as linear:1000.")
  private @Nullable Schedule schedule;

  @Option(
      names = "--prediction",
      paramLabel = "NAME",
      description = "What it predicts, likewise: epsilon, x0 or velocity.")
  private @Nullable Target prediction;

  /** What networks predict. */
  private enum Target {
    EPSILON,
    X0,
    VELOCITY
  }

  /** Checks what can be told without the file. */
  void check() {
    if (heads != null) {
      Cli.atLeast("--heads", 1, heads);
    }
    if (headChannels != null) {
      Cli.atLeast("--head-channels", 1, headChannels);
      if (heads != null) {
        throw new IllegalArgumentException("--heads takes the place of --head-channels; leave one");
      }
    }
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
    if (schedule != null) {
      options.schedule(schedule);
    }
    if (prediction != null) {
      options.prediction(
          switch (prediction) {
            case EPSILON -> Prediction.EPSILON;
            case X0 -> Prediction.X0;
            case VELOCITY -> Prediction.VELOCITY;
          });
    }
    return prefix == null ? options : options.prefix(prefix);
  }
}
