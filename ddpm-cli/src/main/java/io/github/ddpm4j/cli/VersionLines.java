package io.github.ddpm4j.cli;

import io.github.ddpm4j.internal.io.Versions;
import picocli.CommandLine.IVersionProvider;

/** The versions that {@code --version} prints: those that pictures and models record. */
final class VersionLines implements IVersionProvider {

  @Override
  public String[] getVersion() {
    return Versions.ofLibraries().entrySet().stream()
        .map(library -> library.getKey() + " " + library.getValue())
        .toArray(String[]::new);
  }
}
