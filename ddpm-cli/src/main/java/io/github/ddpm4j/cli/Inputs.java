package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.data.ChannelRanges;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/** Pictures of the user's. */
final class Inputs {

  private static final Pattern PICTURE =
      Pattern.compile(".*\\.(jpe?g|gif|bmp|webp|tiff?)", Pattern.CASE_INSENSITIVE);

  private Inputs() {}

  /** Checks that files are there, before a model is loaded for them. */
  static void require(List<Path> files) throws IOException {
    for (Path file : files) {
      if (!Files.exists(file)) {
        throw new NoSuchFileException(file.toString());
      }
    }
  }

  /** Checks that pictures are files. */
  static void requireFiles(List<Path> files) throws IOException {
    require(files);
    for (Path file : files) {
      if (Files.isDirectory(file)) {
        throw new IllegalArgumentException(file + " is a folder; name a picture file");
      }
    }
  }

  /** Checks that a file will be called what it is. */
  static void requirePng(Path file) {
    if (!isPng(file)) {
      throw new IllegalArgumentException("-o must be a file that ends in .png, but was " + file);
    }
  }

  /** Checks that a new folder is not called as a picture that nobody writes. */
  static void requireNoPicture(Path folder) {
    if (PICTURE.matcher(folder.toString()).matches() && !Files.isDirectory(folder)) {
      throw new IllegalArgumentException(
          "-o must be a file that ends in .png, or a folder, but was "
              + folder
              + ", and pictures are written as PNG files alone");
    }
  }

  /** Checks that files can be written to a folder, as far as that can be told. */
  static void requireFolder(Path folder) throws IOException {
    if (Files.exists(folder) && !Files.isDirectory(folder)) {
      throw new NotDirectoryException(folder.toString());
    }
    Pictures.requireSavable(Files.exists(folder) ? folder.resolve("a file") : folder);
  }

  static boolean isPng(Path file) {
    return file.toString().toLowerCase(Locale.ROOT).endsWith(".png");
  }

  /** The size of a picture. */
  static PictureSize sizeOf(Path file) throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        NDArray picture = Pictures.read(manager, file)) {
      Shape shape = picture.getShape();
      return new PictureSize(Math.toIntExact(shape.get(1)), Math.toIntExact(shape.get(2)));
    }
  }

  /** Pictures of the size of the model's, in its range, as one array. */
  static NDArray read(LoadedModel model, NDManager manager, List<Path> files) throws IOException {
    Shape shape = model.shape();
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
    return ChannelRanges.fromUnit(NDArrays.concat(all), model.ddpm().dataRange());
  }
}
