package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.spi.Ops;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongUnaryOperator;
import java.util.function.Supplier;

/**
 * Interprets a network without computing anything: a value is its shape, and what is kept is the
 * work. Multiply-adds are those of convolutions, linear layers and the two products of attention;
 * what is done element by element (norms, activations, sums, the softmax) and biases count nothing,
 * as is usual. A convolution after doubling counts as it is defined, on the doubled image.
 */
final class CountingOps implements Ops<CountingOps.Value> {

  /**
   * What stands for an array.
   *
   * @param shape its shape
   * @param layer the layer that it is a weight of, or that made it; empty if none did
   */
  record Value(Shape shape, String layer) {}

  /** One layer. */
  static final class Work {
    private Shape output = new Shape();
    private long parameters;
    private long multiplyAdds;

    /** The shape of what it made last. */
    Shape output() {
      return output;
    }

    /** The single values of its weights. */
    long parameters() {
      return parameters;
    }

    /** Multiplications with addition. */
    long multiplyAdds() {
      return multiplyAdds;
    }
  }

  private final Map<String, Work> layers = new LinkedHashMap<>();

  /** The layers by name, in the order in which they were first used. */
  Map<String, Work> layers() {
    return layers;
  }

  private Work layer(String name) {
    return layers.computeIfAbsent(name, unused -> new Work());
  }

  /** Notes the use of a layer with its weights. */
  private Value used(Value output, long multiplyAdds, Value... weights) {
    Work work = layer(output.layer);
    work.output = output.shape;
    work.multiplyAdds = sum(work.multiplyAdds, multiplyAdds);
    for (Value weight : weights) {
      work.parameters += weight.shape.size();
    }
    return output;
  }

  /** At most {@link Long#MAX_VALUE}. */
  static long sum(long a, long b) {
    return a + b < 0 ? Long.MAX_VALUE : a + b;
  }

  private static long product(long... factors) {
    long product = 1;
    for (long factor : factors) {
      if (product > Long.MAX_VALUE / factor) {
        return Long.MAX_VALUE;
      }
      product *= factor;
    }
    return product;
  }

  private static Value like(Value x, long... shape) {
    return new Value(new Shape(shape), x.layer);
  }

  @Override
  public Value conv(Value x, Value weight, Value bias, int stride, int padding) {
    long out = weight.shape.get(0);
    long in = weight.shape.get(1);
    long kernel = weight.shape.get(2);
    requireSame(in, x.shape.get(1));
    Value output = sized(weight, x, out, size -> (size + 2L * padding - kernel) / stride + 1);
    return used(output, product(output.shape.size(), in, area(weight)), weight, bias);
  }

  @Override
  public Value depthwiseConv(Value x, Value weight, Value bias, int stride, int padding) {
    long channels = weight.shape.get(0);
    long kernel = weight.shape.get(2);
    requireSame(channels, x.shape.get(1));
    Value output = sized(weight, x, channels, size -> (size + 2L * padding - kernel) / stride + 1);
    return used(output, product(output.shape.size(), area(weight)), weight, bias);
  }

  @Override
  public Value convTranspose(Value x, Value weight, Value bias, int stride, int padding) {
    long in = weight.shape.get(0);
    long out = weight.shape.get(1);
    long kernel = weight.shape.get(2);
    requireSame(in, x.shape.get(1));
    Value output = sized(weight, x, out, size -> (size - 1) * stride - 2L * padding + kernel);
    return used(output, product(x.shape.size(), out, area(weight)), weight, bias);
  }

  /** Images of so many channels, whose axes have sizes of their own. */
  private static Value sized(Value layer, Value x, long channels, LongUnaryOperator size) {
    Shape shape = new Shape(x.shape.get(0), channels);
    for (int axis = 2; axis < x.shape.dimension(); axis++) {
      shape = shape.add(size.applyAsLong(x.shape.get(axis)));
    }
    return new Value(shape, layer.layer);
  }

  /** The weights of a convolution for a pair of channels. */
  private static long area(Value weight) {
    return weight.shape.slice(2).size();
  }

  @Override
  public Value linear(Value x, Value weight) {
    return linear(x, weight, new Value(new Shape(0), weight.layer));
  }

  @Override
  public Value linear(Value x, Value weight, Value bias) {
    int last = x.shape.dimension() - 1;
    long in = weight.shape.get(1);
    requireSame(in, x.shape.get(last));
    Value output = new Value(x.shape.slice(0, last).add(weight.shape.get(0)), weight.layer);
    return used(output, product(output.shape.size(), in), weight, bias);
  }

  @Override
  public Value groupNorm(Value x, int groups, Value weight, Value bias, double eps) {
    requireSame(weight.shape.get(0), x.shape.get(1));
    return used(new Value(x.shape, weight.layer), 0, weight, bias);
  }

  @Override
  public Value rmsNorm(Value x, Value weight) {
    requireSame(weight.shape.get(0), x.shape.get(1));
    return used(new Value(x.shape, weight.layer), 0, weight);
  }

  @Override
  public Value layerNorm(Value x, Value weight, Value bias, double eps) {
    requireSame(weight.shape.get(0), x.shape.get(x.shape.dimension() - 1));
    return used(new Value(x.shape, weight.layer), 0, weight, bias);
  }

  @Override
  public Value fourierFeatures(Value t, Value frequencies) {
    return used(like(frequencies, t.shape.get(0), 2 * frequencies.shape.get(0)), 0, frequencies);
  }

  @Override
  public Value embedding(Value table, Value rows) {
    Shape shape = new Shape().addAll(rows.shape).add(table.shape.get(1));
    return used(new Value(shape, table.layer), 0, table);
  }

  /** The products q · kᵀ and (…) · v belong to the layer that made the query. */
  @Override
  public Value attention(Value query, Value key, Value value, int heads) {
    long tokens = key.shape.get(1);
    Work work = layer(query.layer);
    work.multiplyAdds = sum(work.multiplyAdds, product(2, query.shape.size(), tokens));
    return query;
  }

  /** Counts as if every token saw all, as is usual. */
  @Override
  public Value causalAttention(Value query, Value key, Value value, int heads) {
    return attention(query, key, value, heads);
  }

  /** The products softmax(k)ᵀ · v and q · (…) belong to the layer that made the query. */
  @Override
  public Value linearAttention(Value query, Value key, Value value, int heads) {
    Work work = layer(query.layer);
    long width = query.shape.get(2) / heads;
    work.multiplyAdds = sum(work.multiplyAdds, product(key.shape.size(), width));
    work.multiplyAdds = sum(work.multiplyAdds, product(query.shape.size(), width));
    return query;
  }

  @Override
  public Value appendTokens(Value tokens, Value more) {
    Shape s = tokens.shape;
    return used(like(more, s.get(0), s.get(1) + more.shape.get(0), s.get(2)), 0, more);
  }

  @Override
  public Value tokens(Value x) {
    Shape s = x.shape;
    return like(x, s.get(0), s.slice(2).size(), s.get(1));
  }

  /** The layer that made the tokens has images for its output. */
  @Override
  public Value images(Value tokens, Value like) {
    return used(new Value(like.shape, tokens.layer), 0);
  }

  @Override
  public Value concatChannels(Value a, Value b) {
    return channels(a, a.shape.get(1) + b.shape.get(1));
  }

  @Override
  public Value firstChannels(Value x, Value like) {
    return channels(x, like.shape.get(1));
  }

  @Override
  public Value channelsAfter(Value x, Value like) {
    return channels(x, x.shape.get(1) - like.shape.get(1));
  }

  private static Value channels(Value x, long count) {
    return new Value(new Shape(x.shape.get(0), count).addAll(x.shape.slice(2)), x.layer);
  }

  @Override
  public Value padEnd(Value x, int count) {
    return sized(x, x, x.shape.get(1), side -> side + count);
  }

  @Override
  public Value averagePool(Value x, int size) {
    return sized(x, x, x.shape.get(1), side -> side / size);
  }

  @Override
  public Value maxPool(Value x, int size) {
    return averagePool(x, size);
  }

  @Override
  public Value gatedGelu(Value x) {
    int last = x.shape.dimension() - 1;
    return new Value(x.shape.slice(0, last).add(x.shape.get(last) / 2), x.layer);
  }

  @Override
  public Value crop(Value x, int... sizes) {
    long[] kept = Arrays.stream(sizes).asLongStream().toArray();
    return new Value(x.shape.slice(0, 2).addAll(new Shape(kept)), x.layer);
  }

  @Override
  public Value upsampleNearest2x(Value x) {
    return sized(x, x, x.shape.get(1), side -> 2 * side);
  }

  @Override
  public Value meanPerImage(Value x) {
    return like(x, x.shape.get(0));
  }

  @Override
  public Value mean(Value x) {
    return like(x);
  }

  @Override
  public Value scope(Supplier<Value> body) {
    return body.get();
  }

  /* ---------------- Element by element ---------------- */

  private static Value broadcast(Value a, Value b) {
    int dimensions = Math.max(a.shape.dimension(), b.shape.dimension());
    long[] shape = new long[dimensions];
    for (int i = 1; i <= dimensions; i++) {
      shape[dimensions - i] = Math.max(sizeFromEnd(a.shape, i), sizeFromEnd(b.shape, i));
    }
    return like(a, shape);
  }

  private static long sizeFromEnd(Shape shape, int place) {
    return place > shape.dimension() ? 1 : shape.get(shape.dimension() - place);
  }

  @Override
  public Value add(Value a, Value b) {
    return broadcast(a, b);
  }

  @Override
  public Value subtract(Value a, Value b) {
    return broadcast(a, b);
  }

  @Override
  public Value multiply(Value a, Value b) {
    return broadcast(a, b);
  }

  @Override
  public Value addPerChannel(Value x, Value values) {
    return x;
  }

  @Override
  public Value multiplyPerChannel(Value x, Value values) {
    return x;
  }

  @Override
  public Value silu(Value x) {
    return x;
  }

  @Override
  public Value scale(Value x, double factor) {
    return x;
  }

  @Override
  public Value shift(Value x, double offset) {
    return x;
  }

  @Override
  public Value exp(Value x) {
    return x;
  }

  @Override
  public Value expm1(Value x) {
    return x;
  }

  @Override
  public Value log(Value x) {
    return x;
  }

  @Override
  public Value tanh(Value x) {
    return x;
  }

  @Override
  public Value erf(Value x) {
    return x;
  }

  @Override
  public Value atLeast(Value x, double least) {
    return x;
  }

  @Override
  public Value whereAbove(Value x, double threshold, Value above, Value otherwise) {
    return x;
  }

  @Override
  public Value square(Value x) {
    return x;
  }

  @Override
  public Value abs(Value x) {
    return x;
  }

  @Override
  public Value atMost(Value x, double greatest) {
    return x;
  }

  @Override
  public Value detach(Value x) {
    return x;
  }

  @Override
  public Value dropout(Value x, double rate, int layer) {
    return x;
  }

  private static void requireSame(long weights, long values) {
    if (weights != values) {
      throw new IllegalStateException(
          "the weights are for " + weights + " channels, but there are " + values);
    }
  }
}
