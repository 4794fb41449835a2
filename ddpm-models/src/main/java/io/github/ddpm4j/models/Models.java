package io.github.ddpm4j.models;

import ai.djl.Device;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.files.ResourceFile;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The models in the box. docs/models.md says of each what it was trained on and how, and how good
 * it is. Their weights are float16 in the file and float32 once they are loaded.
 */
public final class Models {

  private static final List<String> NAMES = List.of("faces", "fashion");

  private Models() {}

  /**
   * The names of the models.
   *
   * @return in alphabetical order
   */
  public static List<String> names() {
    return NAMES;
  }

  /**
   * Pixel-art portraits by attributes: pictures in colour, shape (3, 32, 32). Their {@link
   * DDPM#attributes()} say what can be asked for, any part of it or nothing. Guidance of 2 is a
   * good choice.
   *
   * <pre>{@code
   * faces.sampling().prompt("glasses=dark, hair=long").guidance(Guidance.classifierFree(2))
   * }</pre>
   *
   * @return the model, on the engine's default device; the caller closes it
   * @throws IOException if there is no room for a temporary file
   */
  public static DDPM faces() throws IOException {
    return load("faces");
  }

  /**
   * Fashion-MNIST by class: grey pictures of clothes, shape (1, 28, 28), ten classes with names,
   * trained with and without them. Guidance of 2 is a good choice.
   *
   * @return the model, on the engine's default device; the caller closes it
   * @throws IOException if there is no room for a temporary file
   */
  public static DDPM fashion() throws IOException {
    return load("fashion");
  }

  /**
   * Loads a model onto the engine's default device.
   *
   * @param name one of {@link #names()}, in any case
   * @return the model; the caller closes it
   * @throws IllegalArgumentException if there is no model of this name
   * @throws IOException if there is no room for a temporary file
   */
  public static DDPM load(String name) throws IOException {
    return open(name, null);
  }

  /**
   * Loads a model.
   *
   * @param name one of {@link #names()}, in any case
   * @param device where to put the weights
   * @return the model; the caller closes it
   * @throws IllegalArgumentException if there is no model of this name, or the device is a GPU that
   *     the engine does not see
   * @throws IOException if there is no room for a temporary file
   */
  public static DDPM load(String name, Device device) throws IOException {
    return open(name, Objects.requireNonNull(device, "device"));
  }

  private static DDPM open(String name, @Nullable Device device) throws IOException {
    String known = Objects.requireNonNull(name, "name").toLowerCase(Locale.ROOT);
    if (!NAMES.contains(known)) {
      throw new IllegalArgumentException(
          "the models in the box are " + NAMES + ", and none of them is \"" + name + "\"");
    }
    InputStream weights =
        Objects.requireNonNull(Models.class.getResourceAsStream(known + ".safetensors"), known);
    try (ResourceFile file = ResourceFile.of(weights, "ddpm4j-" + known + "-")) {
      return device == null ? DDPM.load(file.path()) : DDPM.load(file.path(), device);
    }
  }
}
