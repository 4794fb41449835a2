package io.github.ddpm4j.internal.io;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.Uninterrupted;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.torch.Machine;
import java.io.IOException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.Consumer;

/**
 * A model in one file of safetensors, whose words hold what a model folder has in {@value
 * ModelFiles#DESCRIPTION}.
 */
public final class ModelFile {

  /** The word that holds the description. */
  private static final String WORD = DescriptionFile.NAME;

  private ModelFile() {}

  /**
   * Whether a file holds a model, and not weights alone.
   *
   * @param words the words about its tensors
   * @return whether a description is among them
   */
  public static boolean isOne(Map<String, ?> words) {
    return words.containsKey(WORD);
  }

  /**
   * Writes a model, whole or not at all.
   *
   * @param file the file; missing folders are made, an existing file is replaced
   * @param contents the model
   * @param type what the weights are written as: FLOAT32, BFLOAT16 or FLOAT16
   * @param check may refuse the weights, which nobody changes meanwhile
   * @throws IOException if writing fails; what was there before is still there
   */
  public static void write(
      Path file, ModelFolder.Contents contents, DataType type, Consumer<Map<String, NDArray>> check)
      throws IOException {
    Map<String, String> words = new LinkedHashMap<>();
    // What Python's readers of weights ask for.
    words.put("format", "pt");
    words.put(WORD, DescriptionFile.text(ModelDescription.describe(contents)));
    Runnable read = contents.denoiser().beginReading();
    try {
      Map<String, NDArray> weights = contents.denoiser().weights();
      check.accept(weights);
      Safetensors.write(file, weights, words, type);
    } finally {
      read.run();
    }
  }

  /**
   * Reads a model.
   *
   * @param file the file
   * @param device where to put the weights
   * @return the model; the caller closes its denoiser
   * @throws IllegalArgumentException if the device is a GPU that the engine does not see
   * @throws java.nio.file.NoSuchFileException if there is no such file
   * @throws IOException if reading fails, or the file is damaged or does not hold a model
   */
  public static ModelFolder.Contents read(Path file, Device device) throws IOException {
    Machine.device(device);
    return Uninterrupted.run(() -> readOnce(file, device));
  }

  private static ModelFolder.Contents readOnce(Path file, Device device) throws IOException {
    try (SafetensorsReader reader = SafetensorsReader.open(file)) {
      String text = reader.header().words().get(WORD);
      if (text == null) {
        throw new IOException(
            file
                + " holds weights and no description of a model; load the folder that it belongs"
                + " to, or weights of another library by Pretrained.load of ddpm-unet");
      }
      MessageDigest digest = WholeFile.sha256();
      return ModelDescription.of(
              DescriptionFile.of(file, text).values(),
              device,
              new ModelDescription.Weights() {
                @Override
                public void readInto(Map<String, NDArray> weights) throws IOException {
                  reader.readInto(weights, digest);
                }

                @Override
                public OptionalLong count() {
                  return OptionalLong.of(reader.values());
                }
              })
          .in(HexFormat.of().formatHex(digest.digest()));
    } catch (IllegalArgumentException e) {
      throw new IOException(file + " is not valid: " + Quote.message(e.getMessage()), e);
    }
  }
}
