package io.github.ddpm4j.internal.training;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.checkpoint.CheckpointFile;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder.Entry;
import io.github.ddpm4j.internal.checkpoint.CheckpointModel;
import io.github.ddpm4j.internal.checkpoint.CheckpointWriter;
import io.github.ddpm4j.internal.checkpoint.Resumption;
import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.training.Checkpoints.Change;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The checkpoints of one run: the one that it goes on from, and those that it writes. */
final class RunCheckpoints implements AutoCloseable {

  private static final Logger logger = LoggerFactory.getLogger(RunCheckpoints.class);

  private final @Nullable CheckpointWriter writer;
  private final @Nullable Resumption resumption;

  private RunCheckpoints(@Nullable CheckpointWriter writer, @Nullable Resumption resumption) {
    this.writer = writer;
    this.resumption = resumption;
  }

  /**
   * Claims the folder, and finds what to go on from.
   *
   * @throws IllegalStateException if another run writes there
   * @throws IllegalArgumentException if there are checkpoints of another run
   * @throws UncheckedIOException if the folder cannot be used
   */
  static RunCheckpoints of(Persistence persistence) {
    CheckpointWriter writer =
        persistence.checkpoints() == null
            ? null
            : CheckpointWriter.claim(persistence.checkpoints(), "checkpoint");
    boolean done = false;
    try {
      Resumption resumption = resumption(persistence);
      if (writer != null) {
        if (!persistence.resume()) {
          requireNoNewer(writer.folder(), resumption == null ? -1 : resumption.entry().step());
        }
        if (resumption != null) {
          writer.beginAt(resumption.entry());
        }
      }
      done = true;
      return new RunCheckpoints(writer, resumption);
    } finally {
      if (!done && writer != null) {
        writer.close();
      }
    }
  }

  private static @Nullable Resumption resumption(Persistence persistence) {
    List<Change> allowed = persistence.allowed();
    if (persistence.from() != null) {
      return Resumption.from(persistence.from(), allowed);
    }
    if (persistence.resume() && persistence.checkpoints() != null) {
      return Resumption.newest(persistence.checkpoints().folder(), allowed).orElse(null);
    }
    return null;
  }

  private static void requireNoNewer(CheckpointFolder folder, long step) {
    try {
      List<Entry> entries = folder.entries();
      if (!entries.isEmpty() && entries.get(0).step() > step) {
        throw new IllegalArgumentException(
            "the newest checkpoint of "
                + entries.get(0).file().getParent()
                + " is that of step "
                + entries.get(0).step()
                + ", and the run would begin "
                + (step < 0 ? "anew" : "at step " + step)
                + "; call resume() to go on from it, or choose another folder for checkpoints(…)");
      }
    } catch (IOException e) {
      throw new UncheckedIOException("checkpoints cannot be read: " + e.getMessage(), e);
    }
  }

  /**
   * The seed of the run that is resumed.
   *
   * @return empty if none is
   * @throws UncheckedIOException if the checkpoint cannot be read
   */
  static Optional<Long> seed(Persistence persistence) {
    if (persistence.from() != null) {
      return Optional.of(
          RunIdentity.seed(Resumption.from(persistence.from(), List.of()).description()));
    }
    if (!persistence.resume() || persistence.checkpoints() == null) {
      return Optional.empty();
    }
    try {
      for (Entry entry : new CheckpointFolder(persistence.checkpoints().folder()).entries()) {
        try {
          return Optional.of(RunIdentity.seed(CheckpointFile.description(entry.file())));
        } catch (IOException | IllegalArgumentException e) {
          logger.debug("{} has no seed that can be read", entry.file(), e);
        }
      }
      return Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException("checkpoints cannot be read: " + e.getMessage(), e);
    }
  }

  /** Whether the run writes checkpoints, or goes on from one. */
  boolean isUsed() {
    return writer != null || resumption != null;
  }

  /** The batches that were read before the run begins. */
  long batchesBefore() {
    return resumption == null
        ? 0
        : ((Number)
                Description.of("the checkpoint", resumption.description()).value(RunState.BATCHES))
            .longValue();
  }

  /**
   * Goes on from the checkpoint, if there is one. Nothing is changed if it is refused.
   *
   * @param rates checks the learning rates of the steps that are done
   * @throws IllegalArgumentException if it is that of another run
   */
  void restore(RunIdentity identity, Consumer<double[]> rates, RunState state) {
    if (resumption == null) {
      return;
    }
    identity.requireSame(resumption.description(), resumption.allowed());
    try (NDManager manager = Machine.newManager(Device.cpu())) {
      CheckpointFile.Contents contents = resumption.read(manager);
      rates.accept(RunState.rates(contents));
      state.restore(contents);
    }
    logger.info(
        "training goes on after step {} of {}",
        resumption.entry().step(),
        resumption.entry().file());
  }

  /** Whether the rates of steps that are done must be what the tracker gives for them. */
  boolean requiresSameRates() {
    return resumption != null && !resumption.allowed().contains(Change.LEARNING_RATE);
  }

  /** Writes a checkpoint if one is due. */
  void afterStep(long step, Function<NDManager, CheckpointFile.Contents> copy) {
    if (writer != null && writer.isDue(step)) {
      writer.write(step, copy);
    }
  }

  /** Writes the last checkpoint. */
  void atEnd(long step, Function<NDManager, CheckpointFile.Contents> copy) {
    if (writer != null && step > 0) {
      writer.finish(step, copy);
    }
  }

  /** A description with what has been trained so far, for the model of the checkpoint. */
  static Map<String, Object> with(Map<String, Object> description, Map<String, Object> training) {
    Map<String, Object> whole = new LinkedHashMap<>(description);
    Map<String, Object> model =
        new LinkedHashMap<>(Description.of("the run", description).object(CheckpointModel.MODEL));
    model.put("training", training);
    whole.put(CheckpointModel.MODEL, model);
    return whole;
  }

  @Override
  public void close() {
    if (writer != null) {
      writer.close();
    }
  }
}
