package io.github.ddpm4j.web;

/** The limits of the JDK's server for all tests of this process, which it reads once. */
final class Limits {

  static final int SECONDS = 2;

  private Limits() {}

  /** Call it before the first server starts. */
  static void set() {
    System.setProperty("sun.net.httpserver.maxReqTime", Integer.toString(SECONDS));
  }
}
