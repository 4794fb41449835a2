package io.github.ddpm4j.internal.ops;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.nn.Activation;
import ai.djl.nn.core.Embedding;
import ai.djl.nn.core.Linear;
import ai.djl.nn.norm.LayerNorm;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.spi.Ops;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Runs every operation at once on NDArrays of float32 or float64. Results are attached to the
 * manager of the first argument. Immutable; one instance serves many threads.
 *
 * <p>What an operation or a {@link #scope} makes on the way is closed as soon as its result is
 * known. That is safe in training too: closing an NDArray drops a reference, and the recorded graph
 * holds its own. For the same reason nothing that the graph remembers may lie in Java's memory,
 * which arrays fresh from {@link NDManager#create} and the operands of {@code NDArray.mul(Number)}
 * do: they are duplicated in the engine's memory first. ({@code toType(type, true)} is no copy on
 * PyTorch if the array has that type.)
 */
public final class EagerOps implements Ops<NDArray> {

  private static final EagerOps INFERENCE = new EagerOps(false, 0, 0, null);

  private static final int SEED_BITS = 53;

  /** Beyond this, eˣ − 1 keeps its digits when it is worked out like that. */
  private static final double SMALL = 0.5;

  /** How many weights attention holds at once, for each image and head. */
  static final int MOST_PAIRS = 1 << 22;

  /** The smallest norm that images are divided by. */
  static final double LEAST_NORM = 1e-12;

  private final boolean training;
  private final long seed;
  private final long pass;
  private final @Nullable EagerTape tape;

  private EagerOps(boolean training, long seed, long pass, @Nullable EagerTape tape) {
    this.training = training;
    this.seed = seed;
    this.pass = pass;
    this.tape = tape;
  }

  /**
   * Operations without dropout.
   *
   * @return the one instance
   */
  public static EagerOps inference() {
    return INFERENCE;
  }

  /**
   * Operations with dropout. Masks are a pure function of (seed, pass, layer).
   *
   * @param seed the seed of the training run
   * @param pass the number of the forward pass in it
   * @return the operations of that pass
   */
  public static EagerOps training(long seed, long pass) {
    return new EagerOps(true, seed, pass, null);
  }

  /**
   * The same operations, with a tape for the parts of the network.
   *
   * @param tape takes the parts and knows their gradients
   * @return the operations
   */
  public EagerOps on(EagerTape tape) {
    return new EagerOps(training, seed, pass, tape);
  }

  /**
   * The seed of a layer's dropout mask.
   *
   * @param seed the seed of the training run
   * @param pass the number of the forward pass in it
   * @param layer the number of the layer in its network
   * @return a whole number below 2<sup>53</sup>, which a {@code double} holds exactly
   */
  public static double dropoutSeed(long seed, long pass, int layer) {
    return CounterRandom.of(seed, CounterRandom.Stream.DROPOUT).at(pass, layer).nextLong()
        >>> (Long.SIZE - SEED_BITS);
  }

  @Override
  public NDArray conv(NDArray x, NDArray weight, NDArray bias, int stride, int padding) {
    return conv(x, weight, bias, stride, padding, 1);
  }

  @Override
  public NDArray depthwiseConv(NDArray x, NDArray weight, NDArray bias, int stride, int padding) {
    return conv(x, weight, bias, stride, padding, Math.toIntExact(x.getShape().get(1)));
  }

  private static NDArray conv(
      NDArray x, NDArray weight, NDArray bias, int stride, int padding, int groups) {
    Shape strides = ofEachAxis(x, stride);
    Shape paddings = ofEachAxis(x, padding);
    return x.getNDArrayInternal()
        .convolution(x, weight, bias, strides, paddings, ofEachAxis(x, 1), groups)
        .singletonOrThrow();
  }

  /** The same number for each axis of images, behind image and channel. */
  private static Shape ofEachAxis(NDArray images, long number) {
    long[] numbers = new long[axes(images)];
    Arrays.fill(numbers, number);
    return new Shape(numbers);
  }

  /** The axes of images behind image and channel. */
  private static int axes(NDArray images) {
    return images.getShape().dimension() - 2;
  }

  /** A value for each channel, to be multiplied with images. */
  private static NDArray perChannel(NDArray values, NDArray images) {
    Shape shape = values.getShape();
    for (int axis = 0; axis < axes(images); axis++) {
      shape = shape.add(1);
    }
    return values.reshape(shape);
  }

  /**
   * {@inheritDoc}
   *
   * <p>As a convolution of the image with {@code stride} − 1 zeros after each pixel, since DJL has
   * no transposed convolution for PyTorch.
   */
  @Override
  public NDArray convTranspose(NDArray x, NDArray weight, NDArray bias, int stride, int padding) {
    return scope(
        () -> {
          Shape s = x.getShape();
          long kernel = weight.getShape().get(2);
          Shape apart = s.slice(0, 2);
          Shape between = new Shape();
          Shape together = s.slice(0, 2);
          NDIndex reached = new NDIndex(":, :");
          for (int axis = 2; axis < s.dimension(); axis++) {
            apart = apart.add(s.get(axis)).add(1);
            between = between.add(0).add(stride - 1L).add(0).add(0);
            together = together.add(s.get(axis) * stride);
            // Every pixel that a weight reaches, without the zeros behind the last, and without
            // the edges.
            reached.addSliceDim(padding, (s.get(axis) - 1) * stride + kernel - padding);
          }
          between = between.slice(0, between.dimension() - 2);
          NDArray spread = x.reshape(apart).pad(between, 0).reshape(together);
          int[] backwards = IntStream.range(2, s.dimension()).toArray();
          NDArray flipped = weight.swapAxes(0, 1).flip(backwards);
          return conv(spread, flipped, bias, 1, (int) kernel - 1).get(reached);
        });
  }

  @Override
  public NDArray averagePool(NDArray x, int size) {
    Shape square = ofEachAxis(x, size);
    return x.getNDArrayInternal().avgPool(square, square, ofEachAxis(x, 0), false, true);
  }

  @Override
  public NDArray maxPool(NDArray x, int size) {
    Shape square = ofEachAxis(x, size);
    return x.getNDArrayInternal().maxPool(square, square, ofEachAxis(x, 0), false);
  }

  @Override
  public NDArray padEnd(NDArray x, int count) {
    Shape ends = new Shape();
    for (int axis = 0; axis < axes(x); axis++) {
      ends = ends.add(0).add(count);
    }
    return x.pad(ends, 0);
  }

  /**
   * {@inheritDoc}
   *
   * <p>Runs as the engine's layer normalisation over rows of one group each, which is faster than
   * mean and variance one by one.
   */
  @Override
  public NDArray groupNorm(NDArray x, int groups, NDArray weight, NDArray bias, double eps) {
    return scope(
        () -> {
          Shape shape = x.getShape();
          long rows = shape.get(0) * groups;
          Shape row = new Shape(shape.size() / rows);
          NDManager manager = x.getManager();
          NDArray one = manager.ones(row, x.getDataType());
          NDArray zero = manager.zeros(row, x.getDataType());
          NDArray normal =
              LayerNorm.layerNorm(x.reshape(rows, row.size()), row, one, zero, (float) eps)
                  .singletonOrThrow()
                  .reshape(shape);
          return normal.mul(perChannel(weight, x)).addi(perChannel(bias, x));
        });
  }

  @Override
  public NDArray rmsNorm(NDArray x, NDArray weight) {
    return scope(
        () -> {
          long channels = x.getShape().get(1);
          NDArray norm = x.norm(new int[] {1}, true);
          NDArray factors = perChannel(scale(weight, Math.sqrt((double) channels)), x);
          return x.div(atLeast(norm, LEAST_NORM)).mul(factors);
        });
  }

  @Override
  public NDArray layerNorm(NDArray x, NDArray weight, NDArray bias, double eps) {
    return LayerNorm.layerNorm(x, weight.getShape(), weight, bias, (float) eps).singletonOrThrow();
  }

  @Override
  public NDArray silu(NDArray x) {
    return scope(() -> x.mul(Activation.sigmoid(x)));
  }

  @Override
  public NDArray linear(NDArray x, NDArray weight) {
    return Linear.linear(x, weight).singletonOrThrow();
  }

  @Override
  public NDArray linear(NDArray x, NDArray weight, NDArray bias) {
    return Linear.linear(x, weight, bias).singletonOrThrow();
  }

  @Override
  public NDArray embedding(NDArray table, NDArray rows) {
    return scope(
        () ->
            Embedding.embedding(rows.toType(DataType.INT64, false), table, SparseFormat.DENSE)
                .singletonOrThrow());
  }

  @Override
  public NDArray fourierFeatures(NDArray t, NDArray frequencies) {
    return scope(
        () -> {
          NDArray turns = t.matMul(frequencies.reshape(1, -1));
          NDArray phases = scale(turns, 2 * Math.PI);
          return phases.sin().concat(phases.cos(), 1);
        });
  }

  @Override
  public NDArray addPerChannel(NDArray x, NDArray values) {
    return scope(() -> x.add(perChannel(values, x)));
  }

  @Override
  public NDArray multiplyPerChannel(NDArray x, NDArray values) {
    return scope(() -> x.mul(perChannel(values, x)));
  }

  @Override
  public NDArray add(NDArray a, NDArray b) {
    return a.add(b);
  }

  @Override
  public NDArray subtract(NDArray a, NDArray b) {
    return a.sub(b);
  }

  @Override
  public NDArray multiply(NDArray a, NDArray b) {
    return a.mul(b);
  }

  @Override
  public NDArray scale(NDArray x, double factor) {
    return scope(() -> x.mul(constant(x, factor)));
  }

  @Override
  public NDArray shift(NDArray x, double offset) {
    return scope(() -> x.add(constant(x, offset)));
  }

  @Override
  public NDArray exp(NDArray x) {
    return x.exp();
  }

  /**
   * {@inheritDoc}
   *
   * <p>Near 0 as 2 sinh(x/2) exp(x/2), whose factors both keep their digits, and elsewhere as it is
   * defined.
   */
  @Override
  public NDArray expm1(NDArray x) {
    return scope(
        () -> {
          NDArray half = scale(atMost(atLeast(x, -SMALL), SMALL), 0.5);
          NDArray near = scale(half.sinh().mul(half.exp()), 2);
          return whereAbove(x.abs(), SMALL, shift(x.exp(), -1), near);
        });
  }

  @Override
  public NDArray log(NDArray x) {
    return x.log();
  }

  @Override
  public NDArray tanh(NDArray x) {
    return x.tanh();
  }

  @Override
  public NDArray erf(NDArray x) {
    return x.erf();
  }

  @Override
  public NDArray atLeast(NDArray x, double least) {
    return scope(() -> limited(x, x.lt(constant(x, least)), least));
  }

  @Override
  public NDArray whereAbove(NDArray x, double threshold, NDArray above, NDArray otherwise) {
    return scope(() -> NDArrays.where(x.gt(constant(x, threshold)), above, otherwise));
  }

  @Override
  public NDArray square(NDArray x) {
    return x.square();
  }

  @Override
  public NDArray abs(NDArray x) {
    return x.abs();
  }

  @Override
  public NDArray atMost(NDArray x, double greatest) {
    return scope(() -> limited(x, x.gt(constant(x, greatest)), greatest));
  }

  @Override
  public NDArray detach(NDArray x) {
    return x.stopGradient();
  }

  @Override
  public NDArray meanPerImage(NDArray x) {
    return scope(() -> x.reshape(x.getShape().get(0), -1).mean(new int[] {1}));
  }

  @Override
  public NDArray mean(NDArray x) {
    return x.mean();
  }

  @Override
  public NDArray concatChannels(NDArray a, NDArray b) {
    return a.concat(b, 1);
  }

  @Override
  public NDArray firstChannels(NDArray x, NDArray like) {
    return x.get(new NDIndex(":, :{}", like.getShape().get(1)));
  }

  @Override
  public NDArray channelsAfter(NDArray x, NDArray like) {
    return x.get(new NDIndex(":, {}:", like.getShape().get(1)));
  }

  @Override
  public NDArray gatedGelu(NDArray x) {
    return scope(
        () -> {
          int last = x.getShape().dimension() - 1;
          long half = x.getShape().get(last) / 2;
          NDArray gate = x.get(new NDIndex("..., {}:", half));
          return multiply(x.get(new NDIndex("..., :{}", half)), gelu(gate));
        });
  }

  @Override
  public NDArray crop(NDArray x, int... sizes) {
    NDIndex kept = new NDIndex(":, :");
    for (int size : sizes) {
      kept.addSliceDim(0, size);
    }
    return x.get(kept);
  }

  @Override
  public NDArray upsampleNearest2x(NDArray x) {
    return scope(
        () -> {
          NDArray doubled = x;
          for (int axis = x.getShape().dimension() - 1; axis >= 2; axis--) {
            doubled = doubled.repeat(axis, 2);
          }
          return doubled;
        });
  }

  @Override
  public NDArray tokens(NDArray x) {
    return scope(() -> x.reshape(x.getShape().get(0), x.getShape().get(1), -1).transpose(0, 2, 1));
  }

  @Override
  public NDArray images(NDArray tokens, NDArray like) {
    return scope(() -> tokens.transpose(0, 2, 1).reshape(like.getShape()));
  }

  /**
   * {@inheritDoc}
   *
   * <p>Where there are many pairs of queries and keys, some queries follow the others, so that
   * weights are held for {@value #MOST_PAIRS} pairs per image and head.
   */
  @Override
  public NDArray attention(NDArray query, NDArray key, NDArray value, int heads) {
    return attention(query, key, value, heads, false);
  }

  @Override
  public NDArray causalAttention(NDArray query, NDArray key, NDArray value, int heads) {
    return attention(query, key, value, heads, true);
  }

  private NDArray attention(NDArray query, NDArray key, NDArray value, int heads, boolean causal) {
    return scope(
        () -> {
          Shape shape = query.getShape();
          double scale = 1 / Math.sqrt((double) shape.get(2) / heads);
          // (N, heads, L, d); a single head needs no fourth axis, and no copies.
          NDArray q = scale(split(query, heads), scale);
          NDArray k = split(key, heads);
          NDArray v = split(value, heads);
          NDArray kt = heads == 1 ? k.transpose(0, 2, 1) : k.transpose(0, 1, 3, 2);
          long queries = shape.get(1);
          long atOnce = Math.max(1, MOST_PAIRS / key.getShape().get(1));
          NDList parts = new NDList();
          for (long first = 0; first < queries; first += atOnce) {
            long from = first;
            long to = Math.min(queries, first + atOnce);
            parts.add(scope(() -> weighted(rows(q, from, to), kt, v, causal ? from : -1)));
          }
          NDArray mixed =
              parts.size() == 1
                  ? parts.head()
                  : NDArrays.concat(parts, -2 + q.getShape().dimension());
          return heads == 1 ? mixed : mixed.transpose(0, 2, 1, 3).reshape(shape);
        });
  }

  /** Some of the tokens; all of them are no copy. */
  private static NDArray rows(NDArray tokens, long from, long to) {
    return tokens.get(new NDIndex("..., {}:{}, :", from, to));
  }

  /** {@code first} is the place of the first query if it sees no later keys, and −1 otherwise. */
  private static NDArray weighted(NDArray q, NDArray kt, NDArray v, long first) {
    NDArray scores = q.matMul(kt);
    if (first >= 0) {
      scores = scores.add(unseen(scores, first));
    }
    return scores.softmax(-1).matMul(v);
  }

  /** −∞ for the keys behind each query, and 0 for the others. */
  private static NDArray unseen(NDArray scores, long first) {
    NDManager manager = scores.getManager();
    int axes = scores.getShape().dimension();
    long queries = scores.getShape().get(axes - 2);
    long keys = scores.getShape().get(axes - 1);
    int place = Math.toIntExact(first);
    int end = Math.toIntExact(first + queries);
    NDArray own = manager.arange(place, end, 1, DataType.INT64);
    NDArray others = manager.arange(0, Math.toIntExact(keys), 1, DataType.INT64);
    NDArray later = others.reshape(1, keys).gt(own.reshape(queries, 1));
    DataType type = scores.getDataType();
    NDArray zeros = manager.zeros(later.getShape(), type);
    return NDArrays.where(
        later, manager.full(later.getShape(), Float.NEGATIVE_INFINITY, type), zeros);
  }

  @Override
  public NDArray linearAttention(NDArray query, NDArray key, NDArray value, int heads) {
    return scope(
        () -> {
          Shape shape = query.getShape();
          long n = shape.get(0);
          double scale = 1 / Math.sqrt((double) shape.get(2) / heads);
          NDArray q = scale(fourAxes(query, heads).softmax(3), scale);
          NDArray k = fourAxes(key, heads).softmax(2);
          NDArray v = fourAxes(value, heads);
          NDArray mixed = q.matMul(k.transpose(0, 1, 3, 2).matMul(v));
          return mixed.transpose(0, 2, 1, 3).reshape(n, shape.get(1), -1);
        });
  }

  @Override
  public NDArray appendTokens(NDArray tokens, NDArray more) {
    return scope(
        () -> {
          Shape shape = new Shape(tokens.getShape().get(0)).addAll(more.getShape());
          return tokens.concat(more.expandDims(0).broadcast(shape), 1);
        });
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if the rate is outside [0, 1)
   */
  @Override
  public NDArray dropout(NDArray x, double rate, int layer) {
    DropoutMask.requireRate(rate);
    if (!training || rate == 0) {
      return x;
    }
    return scope(
        () ->
            scale(
                x.mul(DropoutMask.of(x, rate, dropoutSeed(seed, pass, layer))),
                DropoutMask.factor(rate)));
  }

  @Override
  public NDArray enter(NDArray images) {
    return tape == null ? images : tape.give(images);
  }

  @Override
  public NDArray enterFeatures(NDArray features) {
    return tape == null ? features : tape.give(features);
  }

  @Override
  public NDArray recomputable(
      int level, List<NDArray> inputs, Function<List<NDArray>, NDArray> body) {
    return tape == null ? body.apply(inputs) : tape.part(level, inputs, body);
  }

  @Override
  public NDArray scope(Supplier<NDArray> body) {
    NDArray result;
    NDScope scope = new NDScope();
    try {
      result = body.get();
      NDScope.unregister(result);
    } finally {
      scope.close();
    }
    // What is temporary to the surrounding part of the network.
    NDScope.register(result);
    return result;
  }

  /**
   * The limit where x is beyond it, and x elsewhere. At the limit the slope is 1, as in compiled
   * programs, where the engine's maximum would have ½.
   */
  private static NDArray limited(NDArray x, NDArray beyond, double limit) {
    return Double.isNaN(limit)
        ? x.add(constant(x, limit))
        : NDArrays.where(beyond.logicalNot(), x, constant(x, limit));
  }

  private static NDArray split(NDArray tokens, int heads) {
    return heads == 1 ? tokens : fourAxes(tokens, heads);
  }

  /** (N, L, C) as (N, heads, L, C / heads). */
  private static NDArray fourAxes(NDArray tokens, int heads) {
    Shape shape = tokens.getShape();
    return tokens
        .reshape(shape.get(0), shape.get(1), heads, shape.get(2) / heads)
        .transpose(0, 2, 1, 3);
  }

  /** A scalar in the engine's own memory: {@code x.mul(Number)} would make one in Java's. */
  private static NDArray constant(NDArray x, double value) {
    return x.getManager().create(value).toType(x.getDataType(), false).duplicate();
  }
}
