package io.github.ddpm4j.web;

import java.util.List;

/** A request over HTTP that gets an answer other than the one it hoped for. */
final class RefusalException extends RuntimeException {

  private static final long serialVersionUID = 1;

  private final int status;
  private final String allowed;

  /**
   * @param status of HTTP
   * @param message what is wrong and what helps, for who sent it
   */
  RefusalException(int status, String message) {
    this(status, message, "");
  }

  private RefusalException(int status, String message, String allowed) {
    super(message);
    this.status = status;
    this.allowed = allowed;
  }

  RefusalException(int status, String message, Throwable cause) {
    super(message, cause);
    this.status = status;
    this.allowed = "";
  }

  /** Of a method that is not one of those of the address. */
  static RefusalException allowing(List<String> methods) {
    return new RefusalException(
        405,
        "only "
            + String.join(" and ", methods)
            + (methods.size() == 1 ? " is" : " are")
            + " for this address",
        String.join(", ", methods));
  }

  /** The methods that the address has; empty if it was not for them. */
  String allowed() {
    return allowed;
  }

  int status() {
    return status;
  }
}
