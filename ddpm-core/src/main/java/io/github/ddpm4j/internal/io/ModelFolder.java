package io.github.ddpm4j.internal.io;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.Uninterrupted;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A model on disk: a folder with {@value ModelFiles#DESCRIPTION}, which says everything that is
 * needed to use the model, and a file with the weights, which it names. Users call {@code
 * ddpm.save(folder)} and {@code DDPM.load(folder)}.
 */
public final class ModelFolder {

  /** The system property that, set to false, lets weights be read without their digest. */
  static final String CHECK_PROPERTY = "ddpm4j.checkDigests";

  /** So often other processes may replace a model under the hands of one that reads it. */
  private static final int MOST_ATTEMPTS = 1000;

  /** So often a file that is missing may come back, as when two models replace each other. */
  private static final int MOST_UNCHANGED = 10;

  private ModelFolder() {}

  /**
   * What a folder holds.
   *
   * @param diffusion what the model is apart from its network
   * @param denoiser the network; closed by whoever reads the folder
   * @param training how the weights were made; empty if nothing is known
   * @param sha256 the SHA-256 of the file of the weights; null if there is none, or it is not known
   */
  public record Contents(
      Diffusion diffusion,
      TrainableDenoiser denoiser,
      Map<String, Object> training,
      @Nullable String sha256) {

    Contents in(String file) {
      return new Contents(diffusion, denoiser, training, file);
    }
  }

  /**
   * Checks that a model can be written, as far as that can be told without writing it.
   *
   * @param folder where to
   * @throws IllegalArgumentException if {@code folder} has no name
   * @throws FileAlreadyExistsException if {@code folder} is something other than an older model or
   *     an empty folder, or holds more than that
   * @throws IOException if it could not be made or may not be written
   */
  public static void requireWritable(Path folder) throws IOException {
    Path target = replaceable(folder);
    // Of a folder that is there, any file in it.
    WholeFile.requirePlace(Files.exists(target) ? target.resolve(ModelFiles.DESCRIPTION) : target);
  }

  private static Path replaceable(Path folder) throws IOException {
    if (folder.toString().isEmpty()) {
      throw new IllegalArgumentException(
          "a model folder needs a name, but was \"\"; for the working directory, write \".\"");
    }
    Path target = Files.exists(folder) ? folder.toRealPath() : folder.toAbsolutePath().normalize();
    if (target.getFileName() == null) {
      throw new IllegalArgumentException("a model folder needs a name, but was " + folder);
    }
    ModelFiles.requireReplaceable(target);
    return target;
  }

  /**
   * Writes a model, whole or not at all: a reader sees the old model or the new one at every
   * instant, after a loss of power too, and never a part. The folder keeps its place, so it may be
   * a mounted volume or the working directory. While others write to it, this waits.
   *
   * @param folder where to; an older model there is replaced
   * @param contents the model
   * @param check may refuse the weights, which nobody changes meanwhile
   * @throws IllegalArgumentException if {@code folder} has no name
   * @throws FileAlreadyExistsException if {@code folder} is something other than an older model or
   *     an empty folder, or holds more than that
   * @throws IOException if writing fails; what was there before is still there
   */
  public static void write(Path folder, Contents contents, Consumer<Map<String, NDArray>> check)
      throws IOException {
    Path target = replaceable(folder);
    Map<String, Object> model = ModelDescription.describe(contents);
    Runnable read = contents.denoiser().beginReading();
    try {
      Map<String, NDArray> weights = contents.denoiser().weights();
      check.accept(weights);
      ModelFiles.write(
          target,
          out -> Safetensors.write(out, weights, Map.of("format", DescriptionFile.NAME)),
          written -> DescriptionFile.text(written, model));
    } finally {
      read.run();
    }
  }

  /**
   * Reads a model, as it was at one moment: if another process replaces it meanwhile, the old one
   * or the new one.
   *
   * @param folder the folder
   * @param device where to put the weights
   * @return the model; the caller closes its denoiser
   * @throws IllegalArgumentException if the device is a GPU that the engine does not see
   * @throws NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails or the files are not what they should be, naming the file
   *     and what is wrong
   */
  public static Contents read(Path folder, Device device) throws IOException {
    Machine.device(device);
    return Uninterrupted.run(() -> readAnyMoment(folder, device));
  }

  /** Begins anew when what the description names is gone because there is a newer one. */
  private static Contents readAnyMoment(Path folder, Device device) throws IOException {
    int unchanged = 0;
    for (int attempt = 1; ; attempt++) {
      DescriptionFile description = DescriptionFile.read(folder);
      try {
        return read(folder, description, device);
      } catch (ClosedByInterruptException e) {
        throw e;
      } catch (IOException e) {
        boolean missing = e instanceof NoSuchFileException;
        boolean same = description.isStillThere();
        unchanged += same ? 1 : 0;
        if (attempt == MOST_ATTEMPTS || (same && !missing) || unchanged == MOST_UNCHANGED) {
          throw e;
        }
      }
    }
  }

  private static Contents read(Path folder, DescriptionFile description, Device device)
      throws IOException {
    Path file = folder.resolve(description.weights());
    if (!Files.isRegularFile(file)) {
      throw DescriptionFile.missing(folder, description.weights());
    }
    // First of all: once it is open it stays, whatever becomes of the folder.
    try (SafetensorsReader reader = SafetensorsReader.open(file)) {
      Contents contents =
          ModelDescription.of(
              description.values(), device, new Checked(file, reader, digest(description)));
      return description.sha256().map(contents::in).orElse(contents);
    } catch (IllegalArgumentException e) {
      throw new IOException(
          description.file() + " is not valid: " + Quote.message(e.getMessage()), e);
    }
  }

  /** The digest that the weights must have; null if it is not known or nobody wants to know. */
  private static @Nullable String digest(DescriptionFile description) throws IOException {
    return System.getProperty(CHECK_PROPERTY, "true").equals("false")
        ? null
        : description.sha256().orElse(null);
  }

  /** Weights that are compared with their digest while they are read. */
  private record Checked(Path file, SafetensorsReader reader, @Nullable String sha256)
      implements ModelDescription.Weights {

    @Override
    public OptionalLong count() {
      return OptionalLong.of(reader.values());
    }

    @Override
    public void readInto(Map<String, NDArray> weights) throws IOException {
      if (sha256 == null) {
        reader.readInto(weights, null);
        return;
      }
      MessageDigest digest = WholeFile.sha256();
      reader.readInto(weights, digest);
      String found = HexFormat.of().formatHex(digest.digest());
      if (!found.equals(sha256)) {
        throw new IOException(
            file
                + " is damaged: the SHA-256 of its bytes is "
                + found
                + ", but "
                + ModelFiles.DESCRIPTION
                + " says "
                + sha256
                + "; copy the folder anew, or set the system property "
                + CHECK_PROPERTY
                + " to false if the weights were changed on purpose");
      }
    }
  }
}
