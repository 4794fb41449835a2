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
import java.util.Iterator;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** Picture files, read and written whole. */
final class PictureFiles {

  static final String PNG = "PNG";

  /** Suffixes of picture formats that Java does not know. */
  private static final Set<String> OTHER_SUFFIXES =
      Set.of("avif", "heic", "jp2", "pdf", "ppm", "svg", "tga", "webp");

  private PictureFiles() {}

  static Picture read(Path file) throws IOException {
    if (Files.isDirectory(file)) {
      throw new IOException(file + " is a folder; name a picture file");
    }
    // In memory: ImageIO would put what it reads into a temporary file.
    try (InputStream in = Files.newInputStream(file);
        ImageInputStream stream = new MemoryCacheImageInputStream(in)) {
      BufferedImage picture = decode(stream, file);
      return new Picture(Pixels.of(picture), picture.getWidth(), picture.getHeight());
    } catch (NoSuchFileException e) {
      throw missing(file, e);
    } catch (AccessDeniedException e) {
      throw new IOException(file + " may not be read by this user", e);
    } catch (IllegalArgumentException e) {
      throw new IOException(file + " cannot be read: " + e.getMessage(), e);
    }
  }

  /** What a file holds. */
  record Picture(Pixels pixels, int width, int height) {}

  private static NoSuchFileException missing(Path file, NoSuchFileException cause) {
    NoSuchFileException missing = new NoSuchFileException(file.toString(), null, "does not exist");
    missing.initCause(cause);
    return missing;
  }

  private static BufferedImage decode(ImageInputStream in, Path file) throws IOException {
    Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
    if (!readers.hasNext()) {
      throw new IOException(
          file + " is not a picture that Java can read; the formats are " + formats());
    }
    ImageReader reader = readers.next();
    try {
      return decode(reader, in);
    } catch (TiffSamples.MisreadException e) {
      throw new IOException(file + " cannot be read: " + e.getMessage(), e);
    } catch (IOException | RuntimeException e) {
      // Damaged files end the readers of the JDK in exceptions of many kinds.
      throw new IOException(
          file + " is damaged or of an unusual kind: " + Quote.of(e.getMessage()), e);
    } finally {
      reader.dispose();
    }
  }

  private static BufferedImage decode(ImageReader reader, ImageInputStream in) throws IOException {
    int transparent = GreyPng.transparentLevel(in);
    reader.setInput(in, true, true);
    if (reader.getFormatName().startsWith("tif")) {
      TiffSamples.requireReadable(reader.getImageMetadata(0));
    }
    BufferedImage picture = reader.read(0);
    if (transparent >= 0) {
      GreyPng.clear(picture, transparent);
    }
    return picture;
  }

  /**
   * Refuses a file whose name ends as that of another format. A name without a suffix, or with one
   * of no picture format, says nothing.
   *
   * @param format what is written: PNG or GIF
   */
  static void requireSuffix(String format, Path file) {
    String name = String.valueOf(file.getFileName());
    String suffix = name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
    String own = format.toLowerCase(Locale.ROOT);
    if (name.indexOf('.') < 0 || suffix.equals(own) || !isPictureSuffix(suffix)) {
      return;
    }
    throw new IllegalArgumentException(
        file
            + " would be a "
            + format
            + " file under the name of another format; call it "
            + name.substring(0, name.lastIndexOf('.') + 1)
            + own
            + (format.equals(PNG)
                ? ", or write the picture of toGrid() by ImageIO.write(picture, \""
                    + suffix
                    + "\", file)"
                : ""));
  }

  private static boolean isPictureSuffix(String suffix) {
    return OTHER_SUFFIXES.contains(suffix)
        || Arrays.asList(ImageIO.getReaderFileSuffixes()).contains(suffix)
        || Arrays.asList(ImageIO.getWriterFileSuffixes()).contains(suffix);
  }

  static void write(BufferedImage picture, Path file) throws IOException {
    requireSuffix(PNG, file);
    if (!Pixels.areValues(picture)) {
      throw unwritable(picture, Pixels.describe(picture));
    }
    WholeFile.write(
        file,
        out -> {
          try (MemoryCacheImageOutputStream png = new MemoryCacheImageOutputStream(out)) {
            if (!ImageIO.write(picture, "png", png)) {
              throw unwritable(picture, "of a kind that Java does not write");
            }
          }
        });
  }

  private static IllegalArgumentException unwritable(BufferedImage picture, String kind) {
    return new IllegalArgumentException(
        "a PNG file holds samples of at most 16 bits, of grey or sRGB, but those of the picture of "
            + picture.getWidth()
            + " x "
            + picture.getHeight()
            + " were "
            + kind
            + "; convert it, as Pictures.of(Pictures.toArray(manager, picture)).toImages() does");
  }

  private static String formats() {
    return Arrays.stream(ImageIO.getReaderFormatNames())
        .map(name -> name.toUpperCase(Locale.ROOT))
        .distinct()
        .sorted()
        .collect(Collectors.joining(", "));
  }
}
