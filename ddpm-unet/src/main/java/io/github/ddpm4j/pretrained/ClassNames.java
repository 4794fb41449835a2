package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.internal.io.JsonFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The names of classes, in the words about weights: the files of diffusers' networks lack them. */
final class ClassNames {

  static final String KEY = "ddpm4j.classes";

  private static final String NAMES = "names";

  private ClassNames() {}

  /** Adds them, if there are any. */
  static void put(Map<String, String> words, List<String> names) {
    if (!names.isEmpty()) {
      // In one line, as such words are.
      words.put(KEY, JsonFile.text(Map.of(NAMES, names)).replaceAll("\\s*\n\\s*", ""));
    }
  }

  /**
   * Those of a file.
   *
   * @param words what the file says of itself
   * @param from the file, for messages
   * @return none, unless {@link #put} has added some
   * @throws IOException if something else stands in their place
   */
  static List<String> of(Map<String, ?> words, String from) throws IOException {
    Object text = words.get(KEY);
    if (text == null) {
      return List.of();
    }
    byte[] bytes = String.valueOf(text).getBytes(StandardCharsets.UTF_8);
    @Nullable Object names = JsonFile.parse(from + ": " + KEY, bytes).get(NAMES);
    if (!(names instanceof List<?> list) || !list.stream().allMatch(String.class::isInstance)) {
      throw new IOException(from + ": " + KEY + " must have a list of names, but was " + text);
    }
    return list.stream().map(String.class::cast).toList();
  }
}
