package io.github.ddpm4j.sampling;

import ai.djl.modality.cv.Image;
import ai.djl.modality.cv.ImageFactory;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.DataRange;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** Images that were drawn, with the seed that draws them again. Holds native memory: close it. */
public final class Samples implements AutoCloseable {

  /** The least pixels that the longer side of an image has in a saved grid: {@value}. */
  public static final int LEAST_GRID_SIDE = 64;

  private final NDManager manager;
  private final NDArray images;
  private final DataRange range;
  private final @Nullable Long seed;
  private boolean closed;

  Samples(NDManager manager, NDArray images, DataRange range, @Nullable Long seed) {
    this.manager = manager;
    this.images = images;
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
    requireOpen();
    return Math.toIntExact(images.getShape().get(0));
  }

  /**
   * The seed of the noise: the same model, sampler and seed give the same images.
   *
   * @return the seed, or empty when the run was given a {@link io.github.ddpm4j.noise.NoiseSource},
   *     or drew no noise at all: {@link Sampling#encode}
   */
  public OptionalLong seed() {
    return seed == null ? OptionalLong.empty() : OptionalLong.of(seed);
  }

  /**
   * The images as one array.
   *
   * @param target the manager that shall own the copy
   * @return a copy, shape (N, C, H, W), in the data range of the model, attached to {@code target}
   *     and on its device
   * @throws IllegalStateException if the samples are closed
   */
  public NDArray toNDArray(NDManager target) {
    requireOpen();
    NDArray copy =
        images.getDevice().equals(target.getDevice())
            ? images.duplicate()
            : images.toDevice(target.getDevice(), true);
    copy.attach(target);
    return copy;
  }

  /**
   * The images as pictures: the data range becomes black to white, values outside it are clamped.
   *
   * @return DJL images, grey for one channel and RGB for three
   * @throws IllegalStateException if the samples are closed
   * @throws IllegalArgumentException if the images have another number of channels
   */
  public List<Image> images() {
    return pictures().toImages().stream()
        .map(picture -> ImageFactory.getInstance().fromImage(picture))
        .toList();
  }

  /**
   * Writes one image into a PNG file, as it is: a pixel of the image is one of the file, without a
   * border.
   *
   * @param image the index of the image, from 0
   * @param file where to; replaced if it exists
   * @throws IndexOutOfBoundsException if there is no such image
   * @throws IllegalStateException if the samples are closed
   * @throws IOException if writing fails; what was there before is still there
   * @throws IllegalArgumentException if the images have neither one channel nor three
   */
  public void save(int image, Path file) throws IOException {
    int size = size();
    if (image < 0 || image >= size) {
      throw new IndexOutOfBoundsException("image must lie in [0, " + size + "), but was " + image);
    }
    try (NDArray one = images.get("{}:{}", image, image + 1)) {
      Pictures.write(Pictures.of(one).dataRange(range.min(), range.max()).toImages().get(0), file);
    }
  }

  /**
   * Writes all images into one PNG file, in a grid of about as many rows as columns. Small images
   * are enlarged by a whole factor, until their longer side has at least {@value #LEAST_GRID_SIDE}
   * pixels; {@link io.github.ddpm4j.image.Pictures} gives other layouts.
   *
   * @param file where to; replaced if it exists
   * @throws IllegalStateException if the samples are closed
   * @throws IOException if writing fails; what was there before is still there
   * @throws IllegalArgumentException if the images have neither one channel nor three
   */
  public void saveGrid(Path file) throws IOException {
    grid().save(file);
  }

  /**
   * Writes all images into one PNG file, in a grid of so many columns, row by row; enlarged as
   * {@link #saveGrid(Path)} does.
   *
   * @param file where to; replaced if it exists
   * @param columns how many images stand beside each other, at least 1
   * @throws IllegalStateException if the samples are closed
   * @throws IOException if writing fails; what was there before is still there
   * @throws IllegalArgumentException if {@code columns} is less than 1, or the images have neither
   *     one channel nor three
   */
  public void saveGrid(Path file, int columns) throws IOException {
    grid().columns(columns).save(file);
  }

  private Pictures grid() {
    requireOpen();
    long side = Math.max(images.getShape().get(2), images.getShape().get(3));
    return pictures().enlarge((int) Math.max(1, (LEAST_GRID_SIDE + side - 1) / side));
  }

  private Pictures pictures() {
    requireOpen();
    return Pictures.of(images).dataRange(range.min(), range.max());
  }

  @Override
  public String toString() {
    return "Samples[" + (closed ? "closed" : images.getShape()) + ", seed=" + seed + "]";
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException(
          "these samples are closed and their images are freed; copy them by toNDArray(manager)"
              + " before closing");
    }
  }

  @Override
  public void close() {
    closed = true;
    manager.close();
  }
}
