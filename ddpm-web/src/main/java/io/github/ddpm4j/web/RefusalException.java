package io.github.ddpm4j.web;

/** A request over HTTP that gets an answer other than the one it hoped for. */
final class RefusalException extends RuntimeException {

  private static final long serialVersionUID = 1;

  private final int status;

  /**
   * @param status of HTTP
   * @param message what is wrong and what helps, for who sent it
   */
  RefusalException(int status, String message) {
    super(message);
    this.status = status;
  }

  RefusalException(int status, String message, Throwable cause) {
    super(message, cause);
    this.status = status;
  }

  int status() {
    return status;
  }
}
