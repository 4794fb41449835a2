package io.github.ddpm4j.image;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.WholeFile;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import javax.imageio.stream.MemoryCacheImageInputStream;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import org.jspecify.annotations.Nullable;

/** Picture files, read and written whole. */
final class PictureFiles {

  private PictureFiles() {}

  static BufferedImage read(Path file) throws IOException {
    if (Files.isDirectory(file)) {
      throw new IOException(file + " is a folder; name a picture file");
    }
    try (InputStream in = Files.newInputStream(file)) {
      return decode(in, file);
    } catch (NoSuchFileException e) {
      throw missing(file, e);
    } catch (AccessDeniedException e) {
      throw new IOException(file + " may not be read by this user", e);
    }
  }

  private static NoSuchFileException missing(Path file, NoSuchFileException cause) {
    NoSuchFileException missing = new NoSuchFileException(file.toString(), null, "does not exist");
    missing.initCause(cause);
    return missing;
  }

  private static BufferedImage decode(InputStream in, Path file) throws IOException {
    @Nullable BufferedImage picture;
    try {
      // In memory: ImageIO would put what it reads into a temporary file. Closed by ImageIO.
      picture = ImageIO.read(new MemoryCacheImageInputStream(in));
    } catch (IOException | RuntimeException e) {
      // Damaged files end the readers of the JDK in exceptions of many kinds.
      throw new IOException(
          file + " is damaged or of an unusual kind: " + Quote.of(e.getMessage()), e);
    }
    if (picture == null) {
      throw new IOException(
          file + " is not a picture that Java can read; the formats are " + formats());
    }
    return picture;
  }

  static void write(BufferedImage picture, Path file) throws IOException {
    WholeFile.write(
        file,
        out -> {
          try (MemoryCacheImageOutputStream png = new MemoryCacheImageOutputStream(out)) {
            ImageIO.write(picture, "png", png);
          }
        });
  }

  private static String formats() {
    return Arrays.stream(ImageIO.getReaderFormatNames())
        .map(name -> name.toUpperCase(Locale.ROOT))
        .distinct()
        .sorted()
        .collect(Collectors.joining(", "));
  }
}
