package io.github.ddpm4j.internal.data;

import java.util.List;
import java.util.stream.Collectors;

/**
 * How messages name the images of a batch: by what their user can find, the index in the dataset,
 * and not by the place in a shuffled batch.
 */
public final class RecordNames {

  /** So many images of a batch are named at most: {@value}. */
  private static final int SHOWN = 16;

  private final List<Long> indices;
  private final long number;

  private RecordNames(List<Long> indices, long number) {
    this.indices = indices;
    this.number = number;
  }

  /**
   * The names of images that were read by their indices.
   *
   * @param indices the index of each image
   * @return the names
   */
  public static RecordNames of(List<Long> indices) {
    return new RecordNames(indices, 0);
  }

  /**
   * The names of the images of a batch of the dataset's own.
   *
   * @param number the number of the batch since the dataset was last begun, from 1
   * @return the names
   */
  public static RecordNames ofBatch(long number) {
    return new RecordNames(List.of(), number);
  }

  /**
   * One image.
   *
   * @param place its place in the batch, from 0
   * @return {@code image 17 of the dataset}, or {@code image 3 of batch 2 of the dataset}
   */
  public String image(int place) {
    if (indices.isEmpty()) {
      return "image " + place + " of batch " + number + " of the dataset";
    }
    return "image " + indices.get(place) + " of the dataset";
  }

  /**
   * Some images.
   *
   * @param places their places in the batch, at least one
   * @return {@code images 17, 3 of the dataset}, or {@code batch 2 of the dataset}
   */
  public String some(List<Integer> places) {
    if (places.size() == 1) {
      return image(places.get(0));
    }
    return indices.isEmpty() ? all() : of(places.stream().map(indices::get).toList()).all();
  }

  /**
   * All images.
   *
   * @return {@code images 17, 3, 8 of the dataset}, or {@code batch 2 of the dataset}
   */
  public String all() {
    if (indices.isEmpty()) {
      return "batch " + number + " of the dataset";
    }
    if (indices.size() == 1) {
      return image(0);
    }
    String some =
        indices.stream().limit(SHOWN).map(String::valueOf).collect(Collectors.joining(", "));
    return "images " + some + (indices.size() > SHOWN ? ", …" : "") + " of the dataset";
  }
}
