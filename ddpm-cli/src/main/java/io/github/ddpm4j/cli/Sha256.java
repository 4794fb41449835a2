package io.github.ddpm4j.cli;

import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.stream.Stream;

/** Tells files apart by what they hold. */
final class Sha256 {

  private Sha256() {}

  /** That of a file, or of all files of a folder one after the other, in hexadecimal digits. */
  static String of(Path path) throws IOException {
    MessageDigest sha256 = WholeFile.sha256();
    try (Stream<Path> found = Files.walk(path)) {
      for (Path file : found.filter(Files::isRegularFile).sorted().toList()) {
        try (InputStream in = Files.newInputStream(file);
            OutputStream out = new DigestOutputStream(OutputStream.nullOutputStream(), sha256)) {
          in.transferTo(out);
        }
      }
    }
    return HexFormat.of().formatHex(sha256.digest());
  }
}
