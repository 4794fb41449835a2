package io.github.ddpm4j.spark;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.spark.Loaded.Lease;
import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.SparkSession;
import org.jspecify.annotations.Nullable;

/**
 * A model for the tasks of a cluster. It is loaded once an executor, and shared by the tasks there.
 *
 * <p>The driver needs no engine: it reads the files for their digest alone, and executors refuse
 * what has another. Executors need DJL's engine with its native libraries, and the module of the
 * network, such as {@code ddpm-unet}.
 *
 * <p>Immutable and thread-safe.
 */
public final class SparkModel implements Serializable {

  private static final long serialVersionUID = 1;

  private static final Loaded<DDPM> MODELS = new Loaded<>();

  /** Where it is. */
  private final String path;

  /** The SHA-256 of its files. */
  private final String digest;

  /** Null where executors read the files themselves. */
  private final @Nullable Broadcast<SortedMap<String, byte[]>> files;

  private SparkModel(
      String path, String digest, @Nullable Broadcast<SortedMap<String, byte[]>> files) {
    this.path = path;
    this.digest = digest;
    this.files = files;
  }

  /**
   * A model on storage that all machines see by the same path, such as a mounted volume.
   *
   * @param path a model folder, or one file, as {@link DDPM#load(Path)} reads it
   * @return the model
   * @throws java.nio.file.NoSuchFileException if there is none
   * @throws IOException if it cannot be read
   */
  public static SparkModel shared(Path path) throws IOException {
    Path whole = path.toAbsolutePath();
    return new SparkModel(whole.toString(), ModelBytes.digest(whole), null);
  }

  /**
   * A model of which each executor gets a copy over the network, once; for clusters without shared
   * storage. Executors keep it in Spark's block store, and for a moment in a temporary folder.
   *
   * @param spark the session, whose driver sees the files; each must be less than 2 GB
   * @param path a model folder, or one file
   * @return the model
   * @throws java.nio.file.NoSuchFileException if there is none
   * @throws IllegalArgumentException if a file is too large
   * @throws IOException if it cannot be read
   */
  public static SparkModel broadcast(SparkSession spark, Path path) throws IOException {
    Objects.requireNonNull(spark, "spark");
    SortedMap<String, byte[]> read = ModelBytes.read(path);
    return new SparkModel(
        path.toAbsolutePath().toString(),
        ModelBytes.digest(read),
        JavaSparkContext.fromSparkContext(spark.sparkContext()).broadcast(read));
  }

  /**
   * What tells the model from others.
   *
   * @return the SHA-256 of its files, in 64 hexadecimal digits
   */
  public String digest() {
    return digest;
  }

  /** On an executor: the model, loaded if no task did so before. */
  Lease<DDPM> use() {
    return Failures.onExecutor("loading the model " + path, () -> MODELS.use(digest, this::load));
  }

  private DDPM load() throws IOException {
    if (files == null) {
      Path shared = Path.of(path);
      requireSame(ModelBytes.digest(shared));
      return DDPM.load(shared);
    }
    SortedMap<String, byte[]> bytes = files.value();
    requireSame(ModelBytes.digest(bytes));
    Path folder = Files.createTempDirectory("ddpm4j");
    try {
      for (Map.Entry<String, byte[]> file : bytes.entrySet()) {
        Files.write(folder.resolve(file.getKey()), file.getValue());
      }
      return DDPM.load(bytes.containsKey("ddpm.json") ? folder : folder.resolve(bytes.firstKey()));
    } finally {
      for (String name : bytes.keySet()) {
        Files.deleteIfExists(folder.resolve(name));
      }
      Files.deleteIfExists(folder);
    }
  }

  private void requireSame(String found) throws IOException {
    if (!found.equals(digest)) {
      throw new IOException(
          "its files have the digest "
              + found
              + ", but those that the driver read have "
              + digest
              + "; do not change a model while a job uses it, and see that all machines see the"
              + " same");
    }
  }

  @Override
  public String toString() {
    return "SparkModel[" + path + (files == null ? "" : ", broadcast") + ", " + digest + "]";
  }
}
