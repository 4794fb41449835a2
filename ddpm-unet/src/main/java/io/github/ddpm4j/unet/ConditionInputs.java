package io.github.ddpm4j.unet;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.unet.internal.running.Beside;
import java.util.Arrays;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * A condition as the network takes it in: checked against what the network was built for, and one
 * array for each kind of that, whatever is absent.
 */
final class ConditionInputs {

  private final String network;
  private final boolean hasOptions;
  private final Set<Kind> kinds;
  private final int classes;
  private final boolean nullClass;
  private final Function<Kind, Shape> shapes;

  private ConditionInputs(
      String network,
      boolean hasOptions,
      Set<Kind> kinds,
      int classes,
      boolean nullClass,
      Function<Kind, Shape> shapes) {
    this.network = network;
    this.hasOptions = hasOptions;
    this.kinds = kinds;
    this.classes = classes;
    this.nullClass = nullClass;
    this.shapes = shapes;
  }

  ConditionInputs(UNetConfig config) {
    this(
        "the U-Net",
        true,
        config.conditionKinds(),
        config.classes(),
        config.layout().embedding().nullClass(),
        config::conditionShape);
  }

  /** Of a network that takes classes alone, and images without one. */
  static ConditionInputs ofClasses(String network, int classes) {
    return new ConditionInputs(
        network, false, Set.of(Kind.LABELS), classes, true, kind -> new Shape());
  }

  /** The arrays, in the order of the kinds, in the manager of the images and on their device. */
  NDList of(Condition condition, NDArray images) {
    int n = Math.toIntExact(images.getShape().get(0));
    requireCondition(condition, n);
    NDList inputs = new NDList();
    try {
      for (Kind kind : kinds) {
        inputs.add(
            kind == Kind.LABELS
                ? Beside.upload(images, rows(condition, n), new Shape(n))
                : Beside.move(images, array(kind, condition, n, images.getManager())));
      }
    } catch (RuntimeException e) {
      // Of an array of the condition that its owner closed.
      inputs.close();
      throw e;
    }
    return inputs;
  }

  /** The rows of the table of classes; the last is for images without a class. */
  double[] rows(Condition condition, int n) {
    double[] rows = new double[n];
    Arrays.setAll(rows, i -> condition.isNone() ? classes : condition.label(i).orElse(classes));
    return rows;
  }

  private NDArray array(Kind kind, Condition condition, int n, NDManager owner) {
    return condition.has(kind)
        ? condition.array(kind, owner)
        : owner.zeros(new Shape(n).addAll(shapes.apply(kind)));
  }

  /** Checks a condition as a run may be given it, before there are images of this shape. */
  void requireUsable(Condition condition, Shape images) {
    requireCondition(condition, condition.size().orElse(Math.toIntExact(images.get(0))));
  }

  void requireCondition(Condition condition, int images) {
    if (condition.isNone()) {
      if (images > 0) {
        requireLabel(0, Condition.ABSENT);
        requireContext(0, false);
      }
      return;
    }
    if (condition.size().orElseThrow() != images) {
      throw new IllegalArgumentException(
          "there must be one condition per image, but there are "
              + images
              + " images and conditions for "
              + condition.size().orElseThrow());
    }
    for (Kind kind : Kind.values()) {
      if (condition.has(kind)) {
        requireKind(condition, kind);
      }
    }
    for (int i = 0; i < images; i++) {
      requireLabel(i, condition.label(i).orElse(Condition.ABSENT));
      requireContext(i, condition.isPresent(Kind.CONTEXTS, i));
    }
  }

  private void requireContext(int image, boolean present) {
    if (!present && kinds.contains(Kind.CONTEXTS)) {
      throw new IllegalArgumentException(
          "every image must have a context, because "
              + network
              + " attends to one, but image "
              + image
              + " has none; give an encoded text by Condition.contexts(contexts), the empty one for"
              + " none");
    }
  }

  private void requireLabel(int image, int label) {
    if (label == Condition.ABSENT && classes > 0 && !nullClass) {
      throw new IllegalArgumentException(
          "every image must have a class, because "
              + network
              + " has none for images without one, but image "
              + image
              + " has none; give it a label between 0 and "
              + (classes - 1));
    }
    if (label >= classes) {
      throw new IllegalArgumentException(
          "labels must be between 0 and "
              + (classes - 1)
              + ", because "
              + network
              + " has "
              + classes
              + " classes, but that of image "
              + image
              + " was "
              + label
              + "; use Condition.ABSENT for an image without a class");
    }
  }

  private void requireKind(Condition condition, Kind kind) {
    if (!kinds.contains(kind)) {
      throw new IllegalArgumentException(
          network
              + " cannot be conditioned on "
              + kind
              + ", but was given a "
              + condition
              + "; "
              + (hasOptions ? "build it with " + option(kind) + ", or " : "")
              + "leave them out");
    }
    Shape own = shapes.apply(kind);
    if (!fits(condition.shape(kind), own)) {
      throw new IllegalArgumentException(
          "the condition's "
              + kind
              + " must have the shape "
              + new Shape(condition.size().orElseThrow()).addAll(own)
              + ", as "
              + network
              + " was built for, but have "
              + new Shape(condition.size().orElseThrow()).addAll(condition.shape(kind)));
    }
  }

  /** Whether a shape is the wanted one, which may leave lengths open. */
  static boolean fits(Shape shape, Shape wanted) {
    return shape.dimension() == wanted.dimension()
        && IntStream.range(0, shape.dimension())
            .allMatch(axis -> wanted.get(axis) < 0 || wanted.get(axis) == shape.get(axis));
  }

  private static String option(Kind kind) {
    return switch (kind) {
      case LABELS -> "classes(n)";
      case VECTORS -> "vectorCondition(length)";
      case IMAGES -> "imageCondition(channels)";
      case CONTEXTS -> "contextCondition(channels)";
      case PREVIOUS_X0 -> "selfConditioning()";
    };
  }
}
