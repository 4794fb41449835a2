package io.github.ddpm4j.internal.files;

import io.github.ddpm4j.internal.files.WatchedFiles.Change;
import io.github.ddpm4j.internal.files.WatchedFiles.Operation;
import java.io.IOException;

/** Lets one change of files fail, or all from one on, as a full disk does; for any threads. */
public final class FailingChange implements WatchedFiles.Fault {

  private long passing = Long.MAX_VALUE;
  private boolean persistent;
  private boolean failed;

  /**
   * Lets a change fail.
   *
   * @param k its number from now on, from 0
   * @param persistent whether all later ones fail too
   */
  public synchronized void failAt(int k, boolean persistent) {
    this.passing = k;
    this.persistent = persistent;
  }

  /** Lets no further change fail; tells whether one did since {@link #failAt}. */
  public synchronized boolean stopFailing() {
    boolean did = failed;
    passing = Long.MAX_VALUE;
    failed = false;
    return did;
  }

  @Override
  public synchronized void before(Change change) throws IOException {
    if (change.operation() == Operation.MAY_WRITE || change.operation() == Operation.READ) {
      return;
    }
    if (passing > 0) {
      passing--;
    } else if (persistent || !failed) {
      failed = true;
      throw new IOException("No space left on device: " + change.operation());
    }
  }
}
