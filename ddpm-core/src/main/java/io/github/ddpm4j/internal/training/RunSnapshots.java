package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.checkpoint.AverageSnapshots;
import io.github.ddpm4j.internal.checkpoint.CheckpointFile;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder.Entry;
import io.github.ddpm4j.internal.checkpoint.CheckpointWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The snapshots of averages that one run writes, if it does. */
final class RunSnapshots implements AutoCloseable {

  private final Persistence persistence;
  private final @Nullable CheckpointWriter writer;

  private RunSnapshots(Persistence persistence, @Nullable CheckpointWriter writer) {
    this.persistence = persistence;
    this.writer = writer;
  }

  /**
   * Claims the folder.
   *
   * @throws IllegalStateException if another run writes there
   * @throws UncheckedIOException if the folder cannot be used
   */
  static RunSnapshots of(Persistence persistence) {
    return new RunSnapshots(
        persistence,
        persistence.snapshots() == null
            ? null
            : CheckpointWriter.claim(persistence.snapshots(), "snapshot"));
  }

  boolean isUsed() {
    return writer != null;
  }

  /**
   * Takes note of where the run begins. Snapshots of later steps are those of a run that was
   * killed: if it was the same run, they are deleted, since they will be written again.
   *
   * @param run what the run is, the same text in all of its snapshots
   * @param step the number of steps that are done
   * @throws IllegalArgumentException if there are snapshots of another run, or of later steps that
   *     {@code resume()} did not ask to write again; nothing is deleted then
   */
  void beginAt(String run, long step) {
    if (writer == null) {
      return;
    }
    try {
      List<Entry> entries = writer.folder().entries();
      for (Entry entry : entries) {
        boolean later = entry.step() > step;
        String other = AverageSnapshots.run(entry.file());
        if (!other.equals(run) || (later && !persistence.resume())) {
          throw new IllegalArgumentException(
              "there is a snapshot of step "
                  + entry.step()
                  + " of another run ("
                  + other
                  + "), and this one ("
                  + run
                  + ") begins at step "
                  + step
                  + ": "
                  + entry.file()
                  + "; choose another folder for postHocEma(…), or call resume() to go on with the"
                  + " run that wrote it");
        }
      }
      writer.folder().deleteAfter(step);
      writer.beginAt(step);
      entries.stream().filter(entry -> entry.step() == step).findFirst().ifPresent(writer::beginAt);
    } catch (IOException e) {
      throw new UncheckedIOException("snapshots cannot be read: " + e.getMessage(), e);
    }
  }

  /** Writes a snapshot if one is due. */
  void afterStep(long step, Function<NDManager, CheckpointFile.Contents> copy) {
    if (writer != null && writer.isDue(step)) {
      writer.write(step, copy);
    }
  }

  /** Writes the last snapshot. */
  void atEnd(long step, Function<NDManager, CheckpointFile.Contents> copy) {
    if (writer != null && step > 0) {
      writer.finish(step, copy);
    }
  }

  /**
   * Waits for the snapshot that is being written: a checkpoint has all snapshots before it on the
   * disk, so that a run that goes on from it lacks none.
   */
  void settle() {
    if (writer != null) {
      writer.join();
    }
  }

  @Override
  public void close() {
    if (writer != null) {
      writer.close();
    }
  }
}
