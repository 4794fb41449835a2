package io.github.ddpm4j.model;

import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * The description of a diffusion model apart from its network: everything that training, sampling
 * and a model file must agree on, and what a file says of it for people.
 *
 * @param schedule the noise schedule
 * @param prediction the network's prediction type
 * @param variance the variance of the reverse process
 * @param dataRange the range of clean images
 * @param classNames the names of the classes, that of label 0 first; empty if they have none
 * @param metadata what people say of the model, in an order of their own
 */
public record Diffusion(
    Schedule schedule,
    Prediction prediction,
    Variance variance,
    DataRange dataRange,
    List<String> classNames,
    Map<String, String> metadata) {

  /** Beyond such a factor float32 has no number for the x̂_0 of what a network may say. */
  private static final double GREATEST_FACTOR = 1e30;

  /**
   * Creates a description and checks that its parts are compatible.
   *
   * @param schedule the noise schedule
   * @param prediction the network's prediction type
   * @param variance the variance of the reverse process
   * @param dataRange the range of clean images
   * @param classNames the names of the classes
   * @param metadata what people say of the model
   * @throws IllegalArgumentException if the schedule ends with zero signal and the network predicts
   *     the noise, the posterior mean or F_θ of EDM, which do not determine x_0 there; if x̂_0
   *     divides by so small a signal that float32 cannot hold it; or if a name or a word is no text
   *     that a file can hold, or a name is blank or there twice, or all take more than 1 MiB
   */
  public Diffusion {
    Objects.requireNonNull(variance, "variance");
    Objects.requireNonNull(dataRange, "dataRange");
    classNames = List.copyOf(Objects.requireNonNull(classNames, "classNames"));
    Objects.requireNonNull(metadata, "metadata");
    metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    Words.requireNames(classNames);
    Words.requireTexts(metadata);
    Words.requireShort(classNames, metadata);
    int last = schedule.timesteps() - 1;
    if (schedule.alphaBar(last) == 0 && prediction.needsSignal()) {
      throw new IllegalArgumentException(
          "prediction "
              + prediction
              + " cannot be used with a schedule of zero terminal SNR: at timestep "
              + last
              + " no signal is left, so x_0 cannot be told from it; use Prediction.VELOCITY,"
              + " Prediction.FLOW or Prediction.X0");
    }
    for (int t = last; t >= 0; t--) {
      LinearForm x0 = prediction.x0(schedule, Level.of(schedule, t));
      double factor = Math.max(Math.abs(x0.first()), Math.abs(x0.second()));
      if (!(factor <= GREATEST_FACTOR)) {
        throw new IllegalArgumentException(
            "prediction "
                + prediction
                + " divides by the signal, but at timestep "
                + t
                + " that is "
                + schedule.signal(t)
                + ", so that the factors of x̂_0 reach "
                + factor
                + ", where float32 holds no images beyond 1.0E30; use smaller betas, fewer"
                + " timesteps, Prediction.VELOCITY or Prediction.X0");
      }
    }
  }

  /**
   * Creates a description that says nothing for people.
   *
   * @param schedule the noise schedule
   * @param prediction the network's prediction type
   * @param variance the variance of the reverse process
   * @param dataRange the range of clean images
   * @throws IllegalArgumentException as for all parts
   */
  public Diffusion(
      Schedule schedule, Prediction prediction, Variance variance, DataRange dataRange) {
    this(schedule, prediction, variance, dataRange, List.of(), Map.of());
  }

  /**
   * The same with other words for people.
   *
   * @param names the names of the classes
   * @param words what people say of the model
   * @return a description
   * @throws IllegalArgumentException if a name or a word is no text that a file can hold, a name is
   *     blank or there twice, or all take more than 1 MiB
   */
  public Diffusion with(List<String> names, Map<String, String> words) {
    Objects.requireNonNull(names, "names");
    Objects.requireNonNull(words, "words");
    return new Diffusion(schedule, prediction, variance, dataRange, names, words);
  }

  /**
   * What the entries of condition vectors mean, where the metadata say it.
   *
   * @return the attributes; empty if the metadata have none
   */
  public Optional<Attributes> attributes() {
    return Attributes.in(metadata);
  }

  /** What changes numbers; the words for people are left out. */
  @Override
  public String toString() {
    return "Diffusion[schedule="
        + schedule
        + ", prediction="
        + prediction
        + ", variance="
        + variance
        + ", dataRange="
        + dataRange
        + "]";
  }
}
