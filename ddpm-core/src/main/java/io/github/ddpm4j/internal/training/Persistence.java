package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Checkpoints.Change;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What of a run outlives the process.
 *
 * @param checkpoints where and how often checkpoints are written; null for none
 * @param resume whether to go on from the newest checkpoint there, if there is one
 * @param from the checkpoint to go on from; null for none
 * @param allowed what may be set otherwise than in the run that is resumed
 * @param snapshots where and how often averages of power functions are stored; null for none
 */
public record Persistence(
    @Nullable Checkpoints checkpoints,
    boolean resume,
    @Nullable Path from,
    List<Change> allowed,
    @Nullable Checkpoints snapshots) {

  /** No checkpoints. */
  public static final Persistence NONE = new Persistence(null, false, null, List.of(), null);

  /**
   * Whether a run is to go on.
   *
   * @return true if there may be a checkpoint to go on from
   */
  public boolean isResuming() {
    return resume || from != null;
  }

  /**
   * Writes checkpoints.
   *
   * @param settings where and how often
   * @return the same otherwise
   */
  public Persistence with(Checkpoints settings) {
    return new Persistence(settings, resume, from, allowed, snapshots);
  }

  /**
   * Stores averages of power functions.
   *
   * @param settings where and how often
   * @return the same otherwise
   */
  public Persistence withSnapshots(Checkpoints settings) {
    return new Persistence(checkpoints, resume, from, allowed, settings);
  }

  /**
   * Goes on from a checkpoint.
   *
   * @param file the checkpoint; null for the newest one
   * @param changes what may be set otherwise
   * @return the same otherwise
   */
  public Persistence resuming(@Nullable Path file, List<Change> changes) {
    return new Persistence(checkpoints, file == null, file, List.copyOf(changes), snapshots);
  }
}
