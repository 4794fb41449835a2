package io.github.ddpm4j.models;

import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Makes the file of a model in the box from its folder: names of classes and a card in, halves of
 * the bytes out.
 */
final class PackModel {

  private PackModel() {}

  /**
   * Packs.
   *
   * @param args the model folder, the file, the names of the classes with commas between them or
   *     nothing, and words of the card as {@code name=text}
   * @throws IOException if a file can't be read or written
   */
  public static void main(String[] args) throws IOException {
    Map<String, String> card = new LinkedHashMap<>();
    for (String word : Arrays.asList(args).subList(3, args.length)) {
      int place = word.indexOf('=');
      card.put(word.substring(0, place), word.substring(place + 1));
    }
    List<String> classes = args[2].isEmpty() ? List.of() : List.of(args[2].split(","));
    try (DDPM model = DDPM.load(Path.of(args[0]))) {
      model
          .withClassNames(classes)
          .withMetadata(card)
          .saveSafetensors(Path.of(args[1]), DataType.FLOAT16);
    }
  }
}
