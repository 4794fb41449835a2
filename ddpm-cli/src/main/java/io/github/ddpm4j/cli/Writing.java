package io.github.ddpm4j.cli;

import io.github.ddpm4j.internal.torch.Shutdown;
import java.io.IOException;
import java.util.concurrent.CancellationException;

/** Writes results that Ctrl-C neither cuts off nor leaves parts of. */
@FunctionalInterface
interface Writing {

  /** Writes. */
  void run() throws IOException;

  /**
   * Writes to the end what was begun when Ctrl-C comes, for which the process waits a minute at the
   * most, and begins nothing after it.
   *
   * @throws CancellationException if the process is ending
   */
  static void whole(Writing writing) throws IOException {
    Shutdown.install();
    if (!Shutdown.enter()) {
      throw new CancellationException("nothing was written, since the program is ending");
    }
    try {
      writing.run();
    } finally {
      Shutdown.leave();
    }
  }
}
