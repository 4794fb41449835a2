package io.github.ddpm4j.spark;

/**
 * What failed on an executor, said in one sentence at the driver: where, what was being done, and
 * why. Its cause is what Spark tells of the job.
 */
public final class ExecutorException extends RuntimeException {

  private static final long serialVersionUID = 1;

  ExecutorException(String message, Throwable cause) {
    super(message, cause);
  }
}
