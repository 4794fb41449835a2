package io.github.ddpm4j.cli;

import java.util.concurrent.CancellationException;

/** A command that says more of its end by Ctrl-C than that it ended. */
interface Interruptible {

  /**
   * What is there, and how to go on.
   *
   * @param problem by which it ended
   * @return what follows "ended" in the one line that is said
   */
  String ended(CancellationException problem);
}
