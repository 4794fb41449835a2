package io.github.ddpm4j;

import ai.djl.Device;
import io.github.ddpm4j.internal.checkpoint.AverageSnapshots;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Checkpoints.OnFailure;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;

/**
 * Averages of the weights whose length is chosen after training (Karras et al. 2024, "Analyzing and
 * improving the training dynamics of diffusion models", section 3 and appendix C).
 *
 * <p>While a run goes on, it keeps two averages by power functions, of the widths σ_rel 0.05 and
 * 0.10, and stores both now and then. Afterwards, the average of any other width is put together
 * from what was stored, by least squares over the profiles, in double. One run then does for
 * finding the best length, by sampling from a few:
 *
 * <pre>{@code
 * PostHocEma averages = PostHocEma.in(Path.of("averages")).everySteps(2_000);
 * ddpm.training().steps(200_000).postHocEma(averages).fit(dataset).close();
 * for (double width : new double[] {0.05, 0.075, 0.1, 0.15}) {
 *   try (DDPM model = averages.at(width)) { … }
 * }
 * }</pre>
 *
 * <p>A snapshot is a safetensors file of twice the weights in float32, written as {@link
 * Checkpoints} are, by a thread of its own; none is deleted. The averages cost two copies of the
 * weights in memory and are part of the run's checkpoints, so that a run that was killed goes on
 * with them. The average of {@link Training#ema(io.github.ddpm4j.training.Ema)} is kept beside
 * them.
 *
 * <p>Widths between about 0.04 and 0.2 come out within a percent of the profile with 32 snapshots;
 * those further away need more. {@link #at} refuses what would be further than a tenth from it, and
 * the provenance of a model that it returns has the distance as {@code errorOfEma}.
 *
 * <p>Uses ojAlgo: on the module path, an application adds {@code requires ojalgo;}.
 *
 * <p>Immutable.
 */
public final class PostHocEma {

  /** The default number of steps between two snapshots, as in the authors' runs: {@value}. */
  public static final long DEFAULT_STEPS = 4096;

  private final Path folder;
  private final long everySteps;

  private PostHocEma(Path folder, long everySteps) {
    this.folder = folder;
    this.everySteps = everySteps;
  }

  /**
   * Snapshots every {@value #DEFAULT_STEPS} steps and at the end.
   *
   * @param folder the folder of the snapshots of one run; made when the run begins
   * @return the settings
   */
  public static PostHocEma in(Path folder) {
    return new PostHocEma(Objects.requireNonNull(folder, "folder"), DEFAULT_STEPS);
  }

  /**
   * Stores a snapshot every n steps and at the end.
   *
   * @param steps at least 1; a 32nd of the run or less
   * @return new settings
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public PostHocEma everySteps(long steps) {
    if (steps < 1) {
      throw new IllegalArgumentException("everySteps must be at least 1, but was " + steps);
    }
    return new PostHocEma(folder, steps);
  }

  /** A snapshot is never deleted, and one that cannot be written is missed by none. */
  Checkpoints snapshots() {
    return new Checkpoints(
        folder, everySteps, Duration.ZERO, Integer.MAX_VALUE, everySteps, OnFailure.CONTINUE);
  }

  /**
   * The model with an average over all steps up to the newest snapshot, on the engine's default
   * device; see {@link #at(double, Device)}.
   *
   * @param width σ_rel in (0, 0.2886]
   * @return the model; the caller closes it
   * @throws IllegalArgumentException as {@link #at(double, Device)}
   * @throws IOException as {@link #at(double, Device)}
   */
  public DDPM at(double width) throws IOException {
    return at(width, Machine.device(null));
  }

  /**
   * The model with an average over all steps up to the newest snapshot. May be called while the run
   * goes on.
   *
   * @param width σ_rel, the standard deviation of the average's profile as a share of the run, in
   *     (0, 0.2886]; with 0.1, half of it are the last 8 % of the steps
   * @param device where to put the weights
   * @return the model; the caller closes it
   * @throws IllegalArgumentException if the width is out of range, further than a tenth of its
   *     profile from what the snapshots can give, or the device is a GPU that the engine does not
   *     see
   * @throws java.nio.file.NoSuchFileException if the folder has no snapshots
   * @throws IOException if reading fails, or a file is damaged or of another run
   */
  public DDPM at(double width, Device device) throws IOException {
    Machine.device(Objects.requireNonNull(device, "device"));
    return DDPM.owning(AverageSnapshots.read(folder, width, device), folder);
  }

  @Override
  public String toString() {
    return "PostHocEma[" + folder + ", everySteps=" + everySteps + "]";
  }
}
