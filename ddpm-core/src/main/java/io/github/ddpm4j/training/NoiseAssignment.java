package io.github.ddpm4j.training;

/**
 * Which noise of a batch goes to which of its images. By default each image has the noise that was
 * drawn for it. The assignment of least cost takes the same draws in another order, so that images
 * and noise are near each other and the paths between them cross less: minibatch optimal transport
 * (Tong et al. 2024, "Improving and generalizing flow-based generative models with minibatch
 * optimal transport", section 3.3), also known as immiscible diffusion (Li et al. 2024, algorithm
 * 1).
 *
 * <pre>
 *   x_i ↔ ε_π(i),    π = argmin Σ_i ‖x_i − ε_π(i)‖²
 * </pre>
 *
 * <p>The minimum is exact, in {@code double}, and a function of the images and draws alone: the
 * same in compiled, eager and resumed runs. A batch is that of a forward pass, so {@code
 * accumulation} does not widen it. Noise includes what {@code offsetNoise} adds. The cost of n
 * images of d values is n² d multiplications and some n³ operations, on one core, beside the step;
 * {@link #inGroups} bounds it.
 *
 * <p>Noise that depends on the image is no longer that of the noising process. What the network
 * learns is the average of x_0 and ε at x_t under this pairing, along which deterministic samplers
 * carry noise to data as before. It is not the score of noised data: samplers that add noise,
 * guidance by gradients and bits per dimension assume that it is. And it would tell a conditional
 * network about its condition, since near noise is another for each: there, classes are kept apart
 * by {@link #byClass}, and other conditions are refused.
 *
 * <p>Immutable.
 *
 * @see io.github.ddpm4j.Training#noiseAssignment(NoiseAssignment)
 */
public final class NoiseAssignment {

  private static final NoiseAssignment INDEPENDENT = new NoiseAssignment(1, false);
  private static final NoiseAssignment OPTIMAL = new NoiseAssignment(Integer.MAX_VALUE, false);

  private final int groupSize;
  private final boolean byClass;

  private NoiseAssignment(int groupSize, boolean byClass) {
    this.groupSize = groupSize;
    this.byClass = byClass;
  }

  /**
   * Each image has the noise that was drawn for it, as in Ho et al. 2020, algorithm 1.
   *
   * @return the default
   */
  public static NoiseAssignment independent() {
    return INDEPENDENT;
  }

  /**
   * The assignment of least cost over the whole batch.
   *
   * @return the setting
   */
  public static NoiseAssignment optimal() {
    return OPTIMAL;
  }

  /**
   * Assigns within groups of consecutive images, as if they were batches of their own: cheaper for
   * large batches, with less effect.
   *
   * @param images the greatest number of images of a group, at least 2
   * @return a setting with this limit
   * @throws IllegalArgumentException if {@code images} is less than 2
   * @throws IllegalStateException if nothing is assigned
   */
  public NoiseAssignment inGroups(int images) {
    if (images < 2) {
      throw new IllegalArgumentException("groups must have at least 2 images, but had " + images);
    }
    requireAssigning("inGroups");
    return new NoiseAssignment(images, byClass);
  }

  /**
   * Assigns within the images of each class, so that noise tells nothing of the class. Needs a
   * network that is conditioned on classes alone; images without a class are a class of their own.
   *
   * @return a setting that keeps classes apart
   * @throws IllegalStateException if nothing is assigned
   */
  public NoiseAssignment byClass() {
    requireAssigning("byClass");
    return new NoiseAssignment(groupSize, true);
  }

  private void requireAssigning(String setting) {
    if (isIndependent()) {
      throw new IllegalStateException(
          setting + " has no meaning for independent noise; use NoiseAssignment.optimal()");
    }
  }

  /**
   * Whether each image keeps the noise that was drawn for it.
   *
   * @return true for {@link #independent()}
   */
  public boolean isIndependent() {
    return groupSize == 1;
  }

  /**
   * The greatest number of images that share their noise.
   *
   * @return the number, {@link Integer#MAX_VALUE} for the whole batch, 1 for {@link #independent()}
   */
  public int groupSize() {
    return groupSize;
  }

  /**
   * Whether classes are kept apart.
   *
   * @return true after {@link #byClass()}
   */
  public boolean isByClass() {
    return byClass;
  }

  @Override
  public String toString() {
    if (isIndependent()) {
      return "independent";
    }
    return "optimal"
        + (groupSize == Integer.MAX_VALUE ? "" : " in groups of " + groupSize)
        + (byClass ? " by class" : "");
  }
}
