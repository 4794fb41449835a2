package io.github.ddpm4j.internal.data;

import ai.djl.training.dataset.Dataset;
import java.util.List;
import java.util.function.LongFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * How messages name the images of a batch: by what their user can find, the index in the dataset,
 * and not by the place in a shuffled batch.
 */
public final class RecordNames {

  /** So many images of a batch are named at most: {@value}. */
  private static final int SHOWN = 16;

  private final List<Long> indices;
  private final long number;

  /** What knows more of a record than its index. */
  private final @Nullable DescribedDataset origins;

  private RecordNames(List<Long> indices, long number, @Nullable DescribedDataset origins) {
    this.indices = indices;
    this.number = number;
    this.origins = origins;
  }

  /**
   * The names of images that were read by their indices.
   *
   * @param dataset the dataset; its images are also named by their origin if it knows that
   * @param indices the index of each image
   * @return the names
   */
  public static RecordNames of(Dataset dataset, List<Long> indices) {
    return new RecordNames(indices, 0, dataset instanceof DescribedDataset known ? known : null);
  }

  /**
   * The names of the images of a batch of the dataset's own.
   *
   * @param number the number of the batch since the dataset was last begun, from 1
   * @return the names
   */
  public static RecordNames ofBatch(long number) {
    return new RecordNames(List.of(), number, null);
  }

  /**
   * One image.
   *
   * @param place its place in the batch, from 0
   * @return {@code image 17 of the dataset}, with {@code (cats/3.png)} where the origin is known,
   *     or {@code image 3 of batch 2 of the dataset}
   */
  public String image(int place) {
    if (indices.isEmpty()) {
      return "image " + place + " of batch " + number + " of the dataset";
    }
    long index = indices.get(place);
    return "image " + index + " of the dataset" + origins(List.of(index));
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
    return indices.isEmpty()
        ? all()
        : new RecordNames(places.stream().map(indices::get).toList(), 0, origins).all();
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
    return "images " + joined(String::valueOf) + " of the dataset" + origins(indices);
  }

  private String origins(List<Long> some) {
    DescribedDataset known = origins;
    if (known == null) {
      return "";
    }
    return " (" + (some.size() == 1 ? known.nameOf(some.get(0)) : joined(known::nameOf)) + ")";
  }

  private String joined(LongFunction<String> name) {
    String some = indices.stream().limit(SHOWN).map(name::apply).collect(Collectors.joining(", "));
    return some + (indices.size() > SHOWN ? ", …" : "");
  }
}
