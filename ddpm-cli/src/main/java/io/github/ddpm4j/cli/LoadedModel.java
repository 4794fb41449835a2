package io.github.ddpm4j.cli;

import ai.djl.Device;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Sampling;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A model that the user named, of this library or another. Closing frees it. */
final class LoadedModel implements AutoCloseable {

  /** A folder of this library has this file. */
  private static final String DESCRIPTION = "ddpm.json";

  /** Folders of diffusers have one of them. */
  private static final List<String> FOREIGN =
      List.of("model_index.json", "config.json", "unet/config.json");

  private static final Pattern CHECKPOINT = Pattern.compile("step-\\d+\\.[0-9a-f]+\\.safetensors");
  private static final Pattern ID = Pattern.compile("[\\w.-]+/[\\w.-]+");

  private final DDPM ddpm;
  private final Supplier<Sampling> sampling;
  private final AutoCloseable owner;
  private final String weights;

  private LoadedModel(DDPM ddpm, Supplier<Sampling> sampling, AutoCloseable owner, String weights) {
    this.ddpm = ddpm;
    this.sampling = sampling;
    this.owner = owner;
    this.weights = weights;
  }

  /** Whether something was written by this library. */
  static boolean isOurs(Path path) {
    return Files.exists(path.resolve(DESCRIPTION))
        || CHECKPOINT.matcher(String.valueOf(path.getFileName())).matches();
  }

  /** Whether something looks like a model, and not like a folder of pictures. */
  static boolean isModel(String name) {
    Path path = Path.of(name);
    return isOurs(path)
        || Files.isRegularFile(path)
        || FOREIGN.stream().anyMatch(file -> Files.exists(path.resolve(file)))
        || isInTheBox(name)
        || (!Files.exists(path) && ID.matcher(name).matches());
  }

  /** A file or folder of the user's goes before a model of the same name. */
  private static boolean isInTheBox(String name) {
    return !Files.exists(Path.of(name)) && Models.names().contains(name);
  }

  /**
   * Checks that there is something of a name, as far as that can be told without loading it.
   *
   * @throws NoSuchFileException if there is neither a file nor a folder, and it is no name of a
   *     model in the box or of a hub
   */
  static void require(String name) throws NoSuchFileException {
    if (!Files.exists(Path.of(name)) && !isInTheBox(name) && !ID.matcher(name).matches()) {
      throw new NoSuchFileException(name);
    }
  }

  /** Checks that something can be the name of a model of a hub. */
  static void requireId(String name) {
    if (!ID.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "NAME must be like google/ddpm-cifar10-32, but was " + name);
    }
  }

  /** Loads a model. */
  static LoadedModel load(String name, Device device) throws IOException {
    require(name);
    if (isInTheBox(name)) {
      DDPM ddpm = Models.load(name, device);
      return new LoadedModel(ddpm, ddpm::sampling, ddpm, name);
    }
    Path path = Path.of(name);
    if (isOurs(path)) {
      DDPM ddpm = DDPM.load(path, device);
      return new LoadedModel(ddpm, ddpm::sampling, ddpm, weights(path));
    }
    Pretrained.Options options = Pretrained.options().device(device);
    if (Files.exists(path)) {
      Pretrained foreign = options.load(path);
      return new LoadedModel(foreign.ddpm(), foreign::sampling, foreign, weights(path));
    }
    Pretrained foreign = options.load(name);
    return new LoadedModel(foreign.ddpm(), foreign::sampling, foreign, name);
  }

  DDPM ddpm() {
    return ddpm;
  }

  /** A run as the model's files want it. */
  Sampling sampling() {
    return sampling.get();
  }

  /**
   * What tells its weights from those of others, where the samples don't tell: the SHA-256 of its
   * file or of all files of its folder, or its name in a hub.
   */
  String weights() {
    return weights;
  }

  /** The shape of its images. */
  Shape shape() {
    return ddpm.denoiser()
        .flatMap(network -> network.imageShape())
        .orElseThrow(
            () -> new IllegalArgumentException("the model's network tells no size of images"));
  }

  private static String weights(Path path) throws IOException {
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

  @Override
  public void close() {
    try {
      owner.close();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
