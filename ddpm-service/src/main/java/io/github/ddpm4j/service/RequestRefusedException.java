package io.github.ddpm4j.service;

import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.RejectedExecutionException;

/** A request that the service does not take, or no longer keeps, although it is a good one. */
public final class RequestRefusedException extends RejectedExecutionException {

  private static final long serialVersionUID = 1;

  /** Why a request was refused. */
  public enum Reason {
    /** As many requests wait as may. */
    FULL,
    /** It waited, and made room for one that counts more. */
    SHED,
    /** It cannot be done before its deadline, given what is ahead of it. */
    TOO_LATE,
    /** The service takes no more requests. */
    SHUT_DOWN;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
  }

  /** Why. */
  private final Reason reason;

  RequestRefusedException(Reason reason, String message) {
    super(message);
    this.reason = Objects.requireNonNull(reason);
  }

  /**
   * Why the request was refused.
   *
   * @return the reason
   */
  public Reason reason() {
    return reason;
  }
}
