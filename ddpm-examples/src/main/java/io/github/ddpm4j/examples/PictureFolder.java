package io.github.ddpm4j.examples;

import ai.djl.modality.cv.Image;
import ai.djl.modality.cv.util.NDImageUtils;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.image.Pictures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The pictures of a folder, as a model wants them. */
final class PictureFolder {

  private PictureFolder() {}

  /**
   * The first pictures of a folder by name, from the start again if there are too few.
   *
   * @return (count, C, H, W) in [−1, 1]: the middle of each, scaled
   */
  static NDArray read(NDManager manager, Path folder, int count, Shape shape) throws IOException {
    List<Path> files;
    try (Stream<Path> all = Files.list(folder)) {
      files = all.filter(Files::isRegularFile).sorted().limit(count).toList();
    }
    if (files.isEmpty()) {
      throw new IOException(folder + " holds no pictures; name a folder of PNG or JPEG files");
    }
    NDList pictures = new NDList();
    for (Path file : files) {
      pictures.add(fitted(Pictures.read(manager, file), shape));
    }
    NDList asked = new NDList();
    for (int i = 0; i < count; i++) {
      asked.add(pictures.get(i % pictures.size()));
    }
    return NDArrays.stack(asked);
  }

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
}
