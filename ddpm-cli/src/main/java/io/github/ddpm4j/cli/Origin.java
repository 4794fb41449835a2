package io.github.ddpm4j.cli;

import io.github.ddpm4j.internal.io.Versions;
import io.github.ddpm4j.model.Attributes;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What files of pictures say of how they were made, where it is not of a single sample. */
final class Origin {

  /** Words that are of a single picture. */
  static final List<String> OF_ONE = List.of("label", "class", Attributes.METADATA);

  /** The command that made a picture, unless it was sample. */
  private static final String COMMAND = "command";

  /** What tells weights of a pipeline apart, whose name is its model. */
  static final String WEIGHTS = "weights";

  private Origin() {}

  /** Words of a picture that no model drew. */
  static Map<String, String> of(String command) {
    return of(command, Versions.ofLibraries());
  }

  /** Words of what ddpm text drew with a pipeline of such weights. */
  static Map<String, String> ofText(Map<String, String> drawn, String weights) {
    Map<String, String> words = of(TextCommand.NAME, drawn);
    words.put(WEIGHTS, weights);
    return words;
  }

  /** Words of a single picture that another command than sample drew. */
  static Map<String, String> of(String command, Map<String, String> drawn) {
    Map<String, String> words = new LinkedHashMap<>(drawn);
    words.put(COMMAND, command);
    return words;
  }

  /**
   * Words of a picture of several samples.
   *
   * @param drawn those of one of them
   * @param asked what was asked for
   * @param count the number of samples
   */
  static Map<String, String> of(
      String command, Map<String, String> drawn, Map<String, String> asked, int count) {
    Map<String, String> words = new LinkedHashMap<>(drawn);
    words.keySet().removeAll(OF_ONE);
    words.put(COMMAND, command);
    words.putAll(asked);
    words.put("image", "0 to " + (count - 1));
    return words;
  }

  /** The command that drew the pictures of a folder, by the settings of all. */
  static String commandOf(Map<String, String> settings) {
    return settings.getOrDefault(COMMAND, "sample");
  }

  /** Whether a picture is a grid of {@code ddpm edit}. */
  static boolean isEdit(Map<String, String> words) {
    return Edit.COMMAND.equals(words.get(COMMAND));
  }

  /** Whether a picture shows what a text says, drawn by {@code ddpm text} or by a program. */
  static boolean isText(Map<String, String> words) {
    return words.containsKey(COMMAND)
        ? isOfTextCommand(words)
        : words.containsKey("pipeline") && words.containsKey("prompt");
  }

  /** Whether a picture is of {@code ddpm text}. */
  static boolean isOfTextCommand(Map<String, String> words) {
    return TextCommand.NAME.equals(words.get(COMMAND));
  }

  /** Refuses to draw a picture again that is of another command than those that are. */
  static void requireSample(Path file, Map<String, String> words) {
    String command = words.get(COMMAND);
    if (command != null) {
      throw new IllegalArgumentException(
          file
              + " was made by ddpm "
              + command
              + ", and only pictures of ddpm sample, text and edit are drawn again; name one of"
              + " those");
    }
  }
}
