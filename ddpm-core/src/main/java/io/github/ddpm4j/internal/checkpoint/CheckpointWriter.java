package io.github.ddpm4j.internal.checkpoint;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder.Entry;
import io.github.ddpm4j.internal.files.FolderClaim;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.internal.torch.Shutdown;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Checkpoints.OnFailure;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes the checkpoints of a run when they are due: a copy on the thread of the run, the file on
 * another. Used by the thread of the run.
 */
public final class CheckpointWriter implements AutoCloseable {

  private static final Logger logger = LoggerFactory.getLogger(CheckpointWriter.class);

  private final Checkpoints settings;
  private final String what;
  private final CheckpointFolder folder;
  private final FolderClaim claim;

  /** The step of the newest checkpoint that was begun, and when. */
  private long lastStep;

  /** Whether the checkpoint of that step is in another folder. */
  private boolean elsewhere;

  private long lastNanos = System.nanoTime();
  private @Nullable Thread writing;
  private volatile @Nullable IOException failure;

  private CheckpointWriter(
      Checkpoints settings, String what, CheckpointFolder folder, FolderClaim claim) {
    this.settings = settings;
    this.what = what;
    this.folder = folder;
    this.claim = claim;
  }

  /**
   * Claims the folder of the checkpoints for a run.
   *
   * @param settings where to and how often
   * @param what the word for what is written, as messages have it
   * @return the writer
   * @throws IllegalStateException if another run writes there
   * @throws UncheckedIOException if it cannot be written to
   */
  public static CheckpointWriter claim(Checkpoints settings, String what) {
    CheckpointFolder folder = new CheckpointFolder(settings.folder());
    try {
      return new CheckpointWriter(settings, what, folder, folder.claim());
    } catch (IOException e) {
      throw new UncheckedIOException(
          what + "s cannot be written to " + settings.folder() + ": " + WholeFile.reason(e), e);
    }
  }

  /**
   * The folder.
   *
   * @return its checkpoints
   */
  public CheckpointFolder folder() {
    return folder;
  }

  /**
   * Takes note of the checkpoint that the run goes on from.
   *
   * @param entry the checkpoint
   */
  public void beginAt(Entry entry) {
    lastStep = entry.step();
    elsewhere =
        !settings
            .folder()
            .toAbsolutePath()
            .normalize()
            .equals(entry.file().toAbsolutePath().normalize().getParent());
  }

  /**
   * Takes note of the step that the run goes on from, if no checkpoint of it is in the folder.
   *
   * @param step the number of steps that are done
   */
  public void beginAt(long step) {
    lastStep = step;
    elsewhere = step > 0;
  }

  /**
   * Whether a checkpoint is to be written now. While one is being written none is due.
   *
   * @param step the number of steps that are done
   * @return whether to call {@link #write}
   * @throws UncheckedIOException if an earlier one could not be written and the run is to end then
   */
  public boolean isDue(long step) {
    boolean forGood = isForGood(step);
    if (isWriting()) {
      if (!forGood) {
        return false;
      }
      join();
    }
    requireGoingOn();
    if (step == lastStep) {
      return false;
    }
    boolean bySteps =
        settings.everySteps() > 0
            && step / settings.everySteps() > lastStep / settings.everySteps();
    boolean byTime =
        !settings.every().isZero()
            && Duration.ofNanos(System.nanoTime() - lastNanos).compareTo(settings.every()) >= 0;
    return forGood || bySteps || byTime;
  }

  private boolean isForGood(long step) {
    return settings.keepEvery() > 0 && step % settings.keepEvery() == 0;
  }

  private boolean isWriting() {
    Thread thread = writing;
    return thread != null && thread.isAlive();
  }

  private void requireGoingOn() {
    IOException failed = failure;
    if (failed != null && settings.onFailure() == OnFailure.STOP) {
      throw new UncheckedIOException(
          "the " + what + " of step " + lastStep + " was not written: " + failed.getMessage(),
          failed);
    }
  }

  /**
   * Copies the state of the run and begins to write it.
   *
   * @param step the number of steps that are done
   * @param copy copies the state into arrays of the manager
   */
  public void write(long step, Function<NDManager, CheckpointFile.Contents> copy) {
    join();
    begin(step);
    NDManager own = Machine.newManager(Device.cpu());
    boolean begun = false;
    try {
      CheckpointFile.Contents contents = copy.apply(own);
      Thread thread = new Thread(() -> writeBeside(step, contents, own), "ddpm4j-checkpoint");
      thread.start();
      writing = thread;
      begun = true;
    } finally {
      if (!begun) {
        own.close();
      }
    }
  }

  private void begin(long step) {
    lastStep = step;
    elsewhere = false;
    lastNanos = System.nanoTime();
    failure = null;
  }

  /** The end of the process waits for it. */
  private void writeBeside(long step, CheckpointFile.Contents contents, NDManager own) {
    boolean entered = Shutdown.enter();
    try {
      writeAndClose(step, contents, own);
    } finally {
      if (entered) {
        Shutdown.leave();
      }
    }
  }

  private void writeAndClose(long step, CheckpointFile.Contents contents, NDManager own) {
    try (own) {
      Entry written =
          folder.write(
              step,
              out -> CheckpointFile.write(out, contents),
              settings.keepLast(),
              this::isForGood);
      logger.debug("wrote {}", written.file());
    } catch (IOException | RuntimeException | Error e) {
      failure = e instanceof IOException io ? io : new IOException(e);
      logger.warn(
          "the {} of step {} could not be written, and the newest one is that of step {}: {}",
          what,
          step,
          newest(),
          e.getMessage());
      logger.debug("the {} could not be written", what, e);
    }
  }

  private Object newest() {
    try {
      List<Entry> entries = folder.entries();
      return entries.isEmpty() ? "none" : entries.get(0).step();
    } catch (IOException e) {
      return "none that can be seen";
    }
  }

  /**
   * Writes the last checkpoint of a run on this thread, unless that step has one already.
   *
   * @param step the number of steps that are done
   * @param copy copies the state into arrays of the manager
   * @throws UncheckedIOException if one could not be written and the run is to end then
   */
  public void finish(long step, Function<NDManager, CheckpointFile.Contents> copy) {
    join();
    // Nothing comes after it that would try again.
    for (int i = 0; i < 2 && (step != lastStep || elsewhere || failure != null); i++) {
      writeHere(step, copy);
    }
    requireGoingOn();
  }

  private void writeHere(long step, Function<NDManager, CheckpointFile.Contents> copy) {
    begin(step);
    NDManager own = Machine.newManager(Device.cpu());
    boolean copied = false;
    try {
      CheckpointFile.Contents contents = copy.apply(own);
      copied = true;
      writeAndClose(step, contents, own);
    } finally {
      if (!copied) {
        own.close();
      }
    }
  }

  /** Waits for the file that is being written, even if this thread is interrupted. */
  public void join() {
    Thread thread = writing;
    boolean interrupted = false;
    while (thread != null && thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    writing = null;
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits for the file that is being written, and gives the folder back. */
  @Override
  public void close() {
    join();
    claim.close();
  }
}
