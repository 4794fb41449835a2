package io.github.ddpm4j.internal.pickle;

import java.io.IOException;

/** A pickle that is not read; the message says why, and does not name the file. */
public final class PickleException extends IOException {

  private static final long serialVersionUID = 1;

  /**
   * An exception.
   *
   * @param message what is wrong, to be preceded by the name of the file
   */
  public PickleException(String message) {
    super(message);
  }
}
