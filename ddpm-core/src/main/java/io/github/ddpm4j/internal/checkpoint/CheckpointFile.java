package io.github.ddpm4j.internal.checkpoint;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.ToNumberPolicy;
import com.google.gson.reflect.TypeToken;
import io.github.ddpm4j.internal.io.Safetensors;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.Map;

/**
 * The bytes of a checkpoint: a safetensors file whose metadata hold a description in JSON under
 * {@value #KEY}.
 */
public final class CheckpointFile {

  private static final String KEY = "ddpm4j.checkpoint";

  private static final Gson gson =
      new GsonBuilder()
          .disableHtmlEscaping()
          .serializeSpecialFloatingPointValues()
          .setObjectToNumberStrategy(ToNumberPolicy.LONG_OR_DOUBLE)
          .create();

  private CheckpointFile() {}

  /**
   * What a checkpoint holds.
   *
   * @param description texts, numbers, lists and maps; whole numbers are {@code Long}, others
   *     {@code Double}
   * @param tensors float32 or float64 arrays on the CPU by name
   */
  public record Contents(Map<String, Object> description, Map<String, NDArray> tensors) {}

  /**
   * Writes a checkpoint.
   *
   * @param out where to; not closed
   * @param contents what it holds; not closed
   * @throws IOException if writing fails
   */
  public static void write(OutputStream out, Contents contents) throws IOException {
    Safetensors.write(out, contents.tensors, Map.of(KEY, gson.toJson(contents.description)));
  }

  /**
   * A description as it will be read again.
   *
   * @param description the description
   * @return the same with whole numbers as {@code Long} and others as {@code Double}
   */
  public static Map<String, Object> asRead(Map<String, Object> description) {
    return gson.fromJson(gson.toJson(description), new TypeToken<>() {});
  }

  /**
   * Reads the words of a checkpoint.
   *
   * @param file the file
   * @return its description
   * @throws IOException if reading fails, or it is none, naming the file and what is wrong
   */
  public static Map<String, Object> description(Path file) throws IOException {
    String json = Safetensors.metadata(file).get(KEY);
    if (json == null) {
      throw new IOException(
          file + " is no checkpoint: its metadata have no " + KEY + "; choose a file of a run");
    }
    try {
      return gson.fromJson(json, new TypeToken<>() {});
    } catch (JsonParseException e) {
      throw new IOException(file + " is no checkpoint: its " + KEY + " is no JSON", e);
    }
  }

  /**
   * Reads a checkpoint.
   *
   * @param file the file
   * @param manager owns the arrays that are returned
   * @return what it holds
   * @throws IOException if reading fails, or it is none, naming the file and what is wrong
   */
  public static Contents read(Path file, NDManager manager) throws IOException {
    return new Contents(description(file), Safetensors.read(file, manager));
  }
}
