package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.io.Versions;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.Diffusion;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** How the images of a run were drawn, in the words that their files get. */
final class SampleNotes {

  private final Map<String, String> words = new LinkedHashMap<>();
  private final List<Map<String, String>> beside;
  private final Condition condition;
  private final List<String> classNames;
  private final long first;

  /** What the vectors ask for by name, an entry per image; empty where they have no such text. */
  private final List<Optional<String>> attributes;

  /**
   * @param words what holds for all images
   * @param beside what else is to be said of each image; empty for nothing
   * @param condition that of each image
   * @param diffusion tells what classes and vectors are called
   * @param first the index that the first image is said to have
   */
  SampleNotes(
      Map<String, String> words,
      List<Map<String, String>> beside,
      Condition condition,
      Diffusion diffusion,
      long first) {
    this.words.putAll(Versions.ofLibraries());
    this.words.putAll(words);
    this.beside = beside;
    if (!beside.isEmpty()) {
      Map<String, String> alike = new LinkedHashMap<>(beside.get(0));
      beside.forEach(other -> alike.entrySet().retainAll(other.entrySet()));
      this.words.putAll(alike);
    }
    this.condition = condition;
    this.first = first;
    this.classNames = diffusion.classNames();
    this.attributes =
        diffusion.attributes().map(known -> texts(known, condition)).orElse(List.of());
  }

  /** Read now: the arrays are the caller's, who may close them before anybody asks. */
  private static List<Optional<String>> texts(Attributes known, Condition condition) {
    if (!condition.has(Kind.VECTORS)) {
      return List.of();
    }
    try (NDManager manager = NDManager.newBaseManager()) {
      float[] all = condition.array(Kind.VECTORS, manager).toFloatArray();
      int length = all.length / condition.size().orElseThrow();
      return IntStream.iterate(0, at -> at < all.length, at -> at + length)
          .mapToObj(at -> known.text(Arrays.copyOfRange(all, at, at + length)))
          .toList();
    }
  }

  /** What holds for all images. */
  Map<String, String> ofAll() {
    return Collections.unmodifiableMap(words);
  }

  /** What holds for one of them. */
  Map<String, String> of(int image) {
    Map<String, String> all = new LinkedHashMap<>(words);
    if (!beside.isEmpty()) {
      all.putAll(beside.get(image));
    }
    all.put("image", Long.toString(first + image));
    if (condition.has(Kind.LABELS) && condition.label(image).isPresent()) {
      int label = condition.label(image).getAsInt();
      all.put("label", Integer.toString(label));
      if (label < classNames.size()) {
        all.put("class", classNames.get(label));
      }
    }
    Optional<String> asked =
        image < attributes.size() && condition.isPresent(Kind.VECTORS, image)
            ? attributes.get(image)
            : Optional.empty();
    asked.ifPresent(text -> all.put(Attributes.METADATA, text));
    List<Kind> others =
        Stream.of(Kind.values())
            .filter(kind -> kind != Kind.LABELS && condition.has(kind))
            .filter(kind -> kind != Kind.VECTORS || asked.isEmpty())
            .filter(kind -> condition.isPresent(kind, image))
            .toList();
    if (!others.isEmpty()) {
      all.put("condition", others.stream().map(Kind::toString).collect(Collectors.joining(", ")));
    }
    return Collections.unmodifiableMap(all);
  }
}
