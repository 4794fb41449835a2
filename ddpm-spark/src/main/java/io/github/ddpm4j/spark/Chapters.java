package io.github.ddpm4j.spark;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.reflect.TypeToken;
import io.github.ddpm4j.internal.picture.SampleFolder;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.jspecify.annotations.Nullable;

/**
 * A folder on any file system of Hadoop, filled chapter by chapter: each is written by a job, and
 * there when its mark is, which is written last. So one that goes on after a killed driver leaves
 * whole chapters as they are and writes the others anew.
 */
final class Chapters {

  /** Files that begin so are no data to Spark. */
  private static final String MANIFEST = "_manifest.json";

  private static final String MARK = "_whole";

  private final Path folder;
  private final FileSystem files;

  private Chapters(Path folder, FileSystem files) {
    this.folder = folder;
    this.files = files;
  }

  /**
   * Opens a folder for pictures that are drawn in one way.
   *
   * @throws IllegalArgumentException if it holds pictures that are drawn in another
   */
  static Chapters open(String folder, Configuration configuration, Map<String, String> settings)
      throws IOException {
    Path path = new Path(folder);
    Chapters chapters = new Chapters(path, path.getFileSystem(configuration));
    Map<String, String> own = new TreeMap<>(settings);
    Map<String, String> before = chapters.manifest();
    if (before == null) {
      chapters.writeManifest(own);
    } else {
      SampleFolder.requireSame(folder, before, own);
    }
    return chapters;
  }

  private @Nullable Map<String, String> manifest() throws IOException {
    Path manifest = new Path(folder, MANIFEST);
    if (!files.exists(manifest)) {
      return null;
    }
    try (InputStream in = files.open(manifest)) {
      Map<String, String> read =
          new GsonBuilder()
              .create()
              .fromJson(
                  new String(in.readAllBytes(), StandardCharsets.UTF_8),
                  new TypeToken<Map<String, String>>() {});
      if (read != null) {
        return read;
      }
    } catch (JsonParseException e) {
      throw new IOException(manifest + " is no manifest of pictures; choose another folder", e);
    }
    throw new IOException(manifest + " is empty; choose another folder");
  }

  private void writeManifest(Map<String, String> settings) throws IOException {
    files.mkdirs(folder);
    Path beside = new Path(folder, "_" + UUID.randomUUID());
    try (OutputStream out = files.create(beside)) {
      out.write(
          new GsonBuilder()
              .setPrettyPrinting()
              .create()
              .toJson(settings)
              .getBytes(StandardCharsets.UTF_8));
    }
    if (!files.rename(beside, new Path(folder, MANIFEST))) {
      throw new IOException(folder + " could not get a manifest; is another driver writing to it?");
    }
  }

  /** Where a chapter belongs; Spark reads its number as a column. */
  String place(long number) {
    return chapter(number).toString();
  }

  private Path chapter(long number) {
    return new Path(folder, "chapter=" + number);
  }

  boolean isWhole(long number) throws IOException {
    return files.exists(new Path(chapter(number), MARK));
  }

  void markWhole(long number) throws IOException {
    files.create(new Path(chapter(number), MARK)).close();
  }
}
