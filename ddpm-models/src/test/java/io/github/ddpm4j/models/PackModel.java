package io.github.ddpm4j.models;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Makes the file of a model in the box from its folder: names of classes and a card in, halves of
 * the bytes out. It prints what samples lose by that, and by the other type of 16 bits.
 */
final class PackModel {

  private static final int SAMPLES = 40;

  private PackModel() {}

  /**
   * Packs.
   *
   * @param args the model's folder or file, the file to write, the names of the classes with commas
   *     between them or nothing, and words of the card as {@code name=text}
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
      DDPM named = model.withClassNames(classes).withMetadata(card);
      named.saveSafetensors(Path.of(args[1]), DataType.FLOAT16);
      for (DataType type : List.of(DataType.FLOAT16, DataType.BFLOAT16)) {
        System.out.printf(
            Locale.ROOT, "weights of %s: samples differ by %.5f%n", type, difference(named, type));
      }
    }
  }

  /**
   * The root mean square of what the weights' rounding changes in samples, of values in [-1, 1].
   */
  private static double difference(DDPM model, DataType type) throws IOException {
    Path file = Files.createTempFile("packed", ".safetensors");
    try (NDManager manager = NDManager.newBaseManager()) {
      model.saveSafetensors(file, type);
      try (DDPM rounded = DDPM.load(file)) {
        NDArray changes = samples(rounded, manager).sub(samples(model, manager));
        return Math.sqrt(changes.square().mean().getFloat());
      }
    } finally {
      Files.deleteIfExists(file);
    }
  }

  private static NDArray samples(DDPM model, NDManager manager) {
    try (Samples samples =
        model.sampling().sampler(Samplers.dpmSolverPlusPlus(20)).seed(1).generate(SAMPLES)) {
      return samples.toNDArray(manager);
    }
  }
}
