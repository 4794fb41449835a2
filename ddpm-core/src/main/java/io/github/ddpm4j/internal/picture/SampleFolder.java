package io.github.ddpm4j.internal.picture;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.reflect.TypeToken;
import io.github.ddpm4j.internal.files.FolderClaim;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * A folder of pictures by their indexes, which several processes may fill, and one that was killed
 * goes on with: a manifest says how they are drawn, and a block is there when all of its files are.
 */
public final class SampleFolder {

  private static final String MANIFEST = "manifest.json";

  private static final Duration PATIENCE = Duration.ofMinutes(1);

  private final Path folder;

  private SampleFolder(Path folder) {
    this.folder = folder;
  }

  /**
   * Opens a folder for pictures that are drawn in one way.
   *
   * @param folder the folder; made if it is missing
   * @param settings what the bits of the pictures depend on, by name
   * @return the folder
   * @throws IllegalArgumentException if it holds pictures that are drawn in another
   * @throws IOException if the folder or its manifest cannot be read or written
   */
  public static SampleFolder open(Path folder, Map<String, String> settings) throws IOException {
    WholeFile.makeFolder(folder, folder);
    Path manifest = folder.resolve(MANIFEST);
    Map<String, String> own = new TreeMap<>(settings);
    // Of processes that open an empty folder at once, one writes and the others compare.
    try (FolderClaim claim = FolderClaim.await(folder, PATIENCE)) {
      if (Files.exists(manifest)) {
        Map<String, String> before = read(manifest);
        requireSame(folder.toString(), before, own);
      } else {
        WholeFile.writeText(manifest, new GsonBuilder().setPrettyPrinting().create().toJson(own));
      }
    }
    return new SampleFolder(folder);
  }

  /**
   * Checks that a folder may hold pictures that are drawn in one way. Nothing is written, so that a
   * process that ends before its first picture leaves no manifest of none.
   *
   * @param folder the folder, which may be missing
   * @param settings what the bits of the pictures depend on, by name
   * @return the folder, to be {@linkplain #open opened} before a picture is written to it
   * @throws IllegalArgumentException if it holds pictures that are drawn in another
   * @throws IOException if its manifest cannot be read
   */
  public static SampleFolder require(Path folder, Map<String, String> settings) throws IOException {
    Path manifest = folder.resolve(MANIFEST);
    if (Files.exists(manifest)) {
      requireSame(folder.toString(), read(manifest), new TreeMap<>(settings));
    }
    return new SampleFolder(folder);
  }

  /**
   * A folder that was {@linkplain #open opened} before, maybe by another process.
   *
   * @param folder the folder
   * @return the folder
   */
  public static SampleFolder opened(Path folder) {
    return new SampleFolder(folder);
  }

  /**
   * How the pictures of a folder are drawn.
   *
   * @param folder the folder
   * @return the settings with which it was opened; empty if it was not
   * @throws IOException if its manifest cannot be read
   */
  public static Optional<Map<String, String>> settings(Path folder) throws IOException {
    Path manifest = folder.resolve(MANIFEST);
    return Files.isRegularFile(manifest) ? Optional.of(read(manifest)) : Optional.empty();
  }

  private static Map<String, String> read(Path manifest) throws IOException {
    try {
      Map<String, String> read =
          new GsonBuilder()
              .create()
              .fromJson(Files.readString(manifest), new TypeToken<Map<String, String>>() {});
      if (read != null) {
        return read;
      }
    } catch (JsonParseException e) {
      throw new IOException(manifest + " is no manifest of pictures; choose another folder", e);
    }
    throw new IOException(manifest + " is empty; choose another folder");
  }

  /**
   * Compares how pictures of a folder are drawn.
   *
   * @param folder what to call it
   * @param before how those were drawn that are there
   * @param own how others are to be drawn
   * @throws IllegalArgumentException if that differs
   */
  public static void requireSame(
      String folder, Map<String, String> before, Map<String, String> own) {
    if (!before.equals(own)) {
      throw new IllegalArgumentException(
          folder
              + " holds pictures that were drawn otherwise ("
              + differences(before, own)
              + "); choose another folder, or the same options");
    }
  }

  private static String differences(Map<String, String> before, Map<String, String> now) {
    TreeSet<String> names = new TreeSet<>(before.keySet());
    names.addAll(now.keySet());
    StringBuilder text = new StringBuilder();
    for (String name : names) {
      String old = before.getOrDefault(name, "none");
      String other = now.getOrDefault(name, "none");
      if (!old.equals(other)) {
        text.append(text.isEmpty() ? "" : "; ").append(name).append(" was ").append(old);
        text.append(", and is ").append(other);
      }
    }
    return text.toString();
  }

  /**
   * The file of a picture.
   *
   * @param index the index of the picture, at least 0
   * @return the file, which may not be there
   */
  public Path file(long index) {
    return folder.resolve(String.format(Locale.ROOT, "%08d.png", index));
  }

  /**
   * Whether all pictures of some indexes are there, undamaged.
   *
   * @param from the first index
   * @param to the index after the last
   * @return true if none is missing
   * @throws IOException if a file cannot be read
   */
  public boolean has(long from, long to) throws IOException {
    for (long index = from; index < to; index++) {
      if (!PngChunks.areWhole(file(index))) {
        return false;
      }
    }
    return true;
  }
}
