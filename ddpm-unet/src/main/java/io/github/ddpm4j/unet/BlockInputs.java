package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.ArrayList;
import java.util.List;

/**
 * The inputs of the network as a block of DJL: images, timesteps, and one for each kind of
 * condition that the network was built for. Their names and shapes, what they must be, and what
 * they mean.
 */
final class BlockInputs {

  /** Where the inputs for conditions begin. */
  private static final int CONDITIONS = 2;

  private final UNetConfig config;
  private final List<String> names = new ArrayList<>();

  /** Without the first axis. */
  private final List<Shape> rows = new ArrayList<>();

  BlockInputs(UNetConfig config) {
    this.config = config;
    add("images", config.imageShape());
    add("timesteps", new Shape());
    for (Kind kind : config.conditionKinds()) {
      add("condition: " + kind, config.conditionShape(kind));
    }
  }

  private void add(String name, Shape row) {
    names.add(name);
    rows.add(row);
  }

  List<String> names() {
    return List.copyOf(names);
  }

  /** For any number of images. */
  Shape[] shapes() {
    return rows.stream().map(row -> new Shape(-1).addAll(row)).toArray(Shape[]::new);
  }

  /* ---------------- What they must be ---------------- */

  void requireCount(int count) {
    if (count != names.size()) {
      throw new IllegalArgumentException(
          "the U-Net takes "
              + names.size()
              + " inputs, "
              + String.join(", ", names.subList(0, names.size() - 1))
              + " and "
              + names.get(names.size() - 1)
              + ", but got "
              + count);
    }
  }

  /** Checks the shapes of all inputs against those of the images. */
  void requireShapes(Shape[] shapes) {
    requireCount(shapes.length);
    requireImages(shapes[0]);
    requireTimesteps(shapes[1], shapes[0]);
    int place = CONDITIONS;
    for (Kind kind : config.conditionKinds()) {
      Shape wanted = new Shape(shapes[0].get(0)).addAll(config.conditionShape(kind));
      if (!ConditionInputs.fits(shapes[place], wanted)) {
        throw new IllegalArgumentException(
            kind + " must have the shape " + wanted + ", but have " + shapes[place]);
      }
      place++;
    }
  }

  void requireImages(NDArray images) {
    requireImages(images.getShape(), images.getDataType());
  }

  void requireImages(Shape images, DataType type) {
    requireImages(images, type, config.imageShape());
  }

  /** Checks images against the shape of one. */
  static void requireImages(Shape images, DataType type, Shape image) {
    requireImages(images, image);
    if (type != DataType.FLOAT32) {
      throw new IllegalArgumentException(
          "images must be float32, but are " + type + "; convert them by toType");
    }
  }

  private void requireImages(Shape images) {
    requireImages(images, config.imageShape());
  }

  private static void requireImages(Shape images, Shape image) {
    if (images.dimension() != 1 + image.dimension() || !images.slice(1).equals(image)) {
      throw new IllegalArgumentException(
          "images must have the shape (N, "
              + image.toString().substring(1)
              + ", but have "
              + images);
    }
  }

  static void requireTimesteps(Shape timesteps, Shape images) {
    Shape wanted = new Shape(images.get(0));
    if (!timesteps.equals(wanted)) {
      throw new IllegalArgumentException(
          "timesteps must have the shape " + wanted + ", one per image, but have " + timesteps);
    }
  }

  /**
   * Checks what a network is to predict, by the shape of an image and the device of its weights.
   */
  static void require(NDArray images, NoiseLevels levels, Shape image, Device weights) {
    requireImages(images.getShape(), images.getDataType(), image);
    requireLevels(levels.size(), images);
    requireDevice(images.getDevice(), weights);
  }

  private static void requireLevels(int levels, NDArray images) {
    if (levels != images.getShape().get(0)) {
      throw new IllegalArgumentException(
          "there must be one noise level per image, but there are "
              + images.getShape().get(0)
              + " images and "
              + levels
              + " levels");
    }
  }

  static void requireDevice(Device images, Device weights) {
    if (!images.equals(weights)) {
      throw new IllegalArgumentException(
          "images must be on the device of the network, "
              + weights
              + ", but are on "
              + images
              + "; move them by toDevice");
    }
  }

  /* ---------------- What they mean ---------------- */

  /** The timesteps, of any number type. */
  static double[] timesteps(NDArray timesteps) {
    // From a GPU, DJL copies to the CPU into a manager of its own under that of the array.
    try (NDManager temporary = timesteps.getManager().newSubManager(timesteps.getDevice());
        NDArray view = timesteps.reshape(timesteps.getShape())) {
      view.attach(temporary);
      return view.toType(DataType.FLOAT64, true).toDoubleArray();
    }
  }

  /** The condition that the inputs behind the timesteps stand for. */
  Condition condition(NDList inputs) {
    Condition condition = Condition.none();
    int place = CONDITIONS;
    for (Kind kind : config.conditionKinds()) {
      NDArray input = inputs.get(place++);
      condition =
          condition.and(
              switch (kind) {
                case LABELS -> Condition.labels(labels(input));
                case VECTORS -> Condition.vectors(input);
                case IMAGES -> Condition.images(input);
                case CONTEXTS -> Condition.contexts(input);
                case PREVIOUS_X0 -> Condition.previousX0(input);
              });
    }
    return condition;
  }

  private static int[] labels(NDArray labels) {
    if (labels.getShape().dimension() != 1) {
      throw new IllegalArgumentException(
          "labels must have the shape (N), one per image, but have " + labels.getShape());
    }
    // As with timesteps.
    try (NDManager temporary = labels.getManager().newSubManager(labels.getDevice());
        NDArray view = labels.reshape(labels.getShape())) {
      view.attach(temporary);
      return view.toType(DataType.INT32, true).toIntArray();
    }
  }
}
