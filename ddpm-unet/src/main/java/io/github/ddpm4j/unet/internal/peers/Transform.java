package io.github.ddpm4j.unet.internal.peers;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.List;
import java.util.function.Function;

/**
 * How weights of another library become ours, and ours theirs. Results are attached to the manager
 * of what they are made of.
 *
 * @param name what an audit calls it
 * @param peerShapes the shapes that the other library gives weights, for the shapes of ours
 * @param toOwn ours, float32, from theirs of these shapes
 * @param toPeer theirs from ours
 */
public record Transform(
    String name,
    Function<List<Shape>, List<Shape>> peerShapes,
    Function<NDList, NDList> toOwn,
    Function<NDList, NDList> toPeer) {

  private static final Transform COPY =
      new Transform("copied", own -> own, peer -> peer, own -> own);

  /**
   * The same values in the same shape.
   *
   * @return the transform
   */
  public static Transform copy() {
    return COPY;
  }

  /**
   * Whether it is {@link #copy}.
   *
   * @return whether it is
   */
  public boolean isCopy() {
    return equals(COPY);
  }

  /**
   * One weight whose values lie as they are under another shape.
   *
   * @param name what an audit calls it
   * @param peerShape their shape for ours
   * @return the transform
   */
  public static Transform reshaped(String name, Function<Shape, Shape> peerShape) {
    return new Transform(
        name,
        own -> List.of(peerShape.apply(own.get(0))),
        // The shape of ours is known to whom writes into it.
        peer -> peer,
        own -> new NDList(own.get(0).reshape(peerShape.apply(own.get(0).getShape()))));
  }

  /**
   * A linear layer as a convolution of one pixel.
   *
   * @param axes the number of axes of length 1 behind the matrix
   * @return the transform
   */
  public static Transform flattened(int axes) {
    return axes == 0 ? COPY : reshaped("flattened", own -> withOnes(own, axes));
  }

  private static Shape withOnes(Shape shape, int axes) {
    Shape longer = shape;
    for (int i = 0; i < axes; i++) {
      longer = longer.add(1);
    }
    return longer;
  }

  /**
   * A matrix whose rows are their columns.
   *
   * @return the transform
   */
  public static Transform transposed() {
    return new Transform(
        "transposed",
        own -> List.of(new Shape(own.get(0).get(1), own.get(0).get(0))),
        peer -> new NDList(peer.get(0).transpose()),
        own -> new NDList(own.get(0).transpose()));
  }

  /**
   * A convolution of which height and width are the first axes and the outputs the last.
   *
   * @return the transform
   */
  public static Transform outputsLast() {
    return new Transform(
        "transposed",
        own -> {
          Shape shape = own.get(0);
          return List.of(new Shape(shape.get(2), shape.get(3), shape.get(1), shape.get(0)));
        },
        peer -> new NDList(peer.get(0).transpose(3, 2, 0, 1)),
        own -> new NDList(own.get(0).transpose(2, 3, 1, 0)));
  }

  /**
   * A convolution of one pixel as a matrix of inputs and outputs.
   *
   * @return the transform
   */
  public static Transform transposedPixel() {
    return new Transform(
        "transposed",
        own -> List.of(new Shape(own.get(0).get(1), own.get(0).get(0))),
        // The shape of ours is known to whom writes into it.
        peer -> new NDList(peer.get(0).transpose()),
        own -> {
          Shape shape = own.get(0).getShape();
          return new NDList(own.get(0).reshape(shape.get(0), shape.get(1)).transpose());
        });
  }

  /**
   * A convolution whose two halves of input channels are in the other order.
   *
   * @return the transform
   */
  public static Transform swappedInputs() {
    Function<NDList, NDList> swap =
        list -> {
          NDArray weight = list.get(0);
          long half = weight.getShape().get(1) / 2;
          NDArray first = weight.get(new NDIndex(":, :{}", half));
          NDArray second = weight.get(new NDIndex(":, {}:", half));
          return new NDList(NDArrays.concat(new NDList(second, first), 1));
        };
    return new Transform("inputs swapped", own -> own, swap, swap);
  }

  /**
   * Queries, keys and values, three weights of ours, in one matrix or vector.
   *
   * @param packing how they lie there
   * @param heads the number of heads
   * @param axes the axes of length 1 behind the matrix
   * @return the transform
   */
  public static Transform split(Packing packing, int heads, int axes) {
    return new Transform(
        "split into queries, keys and values",
        own -> {
          Shape one = own.get(0);
          Shape all = new Shape(3 * one.get(0));
          return List.of(one.dimension() == 1 ? all : withOnes(all.add(one.get(1)), axes));
        },
        peer -> apart(peer.get(0), packing, heads),
        own -> new NDList(together(own, packing, heads, axes)));
  }

  private static NDList apart(NDArray all, Packing packing, int heads) {
    long rows = all.getShape().get(0) / 3;
    NDArray view = all.reshape(packedShape(packing, heads, rows));
    int axis =
        switch (packing) {
          case QKV_HEAD -> 0;
          case HEAD_QKV -> 1;
          case HEAD_CHANNEL_QKV -> 2;
        };
    NDList parts = new NDList();
    for (long of = 0; of < 3; of++) {
      NDArray part = view.get(new NDIndex(":, ".repeat(axis) + "{}", of));
      parts.add(part.reshape(rows, all.getShape().size() / (3 * rows)));
    }
    return parts;
  }

  private static Shape packedShape(Packing packing, int heads, long rows) {
    return switch (packing) {
      case QKV_HEAD -> new Shape(3, rows, -1);
      case HEAD_QKV -> new Shape(heads, 3, rows / heads, -1);
      case HEAD_CHANNEL_QKV -> new Shape(heads, rows / heads, 3, -1);
    };
  }

  private static NDArray together(NDList own, Packing packing, int heads, int axes) {
    Shape one = own.get(0).getShape();
    long rows = one.get(0);
    NDList parts = new NDList();
    for (NDArray part : own) {
      parts.add(
          packing == Packing.QKV_HEAD
              ? part.reshape(1, rows, -1)
              : part.reshape(heads, rows / heads, -1));
    }
    NDArray all =
        switch (packing) {
          case QKV_HEAD -> NDArrays.concat(parts, 0);
          case HEAD_QKV -> NDArrays.stack(parts, 1);
          case HEAD_CHANNEL_QKV -> NDArrays.stack(parts, 2);
        };
    Shape shape = new Shape(3 * rows);
    return all.reshape(one.dimension() == 1 ? shape : withOnes(shape.add(one.get(1)), axes));
  }

  /**
   * The keys and values of memory, two weights of ours of shape (tokens, heads · d): theirs is (2,
   * heads, tokens, d), or (2, heads, d, tokens) where attention is linear.
   *
   * @param linear whether attention is linear
   * @param heads the number of heads
   * @return the transform
   */
  public static Transform memory(boolean linear, int heads) {
    return new Transform(
        "memory split into keys and values",
        own -> {
          long tokens = own.get(0).get(0);
          long d = own.get(0).get(1) / heads;
          return List.of(linear ? new Shape(2, heads, d, tokens) : new Shape(2, heads, tokens, d));
        },
        peer -> {
          // (2, tokens, heads, d)
          NDArray all =
              linear ? peer.get(0).transpose(0, 3, 1, 2) : peer.get(0).transpose(0, 2, 1, 3);
          long tokens = all.getShape().get(1);
          NDArray flat = all.reshape(2, tokens, -1);
          return new NDList(flat.get(0), flat.get(1));
        },
        own -> {
          long tokens = own.get(0).getShape().get(0);
          NDArray all = NDArrays.stack(own).reshape(2, tokens, heads, -1);
          return new NDList(linear ? all.transpose(0, 2, 3, 1) : all.transpose(0, 2, 1, 3));
        });
  }

  /**
   * A factor and a summand per channel, of a batch norm whose statistics stand still:
   *
   * <pre>
   * factor = weight / √(variance + eps)      summand = bias − mean · factor
   * </pre>
   *
   * @param eps added to the variance
   * @return the transform
   */
  public static Transform batchNorm(double eps) {
    return new Transform(
        "batch norms made factors and summands, which are not written back",
        own -> List.of(own.get(0), own.get(0), own.get(0), own.get(0)),
        peer -> {
          NDList doubles = new NDList();
          peer.forEach(array -> doubles.add(array.toType(DataType.FLOAT64, true)));
          NDArray factor = doubles.get(0).div(doubles.get(3).add(eps).sqrt());
          NDArray summand = doubles.get(1).sub(doubles.get(2).mul(factor));
          return new NDList(
              factor.toType(DataType.FLOAT32, true), summand.toType(DataType.FLOAT32, true));
        },
        own -> {
          throw new IllegalArgumentException(
              "batch norms became factors and summands when they were loaded, and their statistics"
                  + " are not written back; save the model by save(folder)");
        });
  }

  /**
   * A table with one row per class and one for none, from a linear layer on one-hot rows times
   * √classes: the row of a class is its column times that, plus the bias; the row for none is the
   * bias.
   *
   * @return the transform
   */
  public static Transform oneHot() {
    return new Transform(
        "table made of a linear layer on one-hot rows",
        own -> {
          long width = own.get(0).get(1);
          return List.of(new Shape(width, own.get(0).get(0) - 1), new Shape(width));
        },
        peer -> {
          long classes = peer.get(0).getShape().get(1);
          NDArray bias = peer.get(1).expandDims(0);
          NDArray rows = peer.get(0).transpose().mul(Math.sqrt((double) classes)).add(bias);
          return new NDList(NDArrays.concat(new NDList(rows, bias), 0));
        },
        own -> {
          long classes = own.get(0).getShape().get(0) - 1;
          NDArray bias = own.get(0).get(new NDIndex("{}", classes));
          NDArray rows = own.get(0).get(new NDIndex(":{}", classes));
          return new NDList(
              rows.sub(bias.expandDims(0)).div(Math.sqrt((double) classes)).transpose(), bias);
        });
  }
}
