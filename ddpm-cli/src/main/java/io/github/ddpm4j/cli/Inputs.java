package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.data.ChannelRanges;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Pictures of the user's. */
final class Inputs {

  private Inputs() {}

  /** The shape of the images of a model. */
  static Shape shape(DDPM ddpm) {
    return ddpm.denoiser()
        .flatMap(network -> network.imageShape())
        .orElseThrow(
            () -> new IllegalArgumentException("the model's network tells no size of images"));
  }

  /** Pictures of the size of the model's, in its range, as one array. */
  static NDArray read(DDPM ddpm, NDManager manager, List<Path> files) throws IOException {
    Shape shape = shape(ddpm);
    NDList all = new NDList();
    for (Path file : files) {
      NDArray picture = Pictures.read(manager, file);
      if (!picture.getShape().equals(shape)) {
        throw new IllegalArgumentException(
            file
                + " is a picture of shape "
                + picture.getShape()
                + ", but the model's are of "
                + shape
                + "; resize it");
      }
      all.add(picture.expandDims(0));
    }
    return ChannelRanges.fromUnit(NDArrays.concat(all), ddpm.dataRange());
  }

  /** All pictures of a folder, resized, in [-1, 1]. */
  static NDArray folder(NDManager manager, Path folder, Shape shape, int most) throws IOException {
    PictureFolder data =
        PictureFolder.builder(folder, shape).setSampling(64, false).failOnBroken().build();
    NDList all = new NDList();
    long count = 0;
    try {
      for (Batch batch : data.getData(manager)) {
        try (batch) {
          NDArray images = batch.getData().head().duplicate();
          images.attach(manager);
          all.add(images);
          count += images.getShape().get(0);
        }
        if (count >= most) {
          break;
        }
      }
    } catch (TranslateException e) {
      throw new IOException(folder + " cannot be read: " + e.getMessage(), e);
    }
    NDArray whole = NDArrays.concat(all);
    return count > most ? whole.get("0:" + most) : whole;
  }
}
