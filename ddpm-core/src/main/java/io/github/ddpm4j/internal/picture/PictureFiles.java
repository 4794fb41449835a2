package io.github.ddpm4j.internal.picture;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.WholeFile;
import java.awt.image.BufferedImage;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** Picture files, read and written whole. */
public final class PictureFiles {

  /** What is written by default: {@value}. */
  public static final String PNG = "PNG";

  /** Suffixes of picture formats that Java does not know. */
  private static final Set<String> OTHER_SUFFIXES =
      Set.of("avif", "heic", "jp2", "pdf", "ppm", "svg", "tga", "webp");

  /** What the readers for JPEG say of a file that ends early, which they read all the same. */
  private static final Pattern CUT_OFF = Pattern.compile("Truncated|Premature end");

  /** How PNG files begin. */
  private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

  private PictureFiles() {}

  /**
   * Reads a file; transparent pixels are shown on white.
   *
   * @param file the file
   * @return what it holds
   * @throws IOException if it is missing, no picture, damaged or would be misread; the message
   *     names it
   */
  public static Picture read(Path file) throws IOException {
    return read(file, false, Long.MAX_VALUE);
  }

  /**
   * Reads a file as {@link #read(Path)}, but keeps the opacity, and refuses files that are cut off.
   *
   * @param file the file
   * @param mostPixels the greatest number of pixels that is decoded
   * @return what it holds
   * @throws IOException as {@link #read(Path)}, or if it has more pixels, or too few bytes
   */
  public static Picture readWithOpacity(Path file, long mostPixels) throws IOException {
    return read(file, true, mostPixels);
  }

  private static Picture read(Path file, boolean strict, long mostPixels) throws IOException {
    if (Files.isDirectory(file)) {
      throw new IOException(file + " is a folder; name a picture file");
    }
    // In memory: ImageIO would put what it reads into a temporary file.
    try (InputStream in = Files.newInputStream(file);
        ImageInputStream stream = new MemoryCacheImageInputStream(in)) {
      BufferedImage picture = decode(stream, file, strict, mostPixels);
      Pixels pixels = strict ? Pixels.withOpacity(picture) : Pixels.of(picture);
      return new Picture(pixels, picture.getWidth(), picture.getHeight());
    } catch (NoSuchFileException e) {
      throw missing(file, e);
    } catch (AccessDeniedException e) {
      throw new IOException(file + " may not be read by this user", e);
    } catch (IllegalArgumentException e) {
      throw new IOException(file + " cannot be read: " + e.getMessage(), e);
    }
  }

  /**
   * What a file holds.
   *
   * @param pixels the values
   * @param width in pixels
   * @param height in pixels
   */
  public record Picture(Pixels pixels, int width, int height) {}

  private static NoSuchFileException missing(Path file, NoSuchFileException cause) {
    NoSuchFileException missing = new NoSuchFileException(file.toString(), null, "does not exist");
    missing.initCause(cause);
    return missing;
  }

  /** By the first reader that can; the failure is that of the first. */
  private static BufferedImage decode(
      ImageInputStream in, Path file, boolean strict, long mostPixels) throws IOException {
    Exception failure = null;
    for (ImageReader reader : readers(in, file)) {
      try {
        in.seek(0);
        return decode(reader, in, strict, mostPixels);
      } catch (RefusedException e) {
        throw new IOException(file + " cannot be read: " + e.getMessage(), e);
      } catch (IOException | RuntimeException e) {
        // Damaged files end readers in exceptions of many kinds.
        failure = failure == null ? e : failure;
      } finally {
        reader.dispose();
      }
    }
    throw new IOException(
        file
            + " is damaged or of an unusual kind: "
            + Quote.of(failure == null ? null : failure.getMessage()),
        failure);
  }

  /**
   * The readers for a file: first that of the JDK, so that plug-ins do not change what is known to
   * be read rightly. They are asked if it fails; not about TIFF, of which it is known what it means
   * if it does.
   */
  private static List<ImageReader> readers(ImageInputStream in, Path file) throws IOException {
    List<ImageReader> readers = new ArrayList<>();
    ImageIO.getImageReaders(in).forEachRemaining(readers::add);
    if (readers.isEmpty()) {
      throw new IOException(
          file + " is not a picture that Java can read; the formats are " + formats());
    }
    readers.sort(Comparator.comparing(reader -> !isOfTheJdk(reader)));
    return isTiff(readers.get(0)) ? readers.subList(0, 1) : readers;
  }

  private static boolean isTiff(ImageReader reader) throws IOException {
    return reader.getFormatName().toLowerCase(Locale.ROOT).startsWith("tif");
  }

  private static boolean isOfTheJdk(ImageReader reader) {
    return reader.getClass().getName().startsWith("com.sun.imageio.");
  }

  private static BufferedImage decode(
      ImageReader reader, ImageInputStream in, boolean strict, long mostPixels) throws IOException {
    int transparent = GreyPng.transparentLevel(in);
    reader.setInput(in, true, true);
    if (isTiff(reader)) {
      TiffSamples.requireReadable(reader.getImageMetadata(0));
    }
    long pixels = (long) reader.getWidth(0) * reader.getHeight(0);
    if (pixels > mostPixels) {
      throw new RefusedException(
          "a picture must have at most " + mostPixels + " pixels, but has " + pixels);
    }
    AtomicBoolean cutOff = new AtomicBoolean();
    reader.addIIOReadWarningListener(
        (source, warning) -> cutOff.compareAndSet(false, CUT_OFF.matcher(warning).find()));
    BufferedImage picture = reader.read(0);
    if (strict && cutOff.get()) {
      throw new RefusedException("it is cut off; copy it again, or take it away");
    }
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
   * @param file the file
   * @throws IllegalArgumentException if its name is that of another format
   */
  public static void requireSuffix(String format, Path file) {
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

  /**
   * Reads the words of a PNG file.
   *
   * @param file the file
   * @return what {@link #write} wrote into it; empty if it has none, or is no PNG file
   * @throws IOException if it is missing or damaged; the message names it
   */
  public static Map<String, String> words(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file);
        ImageInputStream stream = new MemoryCacheImageInputStream(in)) {
      byte[] start = new byte[SIGNATURE.length];
      int read = Math.max(0, stream.read(start));
      if (Arrays.mismatch(start, 0, read, SIGNATURE, 0, read) >= 0) {
        return Map.of();
      }
      stream.seek(0);
      return PngWords.read(stream);
    } catch (NoSuchFileException e) {
      throw missing(file, e);
    } catch (IOException | RuntimeException e) {
      boolean isCutOff = e instanceof EOFException || e.getCause() instanceof EOFException;
      String what = isCutOff ? "cut off" : "damaged: " + Quote.of(e.getMessage());
      throw new IOException(file + " is " + what, e);
    }
  }

  /**
   * Writes a PNG file, whole or not at all.
   *
   * @param picture the picture
   * @param file the file
   * @param words texts that go into it by name, for {@link #words}; may be empty
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if a PNG file cannot hold it
   */
  public static void write(BufferedImage picture, Path file, Map<String, String> words)
      throws IOException {
    requireSuffix(PNG, file);
    requireWritable(picture);
    WholeFile.write(file, out -> write(picture, out, words));
  }

  /**
   * Writes a PNG file to a stream.
   *
   * @param picture the picture
   * @param out where to write; flushed, not closed
   * @param words texts that go into it by name; may be empty
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if a PNG file cannot hold it
   */
  public static void write(BufferedImage picture, OutputStream out, Map<String, String> words)
      throws IOException {
    requireWritable(picture);
    try (MemoryCacheImageOutputStream png = new MemoryCacheImageOutputStream(out)) {
      if (!PngWords.write(picture, words, png)) {
        throw unwritable(picture, "of a kind that Java does not write");
      }
    }
    out.flush();
  }

  private static void requireWritable(BufferedImage picture) {
    if (!Pixels.areValues(picture)) {
      throw unwritable(picture, Pixels.describe(picture));
    }
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
