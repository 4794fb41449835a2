package io.github.ddpm4j.internal.io;

import ai.djl.engine.Engine;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import org.jspecify.annotations.Nullable;

/** The versions of the libraries that write model folders and pictures. */
public final class Versions {

  private static final String FILE = "version.properties";

  /** Kept once read, for every run of sampling says its versions; null before. */
  private static volatile @Nullable String own;

  private Versions() {}

  /**
   * The version of this library, and of DJL.
   *
   * @return by the names of the libraries
   */
  public static Map<String, String> ofLibraries() {
    Map<String, String> versions = new LinkedHashMap<>();
    versions.put("ddpm4j", own());
    versions.put("djl", Engine.getDjlVersion());
    return versions;
  }

  /** The version of this library, which the build writes beside this class. */
  static String own() {
    String version = own;
    if (version == null) {
      version = read();
      own = version;
    }
    return version;
  }

  private static String read() {
    Properties properties = new Properties();
    try (InputStream in = Versions.class.getResourceAsStream(FILE)) {
      if (in != null) {
        properties.load(in);
      }
      return properties.getProperty("version", "unknown");
    } catch (IOException e) {
      throw new UncheckedIOException("the version of the library cannot be read", e);
    }
  }
}
