package io.github.ddpm4j.data;

import ai.djl.modality.cv.Image;
import ai.djl.modality.cv.util.NDImageUtils;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Record;
import ai.djl.util.Progress;
import io.github.ddpm4j.image.Pictures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The pictures of a folder as an unlabelled dataset. Each is read on demand, cropped at the centre,
 * scaled to a common size and converted to greyscale or colour, as float32 of shape (C, H, W) in
 * [−1, 1].
 *
 * <pre>{@code
 * PictureFolder photos =
 *     PictureFolder.builder(Path.of("photos"), new Shape(3, 64, 64)).setSampling(16, true).build();
 * }</pre>
 *
 * <p>The pictures are the files of the folder, sorted by name, in the formats that Java reads;
 * subfolders are ignored.
 */
public final class PictureFolder extends RandomAccessDataset {

  private final List<Path> files;
  private final Shape image;

  private PictureFolder(Builder builder, List<Path> files) {
    super(builder);
    this.files = files;
    this.image = builder.image;
  }

  /**
   * Returns a new builder.
   *
   * @param folder the folder
   * @param image the shape of an image, (1, H, W) for greyscale or (3, H, W) for colour
   * @return a builder, which requires {@code setSampling}
   * @throws IllegalArgumentException if {@code image} has a different form
   */
  public static Builder builder(Path folder, Shape image) {
    return new Builder(folder, image);
  }

  @Override
  public Record get(NDManager manager, long index) throws IOException {
    return new Record(new NDList(read(manager, files.get(Math.toIntExact(index)))), new NDList());
  }

  /**
   * The first pictures of the folder.
   *
   * @param manager owns the result
   * @param count the number of pictures, at least 1; wraps around after the last one
   * @return float32, shape (count, C, H, W), in [−1, 1]
   * @throws IOException if a file cannot be read or is not a picture
   */
  public NDArray first(NDManager manager, int count) throws IOException {
    try (NDManager own = manager.newSubManager()) {
      NDList pictures = new NDList();
      for (int i = 0; i < count; i++) {
        pictures.add(i < files.size() ? read(own, files.get(i)) : pictures.get(i % files.size()));
      }
      NDArray all = NDArrays.stack(pictures);
      all.attach(manager);
      return all;
    }
  }

  private NDArray read(NDManager manager, Path file) throws IOException {
    return fitted(Pictures.read(manager, file), image);
  }

  @Override
  protected long availableSize() {
    return files.size();
  }

  /** Does nothing: pictures are read on demand. */
  @Override
  public void prepare(@Nullable Progress progress) {}

  static NDArray fitted(NDArray picture, Shape shape) {
    NDArray coloured = picture;
    if (shape.get(0) == 1 && picture.getShape().get(0) == 3) {
      coloured = picture.mean(new int[] {0}, true);
    } else if (shape.get(0) == 3 && picture.getShape().get(0) == 1) {
      coloured = picture.repeat(0, 3);
    }
    int height = Math.toIntExact(shape.get(1));
    int width = Math.toIntExact(shape.get(2));
    long cutHeight =
        Math.min(picture.getShape().get(1), picture.getShape().get(2) * height / width);
    long cutWidth = Math.min(picture.getShape().get(2), picture.getShape().get(1) * width / height);
    long top = (picture.getShape().get(1) - cutHeight) / 2;
    long left = (picture.getShape().get(2) - cutWidth) / 2;
    NDArray cut = coloured.get(":, {}:{}, {}:{}", top, top + cutHeight, left, left + cutWidth);
    return NDImageUtils.resize(cut.transpose(1, 2, 0), width, height, Image.Interpolation.AREA)
        .transpose(2, 0, 1);
  }

  /** Builds a {@link PictureFolder}: DJL's {@code setSampling} is required, the rest optional. */
  public static final class Builder extends BaseBuilder<Builder> {

    private final Path folder;
    private final Shape image;

    private Builder(Path folder, Shape image) {
      if (image.dimension() != 3 || (image.get(0) != 1 && image.get(0) != 3)) {
        throw new IllegalArgumentException(
            "image must have shape (1, H, W) or (3, H, W), but was " + image);
      }
      this.folder = folder;
      this.image = image;
    }

    @Override
    protected Builder self() {
      return this;
    }

    /**
     * Builds the dataset by listing the folder.
     *
     * @return the dataset
     * @throws IOException if the folder cannot be read or contains no files
     */
    public PictureFolder build() throws IOException {
      List<Path> files;
      try (Stream<Path> all = Files.list(folder)) {
        files = all.filter(Files::isRegularFile).sorted().toList();
      }
      if (files.isEmpty()) {
        throw new IOException(folder + " holds no pictures; name a folder of PNG or JPEG files");
      }
      return new PictureFolder(this, files);
    }
  }
}
