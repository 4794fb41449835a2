package io.github.ddpm4j.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import java.awt.Color;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Labelled greyscale images of one size, with values in [-1, 1], in Java memory. Immutable and
 * thread-safe.
 */
public final class LabeledImages {

  private final int height;
  private final int width;
  private final float[] pixels;
  private final int[] labels;

  /** Takes ownership of the arrays: the caller must not keep them. */
  LabeledImages(int height, int width, float[] pixels, int[] labels) {
    this.height = height;
    this.width = width;
    this.pixels = pixels;
    this.labels = labels;
  }

  /**
   * The number of images.
   *
   * @return at least 1
   */
  public int size() {
    return labels.length;
  }

  /**
   * The height in pixels.
   *
   * @return H
   */
  public int height() {
    return height;
  }

  /**
   * The width in pixels.
   *
   * @return W
   */
  public int width() {
    return width;
  }

  /**
   * The label of one image.
   *
   * @param image the index of the image
   * @return the label, from 0
   */
  public int label(int image) {
    return labels[image];
  }

  /**
   * All labels.
   *
   * @return a copy, one per image, in order
   */
  public int[] labels() {
    return labels.clone();
  }

  /**
   * The pixels of one image.
   *
   * @param image the index of the image
   * @return a copy of its H·W values in [-1, 1], row-major
   */
  public float[] pixels(int image) {
    int length = height * width;
    return Arrays.copyOfRange(pixels, image * length, (image + 1) * length);
  }

  /**
   * The images of a range of indices.
   *
   * @param from the first index
   * @param to the index after the last one
   * @return those images
   * @throws IndexOutOfBoundsException if the range is empty or not within {@code [0, size())}
   */
  public LabeledImages slice(int from, int to) {
    if (from < 0 || from >= to || to > size()) {
      throw new IndexOutOfBoundsException(
          String.format(
              Locale.ROOT,
              "a slice must be within [0, %d) and hold an image, but was [%d, %d)",
              size(),
              from,
              to));
    }
    int length = height * width;
    return new LabeledImages(
        height,
        width,
        Arrays.copyOfRange(pixels, from * length, to * length),
        Arrays.copyOfRange(labels, from, to));
  }

  /**
   * The first image of each of the given labels.
   *
   * @param wanted the labels; a repeated label gives the next image with that label
   * @return one image per label, in the given order
   * @throws IllegalArgumentException if no labels are given, or a label has fewer images than
   *     requested
   */
  public LabeledImages ofLabels(int... wanted) {
    if (wanted.length == 0) {
      throw new IllegalArgumentException("ofLabels needs at least one label, but got none");
    }
    int length = height * width;
    float[] chosen = new float[wanted.length * length];
    Map<Integer, Integer> next = new HashMap<>();
    for (int i = 0; i < wanted.length; i++) {
      int image = next.getOrDefault(wanted[i], 0);
      while (image < labels.length && labels[image] != wanted[i]) {
        image++;
      }
      if (image == labels.length) {
        throw new IllegalArgumentException(
            "there must be an image for each label that is named, but none is left of label "
                + wanted[i]);
      }
      next.put(wanted[i], image + 1);
      System.arraycopy(pixels, image * length, chosen, i * length, length);
    }
    return new LabeledImages(height, width, chosen, wanted.clone());
  }

  /**
   * All images with a label.
   *
   * @param label the label
   * @return the images, in order
   * @throws IllegalArgumentException if there are none
   */
  public LabeledImages withLabel(int label) {
    int count = (int) Arrays.stream(labels).filter(own -> own == label).count();
    if (count == 0) {
      throw new IllegalArgumentException(
          "there must be an image of the label, but none has " + label);
    }
    int[] wanted = new int[count];
    Arrays.fill(wanted, label);
    return ofLabels(wanted);
  }

  /**
   * All images as one tensor.
   *
   * @param manager owns the result
   * @return float32, shape (N, 1, H, W), in [-1, 1]
   */
  public NDArray toArray(NDManager manager) {
    return manager.create(pixels, new Shape(size(), 1, height, width));
  }

  /**
   * The images as a training dataset, with their labels (int64, shape (N)).
   *
   * @param manager owns the arrays of the dataset and must live as long as it
   * @param batchSize the batch size, for loops that take batches from the dataset
   * @return the dataset, in random order, without incomplete batches
   */
  public ArrayDataset toDataset(NDManager manager, int batchSize) {
    return new ArrayDataset.Builder()
        .setData(toArray(manager))
        .optLabels(manager.create(Arrays.stream(labels).asLongStream().toArray()))
        .setSampling(batchSize, true, true)
        .build();
  }

  /**
   * The images as a dataset that can change them at random and normalize them.
   *
   * @return a builder, which requires {@code setSampling}
   */
  public PictureDataset.Builder<?> pictures() {
    return pictures(height, width);
  }

  /**
   * As {@link #pictures()}, of another size: the whole of an image by Lanczos' filter, or its
   * middle where the proportions differ.
   *
   * @param newHeight the height, at least 1
   * @param newWidth the width, at least 1
   * @return a builder, which requires {@code setSampling}
   * @throws IllegalArgumentException if a number is less than 1
   */
  public PictureDataset.Builder<?> pictures(int newHeight, int newWidth) {
    if (newHeight < 1 || newWidth < 1) {
      throw new IllegalArgumentException(
          "height and width must be at least 1, but were " + newHeight + " and " + newWidth);
    }
    Shape image = new Shape(1, newHeight, newWidth);
    Fitting fitting = Fitting.of(image, PictureFolder.Fit.CENTRE_CROP, Color.WHITE);
    return new PixelSource.Builder(image, new Fitted(this, fitting));
  }

  /** The images in 16 bits, of which pictures of 8 bits lose nothing. */
  private record Fitted(LabeledImages images, Fitting fitting) implements Source {

    @Override
    public int size() {
      return images.size();
    }

    @Override
    public Frame frame(int index) {
      float[] shares = images.pixels(index);
      for (int i = 0; i < shares.length; i++) {
        shares[i] = (shares[i] + 1) / 2;
      }
      return fitting.of(new float[][] {shares}, images.height, images.width);
    }

    @Override
    public int label(int index) {
      return images.label(index);
    }

    @Override
    public String name(int index) {
      return "image " + index;
    }

    @Override
    public List<String> classNames() {
      return List.of();
    }
  }
}
