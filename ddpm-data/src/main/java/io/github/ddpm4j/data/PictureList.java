package io.github.ddpm4j.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The picture files of a folder, by their names' endings, in an order that is the same everywhere.
 * What is hidden, and files with other endings, are passed over.
 *
 * @param entries the files
 * @param classNames the names of the classes, by label; empty for a flat folder
 * @param others the number of files with other endings
 */
record PictureList(List<Entry> entries, List<String> classNames, int others) {

  private static final Set<String> SUFFIXES =
      Set.of("bmp", "gif", "jfif", "jpe", "jpeg", "jpg", "png", "tif", "tiff", "wbmp", "webp");

  /**
   * A file.
   *
   * @param file the file
   * @param name its name from the folder on, with slashes
   * @param label its class, or {@link Source#NO_LABEL}
   */
  record Entry(Path file, String name, int label) {}

  /** Pictures in the folder itself, or else in folders that are classes. */
  static PictureList of(Path folder) throws IOException {
    requireFolder(folder);
    List<Path> children = children(folder);
    List<Entry> flat = new ArrayList<>();
    List<Entry> sorted = new ArrayList<>();
    List<String> names = new ArrayList<>();
    List<String> empty = new ArrayList<>();
    int others = 0;
    for (Path child : children) {
      if (Files.isDirectory(child)) {
        String name = nameOf(child);
        List<Path> files = walk(child);
        List<Path> pictures = files.stream().filter(PictureList::isPicture).toList();
        others += files.size() - pictures.size();
        if (pictures.isEmpty()) {
          empty.add(name);
        } else {
          int label = names.size();
          pictures.forEach(file -> sorted.add(entry(folder, file, label)));
          names.add(name);
        }
      } else if (isPicture(child)) {
        flat.add(entry(folder, child, Source.NO_LABEL));
      } else {
        others++;
      }
    }
    if (!flat.isEmpty() && !sorted.isEmpty()) {
      throw new IOException(
          folder
              + " holds pictures, such as "
              + flat.get(0).name
              + ", and folders of pictures, such as "
              + names.get(0)
              + ", so that it is not known whether folders are classes; move one or the other"
              + " away");
    }
    if (flat.isEmpty() && sorted.isEmpty()) {
      throw new IOException(
          folder
              + " holds no pictures; name a folder of PNG, JPEG, GIF, BMP, TIFF or WebP files,"
              + " or one with a folder of them for each class");
    }
    if (flat.isEmpty() && !empty.isEmpty()) {
      throw new IOException(
          "every folder of a class must hold a picture, but "
              + String.join(", ", empty)
              + " of "
              + folder
              + " holds none, and without it the others would have other labels; take it away, or"
              + " put pictures into it");
    }
    return flat.isEmpty()
        ? new PictureList(List.copyOf(sorted), List.copyOf(names), others)
        : new PictureList(List.copyOf(flat), List.of(), others);
  }

  static void requireFolder(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      throw new NoSuchFileException(folder.toString());
    }
    if (!Files.isDirectory(folder)) {
      throw new NotDirectoryException(folder.toString());
    }
  }

  private static Entry entry(Path folder, Path file, int label) {
    return new Entry(file, relative(folder, file), label);
  }

  static String relative(Path folder, Path file) {
    List<String> parts = new ArrayList<>();
    folder.relativize(file).forEach(part -> parts.add(part.toString()));
    return String.join("/", parts);
  }

  /** By code units, which no locale and no file system changes. */
  static List<Path> children(Path folder) throws IOException {
    try (Stream<Path> all = Files.list(folder)) {
      return all.filter(PictureList::isVisible)
          .sorted(Comparator.comparing(PictureList::nameOf))
          .toList();
    }
  }

  private static List<Path> walk(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder, FileVisitOption.FOLLOW_LINKS)) {
      return all.filter(Files::isRegularFile)
          .filter(file -> !("/" + relative(folder, file)).contains("/."))
          .sorted(Comparator.comparing(file -> relative(folder, file)))
          .toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static boolean isVisible(Path file) {
    return !nameOf(file).startsWith(".");
  }

  static String nameOf(Path file) {
    return String.valueOf(file.getFileName());
  }

  static boolean isPicture(Path file) {
    String name = nameOf(file);
    return Files.isRegularFile(file)
        && SUFFIXES.contains(name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT));
  }
}
