package io.github.ddpm4j.training;

import ai.djl.training.dataset.RandomAccessDataset;
import java.util.Objects;

/**
 * The loss of held-out images now and then in a training run, and what follows from it. Immutable.
 *
 * <pre>{@code
 * ddpm.training()
 *     .validation(Validation.of(heldOut).every(500).images(256).patience(5).keepBest())…
 * }</pre>
 *
 * <p>It is the loss of the run, with its weighting, of the averaged weights without dropout.
 * Images, noise levels and noise are the same each time, so that two validations differ by the
 * weights alone: images evenly spread over the dataset, levels evenly spread over the distribution
 * that the run draws from at its beginning, noise of the seed. Images have their condition; a
 * self-conditioned network sees no estimate. Nothing that training draws depends on it: weights are
 * the same bits with and without.
 *
 * <p>Results are in {@code TrainedModel.validations()} and in checkpoints, as is what early
 * stopping goes by. The first is that of the weights that the run begins with; later ones go to
 * listeners too, with the step after which they were made.
 *
 * @see io.github.ddpm4j.Training#validation(Validation)
 */
public final class Validation {

  /** The default number of steps between two validations: {@value}. */
  public static final int DEFAULT_EVERY = 500;

  /** The default number of images: {@value}. */
  public static final int DEFAULT_IMAGES = 256;

  private final RandomAccessDataset dataset;
  private final int every;
  private final int images;
  private final long seed;
  private final int patience;
  private final double leastImprovement;
  private final boolean keepsBest;

  private Validation(
      RandomAccessDataset dataset,
      int every,
      int images,
      long seed,
      int patience,
      double leastImprovement,
      boolean keepsBest) {
    this.dataset = dataset;
    this.every = every;
    this.images = images;
    this.seed = seed;
    this.patience = patience;
    this.leastImprovement = leastImprovement;
    this.keepsBest = keepsBest;
  }

  /**
   * A validation.
   *
   * @param step the number of steps that were done
   * @param loss the mean loss of the images
   * @param isBest whether it was less than that of the best one before it, by the least improvement
   */
  public record Result(long step, double loss, boolean isBest) {}

  /**
   * Validates on images that the run is not trained on.
   *
   * @param dataset images and labels as those that are trained on, the same each time they are read
   * @return the settings: every {@value #DEFAULT_EVERY} steps, {@value #DEFAULT_IMAGES} images
   */
  public static Validation of(RandomAccessDataset dataset) {
    Objects.requireNonNull(dataset, "dataset");
    return new Validation(dataset, DEFAULT_EVERY, DEFAULT_IMAGES, 0, 0, 0, false);
  }

  /**
   * How often the run validates.
   *
   * @param steps between two validations, at least 1
   * @return new settings
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public Validation every(int steps) {
    atLeastOne("every", steps);
    return new Validation(dataset, steps, images, seed, patience, leastImprovement, keepsBest);
  }

  /**
   * How many images the loss is the mean of. Beyond the size of the dataset, images are taken
   * several times, at other levels.
   *
   * @param count at least 1
   * @return new settings
   * @throws IllegalArgumentException if {@code count} is less than 1
   */
  public Validation images(int count) {
    atLeastOne("images", count);
    return new Validation(dataset, every, count, seed, patience, leastImprovement, keepsBest);
  }

  /**
   * The seed of the noise and of which image has which level. It is not that of the run, so that
   * runs can be compared.
   *
   * @param number any number; 0 by default
   * @return new settings
   */
  public Validation seed(long number) {
    return new Validation(dataset, every, images, number, patience, leastImprovement, keepsBest);
  }

  /**
   * Ends the run, as {@link TrainingStepListener.Event#stop()} does, when so many validations in a
   * row were not the best so far.
   *
   * @param validations at least 1; without this, no validation ends a run
   * @return new settings
   * @throws IllegalArgumentException if {@code validations} is less than 1
   */
  public Validation patience(int validations) {
    atLeastOne("patience", validations);
    return new Validation(dataset, every, images, seed, validations, leastImprovement, keepsBest);
  }

  /**
   * By how much a loss must be less than the best one to be the best.
   *
   * @param difference at least 0 and finite; 0 by default, so that any less will do
   * @return new settings
   * @throws IllegalArgumentException if {@code difference} is negative or not finite
   */
  public Validation leastImprovement(double difference) {
    if (!(difference >= 0) || Double.isInfinite(difference)) {
      throw new IllegalArgumentException(
          "leastImprovement must be finite and at least 0, but was " + difference);
    }
    return new Validation(dataset, every, images, seed, patience, difference, keepsBest);
  }

  /**
   * Gives back the averaged weights of the best validation, instead of those of the last step, as
   * the result's {@code ddpm()}. It costs the memory of one more copy of the weights. A checkpoint
   * holds both, and is loaded as a model with the averages of its step.
   *
   * @return new settings
   */
  public Validation keepBest() {
    return new Validation(dataset, every, images, seed, patience, leastImprovement, true);
  }

  /**
   * The images.
   *
   * @return the dataset
   */
  public RandomAccessDataset dataset() {
    return dataset;
  }

  /**
   * How often the run validates.
   *
   * @return steps between two validations
   */
  public int every() {
    return every;
  }

  /**
   * How many images the loss is the mean of.
   *
   * @return at least 1
   */
  public int images() {
    return images;
  }

  /**
   * The seed of noise and levels.
   *
   * @return the seed
   */
  public long seed() {
    return seed;
  }

  /**
   * After how many validations that were not the best the run ends.
   *
   * @return 0 for never
   */
  public int patience() {
    return patience;
  }

  /**
   * By how much a loss must be less than the best one to be the best.
   *
   * @return at least 0
   */
  public double leastImprovement() {
    return leastImprovement;
  }

  /**
   * Whether the weights of the best validation are given back.
   *
   * @return false by default
   */
  public boolean keepsBest() {
    return keepsBest;
  }

  private static void atLeastOne(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, but was " + value);
    }
  }

  /** The settings apart from the images, as checkpoints say them. */
  @Override
  public String toString() {
    return "every "
        + every
        + " steps"
        + (patience > 0 ? ", patience " + patience : "")
        + (leastImprovement > 0 ? ", least improvement " + leastImprovement : "")
        + (keepsBest ? ", keeps the best" : "");
  }
}
