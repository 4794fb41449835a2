package io.github.ddpm4j.internal.picture;

import java.io.IOException;

/** A picture that a reader would read, and read wrongly, in part or at too great a cost. */
final class RefusedException extends IOException {

  private static final long serialVersionUID = 1;

  RefusedException(String message) {
    super(message);
  }
}
