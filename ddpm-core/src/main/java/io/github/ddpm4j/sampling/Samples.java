package io.github.ddpm4j.sampling;

import ai.djl.modality.cv.Image;
import ai.djl.modality.cv.ImageFactory;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.picture.PictureFiles;
import io.github.ddpm4j.internal.torch.Turns;
import io.github.ddpm4j.model.DataRange;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Generated images, with the seed that reproduces them. Holds native memory: close it. Threads may
 * share it, and closing waits for those that read it.
 *
 * <p>Signals and volumes are no pictures: {@link #toNDArray} alone has them.
 */
public final class Samples implements AutoCloseable {

  /** The minimum length in pixels of an image's longer side in a saved grid: {@value}. */
  public static final int LEAST_GRID_SIDE = 64;

  /** The dimensions of a batch of pictures. */
  private static final int PICTURES = 4;

  private final NDManager manager;
  private final NDArray images;
  private final Shape shape;
  private final DataRange range;
  private final @Nullable Long seed;
  private final SampleNotes notes;
  private final Turns turns =
      new Turns(
          "Samples",
          "these samples are closed and their images are freed; copy them by toNDArray(manager)"
              + " before closing");

  Samples(
      NDManager manager, NDArray images, DataRange range, @Nullable Long seed, SampleNotes notes) {
    this.notes = notes;
    this.manager = manager;
    this.images = images;
    this.shape = images.getShape();
    this.range = range;
    this.seed = seed;
  }

  /**
   * The number of images.
   *
   * @return at least 1
   * @throws IllegalStateException if the samples are closed
   */
  public int size() {
    try (Turns.Turn turn = turns.use()) {
      return Math.toIntExact(shape.get(0));
    }
  }

  /**
   * The seed of the noise: the same model, sampler and seed give the same images.
   *
   * @return the seed, or empty when the run was given a {@link io.github.ddpm4j.noise.NoiseSource},
   *     or used no noise ({@link Sampling#encode})
   */
  public OptionalLong seed() {
    return seed == null ? OptionalLong.empty() : OptionalLong.of(seed);
  }

  /**
   * The images as one array.
   *
   * @param target the manager that owns the copy
   * @return a copy, shape (N, C, H, W), or (N, C, L) of signals and (N, C, D, H, W) of volumes, in
   *     the data range of the model, attached to {@code target} and on its device
   * @throws IllegalStateException if the samples are closed
   */
  public NDArray toNDArray(NDManager target) {
    try (Turns.Turn turn = turns.use()) {
      NDArray copy =
          images.getDevice().equals(target.getDevice())
              ? images.duplicate()
              : images.toDevice(target.getDevice(), true);
      copy.attach(target);
      return copy;
    }
  }

  /**
   * The images as pictures: the data range maps to black to white, and values outside it are
   * clamped.
   *
   * @return DJL images, greyscale for one channel and RGB for three
   * @throws IllegalStateException if the samples are closed
   * @throws IllegalArgumentException if the images have neither one channel nor three, or are
   *     signals or volumes
   */
  public List<Image> images() {
    try (Turns.Turn turn = turns.use()) {
      return shown().toImages().stream()
          .map(picture -> ImageFactory.getInstance().fromImage(picture))
          .toList();
    }
  }

  /**
   * The images as pictures of Java, as {@link #images()} shows them.
   *
   * @return one for each image, at its size, grey or RGB; the caller may modify them
   * @throws IllegalStateException if the samples are closed
   * @throws IllegalArgumentException if the images have neither one channel nor three, or are
   *     signals or volumes
   */
  public List<BufferedImage> pictures() {
    try (Turns.Turn turn = turns.use()) {
      return shown().toImages();
    }
  }

  /**
   * How an image was drawn, as {@link #save} writes it into the file: {@code ddpm4j} and {@code
   * djl}, the versions; {@code model}, the SHA-256 of the file of the weights, where they were
   * loaded from a model folder; {@code use}, {@code noise} for images drawn from noise; {@code
   * sampler}, as {@link Samplers#parse} reads it; {@code seed}, unless the noise was the caller's;
   * {@code batchSize}, the number of all images before it and the index of this one after it;
   * {@code label}, {@code class}, {@code condition}, {@code guidance}, and {@code limit}, what was
   * done to x̂_0.
   *
   * @param image the index of the image, from 0
   * @return the words in this order; unmodifiable
   * @throws IndexOutOfBoundsException if there is no such image
   * @throws IllegalStateException if the samples are closed
   */
  public Map<String, String> provenance(int image) {
    requireImage(image);
    return notes.of(image);
  }

  private void requireImage(int image) {
    int size = size();
    if (image < 0 || image >= size) {
      throw new IndexOutOfBoundsException("image must lie in [0, " + size + "), but was " + image);
    }
  }

  /**
   * Writes one image to a PNG file at its original size, without a border, with its {@linkplain
   * #provenance provenance}, which {@link Pictures#provenance} reads.
   *
   * @param image the index of the image, from 0
   * @param file the target file; replaced if it exists
   * @throws IndexOutOfBoundsException if there is no such image
   * @throws IllegalStateException if the samples are closed
   * @throws IOException if writing fails; an existing file is left intact
   * @throws IllegalArgumentException if the images have neither one channel nor three, or are
   *     signals or volumes, or the name ends as that of another format
   */
  public void save(int image, Path file) throws IOException {
    Objects.requireNonNull(file, "file");
    requireImage(image);
    Pictures.write(picture(image), file, notes.of(image));
  }

  /**
   * Writes one image as a PNG file to a stream, as {@link #save(int, Path)} does to a file.
   *
   * @param image the index of the image, from 0
   * @param out where to write; flushed, not closed
   * @throws IndexOutOfBoundsException if there is no such image
   * @throws IllegalStateException if the samples are closed
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if the images have neither one channel nor three, or are
   *     signals or volumes
   */
  public void write(int image, OutputStream out) throws IOException {
    Objects.requireNonNull(out, "out");
    requireImage(image);
    Pictures.write(picture(image), out, notes.of(image));
  }

  private BufferedImage picture(int image) {
    try (Turns.Turn turn = turns.use();
        NDArray one = images.get("{}:{}", image, image + 1)) {
      requirePictures();
      return Pictures.of(one).dataRange(range).toImages().get(0);
    }
  }

  /**
   * Writes all images to one PNG file, in a roughly square grid. Small images are enlarged by an
   * integer factor until their longer side has at least {@value #LEAST_GRID_SIDE} pixels; {@link
   * io.github.ddpm4j.image.Pictures} offers other layouts. The file says how they were drawn, as
   * that of {@link #save} does.
   *
   * @param file the target file; replaced if it exists
   * @throws IllegalStateException if the samples are closed
   * @throws IOException if writing fails; an existing file is left intact
   * @throws IllegalArgumentException if the images have neither one channel nor three, or are
   *     signals or volumes, or the name ends as that of another format
   */
  public void saveGrid(Path file) throws IOException {
    Objects.requireNonNull(file, "file");
    try (Turns.Turn turn = turns.use()) {
      save(grid(), file);
    }
  }

  /**
   * Writes all images to one PNG file, row by row in a grid with a given number of columns;
   * enlarged as in {@link #saveGrid(Path)}.
   *
   * @param file the target file; replaced if it exists
   * @param columns the number of images per row, at least 1
   * @throws IllegalStateException if the samples are closed
   * @throws IOException if writing fails; an existing file is left intact
   * @throws IllegalArgumentException if {@code columns} is less than 1, or the images have neither
   *     one channel nor three, or are signals or volumes, or the name ends as that of another
   *     format, such as {@code .jpg}
   */
  public void saveGrid(Path file, int columns) throws IOException {
    Objects.requireNonNull(file, "file");
    try (Turns.Turn turn = turns.use()) {
      save(grid().columns(columns), file);
    }
  }

  private void save(Pictures grid, Path file) throws IOException {
    PictureFiles.requireSuffix(PictureFiles.PNG, file);
    Pictures.write(grid.toGrid(), file, notes.ofAll());
  }

  private Pictures grid() {
    requirePictures();
    long side = Math.max(shape.get(2), shape.get(3));
    return shown().enlarge((int) Math.max(1, (LEAST_GRID_SIDE + side - 1) / side));
  }

  private void requirePictures() {
    if (shape.dimension() != PICTURES) {
      throw new IllegalArgumentException(
          "samples of shape "
              + shape
              + " are "
              + (shape.dimension() < PICTURES ? "signals" : "volumes")
              + " and no pictures; take them by toNDArray(manager)");
    }
  }

  private Pictures shown() {
    requirePictures();
    return Pictures.of(images).dataRange(range);
  }

  @Override
  public String toString() {
    return "Samples[" + (turns.isClosed() ? "closed" : shape) + ", seed=" + seed + "]";
  }

  /**
   * Frees the images, once the threads that read them are done. Does nothing the second time.
   *
   * @throws IllegalStateException if this thread is reading them
   */
  @Override
  public void close() {
    turns.close(manager::close);
  }
}
