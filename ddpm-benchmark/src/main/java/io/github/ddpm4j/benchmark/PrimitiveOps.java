package io.github.ddpm4j.benchmark;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.norm.Dropout;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.spi.Ops;
import java.util.Arrays;
import java.util.function.Supplier;

/**
 * The operations as one writes them by hand with DJL's NDArrays: normalisation and attention of
 * mean, variance, softmax and products, DJL's dropout, and nothing freed before the manager of the
 * images is closed.
 */
final class PrimitiveOps implements Ops<NDArray> {

  private static final EagerOps SIMPLE = EagerOps.inference();

  private final boolean training;

  PrimitiveOps(boolean training) {
    this.training = training;
  }

  @Override
  public NDArray conv(NDArray x, NDArray weight, NDArray bias, int stride, int padding) {
    return SIMPLE.conv(x, weight, bias, stride, padding);
  }

  @Override
  public NDArray depthwiseConv(NDArray x, NDArray weight, NDArray bias, int stride, int padding) {
    return SIMPLE.depthwiseConv(x, weight, bias, stride, padding);
  }

  @Override
  public NDArray padEnd(NDArray x, int count) {
    return SIMPLE.padEnd(x, count);
  }

  @Override
  public NDArray groupNorm(NDArray x, int groups, NDArray weight, NDArray bias, double eps) {
    Shape shape = x.getShape();
    int[] last = {2};
    NDArray rows = x.reshape(shape.get(0), groups, -1);
    NDArray centred = rows.sub(rows.mean(last, true));
    NDArray variance = centred.square().mean(last, true);
    NDArray normal = centred.div(variance.add(eps).sqrt()).reshape(shape);
    return normal.mul(perChannel(weight, x)).add(perChannel(bias, x));
  }

  /** A view belongs to the manager of what it views; this one must go with the images. */
  private static NDArray perChannel(NDArray values, NDArray x) {
    long[] axes = new long[x.getShape().dimension()];
    Arrays.fill(axes, 1);
    axes[1] = values.size();
    NDArray view = values.reshape(axes);
    view.attach(x.getManager());
    return view;
  }

  @Override
  public NDArray silu(NDArray x) {
    return x.mul(Activation.sigmoid(x));
  }

  @Override
  public NDArray linear(NDArray x, NDArray weight, NDArray bias) {
    return SIMPLE.linear(x, weight, bias);
  }

  @Override
  public NDArray addPerChannel(NDArray x, NDArray values) {
    return x.add(values.expandDims(-1).expandDims(-1));
  }

  @Override
  public NDArray add(NDArray a, NDArray b) {
    return SIMPLE.add(a, b);
  }

  @Override
  public NDArray subtract(NDArray a, NDArray b) {
    return SIMPLE.subtract(a, b);
  }

  @Override
  public NDArray multiply(NDArray a, NDArray b) {
    return SIMPLE.multiply(a, b);
  }

  @Override
  public NDArray scale(NDArray x, double factor) {
    return SIMPLE.scale(x, factor);
  }

  @Override
  public NDArray square(NDArray x) {
    return SIMPLE.square(x);
  }

  @Override
  public NDArray abs(NDArray x) {
    return SIMPLE.abs(x);
  }

  @Override
  public NDArray atMost(NDArray x, double greatest) {
    return SIMPLE.atMost(x, greatest);
  }

  @Override
  public NDArray detach(NDArray x) {
    return SIMPLE.detach(x);
  }

  @Override
  public NDArray meanPerImage(NDArray x) {
    return SIMPLE.meanPerImage(x);
  }

  @Override
  public NDArray concatChannels(NDArray a, NDArray b) {
    return SIMPLE.concatChannels(a, b);
  }

  @Override
  public NDArray embedding(NDArray table, NDArray rows) {
    return SIMPLE.embedding(table, rows);
  }

  @Override
  public NDArray firstChannels(NDArray x, NDArray like) {
    return SIMPLE.firstChannels(x, like);
  }

  @Override
  public NDArray upsampleNearest2x(NDArray x) {
    return x.repeat(3, 2).repeat(2, 2);
  }

  @Override
  public NDArray tokens(NDArray x) {
    return x.reshape(x.getShape().get(0), x.getShape().get(1), -1).transpose(0, 2, 1);
  }

  @Override
  public NDArray images(NDArray tokens, NDArray like) {
    return tokens.transpose(0, 2, 1).reshape(like.getShape());
  }

  @Override
  public NDArray attention(NDArray query, NDArray key, NDArray value, int heads) {
    Shape shape = query.getShape();
    NDArray q = split(query, heads);
    NDArray k = split(key, heads);
    NDArray v = split(value, heads);
    double scale = 1 / Math.sqrt((double) shape.get(2) / heads);
    NDArray scores = scale(q.matMul(k.transpose(0, 1, 3, 2)), scale);
    return scores.softmax(-1).matMul(v).transpose(0, 2, 1, 3).reshape(shape);
  }

  /** (N, L, C) as (N, heads, L, C / heads). */
  private static NDArray split(NDArray tokens, int heads) {
    Shape shape = tokens.getShape();
    return tokens
        .reshape(shape.get(0), shape.get(1), heads, shape.get(2) / heads)
        .transpose(0, 2, 1, 3);
  }

  @Override
  public NDArray dropout(NDArray x, double rate, int layer) {
    return training && rate > 0 ? Dropout.dropout(x, (float) rate, true).singletonOrThrow() : x;
  }

  @Override
  public NDArray scope(Supplier<NDArray> body) {
    return body.get();
  }

  @Override
  public NDArray shift(NDArray x, double offset) {
    return SIMPLE.shift(x, offset);
  }

  @Override
  public NDArray exp(NDArray x) {
    return SIMPLE.exp(x);
  }

  @Override
  public NDArray expm1(NDArray x) {
    return SIMPLE.expm1(x);
  }

  @Override
  public NDArray log(NDArray x) {
    return SIMPLE.log(x);
  }

  @Override
  public NDArray tanh(NDArray x) {
    return SIMPLE.tanh(x);
  }

  @Override
  public NDArray erf(NDArray x) {
    return SIMPLE.erf(x);
  }

  @Override
  public NDArray atLeast(NDArray x, double least) {
    return SIMPLE.atLeast(x, least);
  }

  @Override
  public NDArray whereAbove(NDArray x, double threshold, NDArray above, NDArray otherwise) {
    return SIMPLE.whereAbove(x, threshold, above, otherwise);
  }

  @Override
  public NDArray channelsAfter(NDArray x, NDArray like) {
    return SIMPLE.channelsAfter(x, like);
  }

  @Override
  public NDArray mean(NDArray x) {
    return SIMPLE.mean(x);
  }

  @Override
  public NDArray convTranspose(NDArray x, NDArray weight, NDArray bias, int stride, int padding) {
    return SIMPLE.convTranspose(x, weight, bias, stride, padding);
  }

  @Override
  public NDArray averagePool(NDArray x, int size) {
    return SIMPLE.averagePool(x, size);
  }

  @Override
  public NDArray maxPool(NDArray x, int size) {
    return SIMPLE.maxPool(x, size);
  }

  @Override
  public NDArray rmsNorm(NDArray x, NDArray weight) {
    return SIMPLE.rmsNorm(x, weight);
  }

  @Override
  public NDArray linear(NDArray x, NDArray weight) {
    return SIMPLE.linear(x, weight);
  }

  @Override
  public NDArray fourierFeatures(NDArray t, NDArray frequencies) {
    return SIMPLE.fourierFeatures(t, frequencies);
  }

  @Override
  public NDArray multiplyPerChannel(NDArray x, NDArray values) {
    return SIMPLE.multiplyPerChannel(x, values);
  }

  @Override
  public NDArray layerNorm(NDArray x, NDArray weight, NDArray bias, double eps) {
    return SIMPLE.layerNorm(x, weight, bias, eps);
  }

  @Override
  public NDArray causalAttention(NDArray query, NDArray key, NDArray value, int heads) {
    return SIMPLE.causalAttention(query, key, value, heads);
  }

  @Override
  public NDArray linearAttention(NDArray query, NDArray key, NDArray value, int heads) {
    return SIMPLE.linearAttention(query, key, value, heads);
  }

  @Override
  public NDArray gatedGelu(NDArray x) {
    return SIMPLE.gatedGelu(x);
  }

  @Override
  public NDArray crop(NDArray x, int... sizes) {
    return SIMPLE.crop(x, sizes);
  }

  @Override
  public NDArray appendTokens(NDArray tokens, NDArray more) {
    return SIMPLE.appendTokens(tokens, more);
  }
}
