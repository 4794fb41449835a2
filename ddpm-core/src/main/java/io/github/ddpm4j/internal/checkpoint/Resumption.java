package io.github.ddpm4j.internal.checkpoint;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder.Entry;
import io.github.ddpm4j.training.Checkpoints.Change;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The checkpoint that a run goes on from.
 *
 * @param entry the checkpoint, which was found whole
 * @param description what it says about the run
 * @param allowed what may be set otherwise
 */
public record Resumption(Entry entry, Map<String, Object> description, Set<Change> allowed) {

  /**
   * Finds the newest whole checkpoint of a folder.
   *
   * @param folder the folder
   * @param allowed what may be set otherwise
   * @return empty if there is none
   * @throws UncheckedIOException if it cannot be read
   */
  public static Optional<Resumption> newest(Path folder, List<Change> allowed) {
    try {
      Optional<Entry> newest = new CheckpointFolder(folder).newestWhole();
      return newest.isPresent() ? Optional.of(of(newest.get(), allowed)) : Optional.empty();
    } catch (IOException e) {
      throw unreadable(folder, e);
    }
  }

  /**
   * A checkpoint that was chosen.
   *
   * @param file its file
   * @param allowed what may be set otherwise
   * @return the checkpoint
   * @throws IllegalArgumentException if the file has not the name of a checkpoint
   * @throws UncheckedIOException if it is damaged, or cannot be read
   */
  public static Resumption from(Path file, List<Change> allowed) {
    Entry entry =
        Entry.of(file)
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "a checkpoint is named step-….safetensors, but the file was "
                            + file
                            + (Files.isDirectory(file)
                                ? "; for the newest one of a folder call checkpoints(…).resume()"
                                : "")));
    try {
      entry.requireWhole();
      return of(entry, allowed);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  private static Resumption of(Entry entry, List<Change> allowed) throws IOException {
    Set<Change> changes = EnumSet.noneOf(Change.class);
    changes.addAll(allowed);
    return new Resumption(entry, CheckpointFile.description(entry.file()), changes);
  }

  /**
   * Reads the state.
   *
   * @param manager owns its arrays
   * @return all that the checkpoint holds
   * @throws UncheckedIOException if it cannot be read
   */
  public CheckpointFile.Contents read(NDManager manager) {
    try {
      return CheckpointFile.read(entry.file(), manager);
    } catch (IOException e) {
      throw unreadable(entry.file(), e);
    }
  }

  private static UncheckedIOException unreadable(Path path, IOException e) {
    return new UncheckedIOException(
        "the run cannot be resumed from " + path + ": " + e.getMessage(), e);
  }
}
