package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.data.Face;
import io.github.ddpm4j.data.Face.Attribute;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/** Reads pictures of faces: what they show, and how near they are to faces that were seen. */
final class FaceReading {

  private static final int LENGTH = 3 * Face.SIDE * Face.SIDE;

  private final List<Face> seen;

  FaceReading(List<Face> seen) {
    this.seen = seen;
  }

  /** The pictures of faces, (N, 3, 32, 32). */
  static NDArray pictures(NDManager manager, List<Face> faces) {
    float[] all = new float[faces.size() * LENGTH];
    for (int i = 0; i < faces.size(); i++) {
      System.arraycopy(faces.get(i).pixels(), 0, all, i * LENGTH, LENGTH);
    }
    return manager.create(all, new Shape(faces.size(), 3, Face.SIDE, Face.SIDE));
  }

  /** The share of what was asked for that each picture shows. */
  static double[] shown(NDArray pictures, List<Face> asked) {
    List<Face> read = read(pictures);
    return IntStream.range(0, asked.size())
        .mapToDouble(
            i ->
                Arrays.stream(Attribute.values())
                    .mapToDouble(a -> isSame(a, read.get(i), asked.get(i)) ? 1 : 0)
                    .average()
                    .orElse(0))
        .toArray();
  }

  private static boolean isSame(Attribute attribute, Face read, Face asked) {
    return read.value(attribute).equals(asked.value(attribute));
  }

  private static List<Face> read(NDArray pictures) {
    float[] pixels = pictures.toFloatArray();
    return IntStream.range(0, pixels.length / LENGTH)
        .mapToObj(i -> Face.nearest(Arrays.copyOfRange(pixels, i * LENGTH, (i + 1) * LENGTH)))
        .toList();
  }

  /**
   * Prints how alike the values of each attribute are spread in pictures and in faces: the sum of
   * the lesser share of each value, 1 for the same shares.
   */
  static void printCoverage(NDArray pictures, List<Face> faces) {
    List<Face> found = read(pictures);
    System.out.print("  covers");
    int seen = 0;
    int all = 0;
    for (Attribute attribute : Attribute.values()) {
      double common = 0;
      for (String value : attribute.names()) {
        double drawn = share(found, attribute, value);
        common += Math.min(drawn, share(faces, attribute, value));
        seen += drawn > 0 ? 1 : 0;
        all++;
      }
      System.out.printf(Locale.ROOT, " %s %.3f", attribute, common);
    }
    System.out.printf(Locale.ROOT, "; %d of %d values appear%n", seen, all);
  }

  private static double share(List<Face> faces, Attribute attribute, String value) {
    long with = faces.stream().filter(face -> face.value(attribute).equals(value)).count();
    return (double) with / faces.size();
  }

  /** Prints how many pictures show what was asked for, and how near they are to faces seen. */
  void print(String what, NDArray pictures, List<Face> asked) {
    System.out.println(what + ", as they are read");
    List<Face> found = read(pictures);
    int count = asked.size();
    Map<Attribute, Integer> right = new EnumMap<>(Attribute.class);
    int[] nearest = new int[count];
    for (int i = 0; i < count; i++) {
      Face read = found.get(i);
      for (Attribute attribute : Attribute.values()) {
        right.merge(attribute, isSame(attribute, read, asked.get(i)) ? 1 : 0, Integer::sum);
      }
      nearest[i] = seen.stream().mapToInt(read::differences).min().orElse(0);
    }
    double all = right.values().stream().mapToInt(hits -> hits).average().orElse(0);
    System.out.printf(Locale.ROOT, "  shows %.3f of what is asked:", all / count);
    right.forEach(
        (attribute, hits) ->
            System.out.printf(Locale.ROOT, " %s %.3f", attribute, (double) hits / count));
    Arrays.sort(nearest);
    long copies = Arrays.stream(nearest).filter(parts -> parts == 0).count();
    System.out.printf(
        Locale.ROOT,
        "%n  differs in %d parts (median) from the nearest face seen, %d are copies%n",
        nearest[count / 2],
        copies);
    printCoverage(pictures, asked);
  }
}
