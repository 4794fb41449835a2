package io.github.ddpm4j.examples;

import io.github.ddpm4j.data.Face;
import io.github.ddpm4j.data.Faces;
import java.util.List;
import java.util.stream.IntStream;

/** Which portraits a model is trained on, and which it has never seen. */
final class FaceSets {

  private static final long SEEN = 1;
  private static final long HELD_OUT = 2;

  private FaceSets() {}

  /** None of them wears glasses under a hat. */
  static Faces.Builder training(int count) {
    return Faces.builder(count).seed(SEEN).without(FaceSets::glassesUnderHat);
  }

  /** Others of the same kind. */
  static List<Face> heldOut(int count) {
    return list(training(count).seed(HELD_OUT), count);
  }

  /** All of them wear glasses under a hat. */
  static List<Face> glassesUnderHats(int count) {
    return list(Faces.builder(count).seed(HELD_OUT).without(f -> !glassesUnderHat(f)), count);
  }

  static boolean glassesUnderHat(Face face) {
    return !face.value(Face.Attribute.GLASSES).equals("none")
        && !face.value(Face.Attribute.HAT).equals("none");
  }

  static List<Face> list(Faces.Builder settings, int count) {
    Faces faces = settings.setSampling(1, false).build();
    return IntStream.range(0, count).mapToObj(faces::face).toList();
  }
}
