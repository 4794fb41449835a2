package io.github.ddpm4j.spi;

import java.util.function.Supplier;

/**
 * The operations that networks and losses are written against, so that they are written once and
 * can be interpreted in more than one way: one interpreter runs them on NDArrays one by one,
 * another writes them down as a program that is compiled and run whole.
 *
 * <p>Code written against this interface must not look into values: no control flow depends on
 * data, and sizes come from the architecture or from the operations themselves. Images have the
 * shape (N, C, H, W), tokens (N, L, C), weights the layout of PyTorch: convolutions (out, in,
 * height, width), linear layers (out, in).
 *
 * @param <T> what a value is to the interpreter
 */
public interface Ops<T> {

  /**
   * Two-dimensional convolution (cross-correlation) with a bias.
   *
   * @param x images, shape (N, C, H, W)
   * @param weight shape (O, C, K, K)
   * @param bias shape (O)
   * @param stride the step in both directions
   * @param padding zeros added on each of the four sides
   * @return shape (N, O, ⌊(H + 2·padding − K) / stride⌋ + 1, the same of W)
   */
  T conv2d(T x, T weight, T bias, int stride, int padding);

  /**
   * Adds rows of zeros below and columns of zeros to the right.
   *
   * @param x images, shape (N, C, H, W)
   * @param count how many
   * @return shape (N, C, H + count, W + count)
   */
  T padRightBottom(T x, int count);

  /**
   * Group normalisation (Wu and He 2018): per image and group of C / groups neighbouring channels,
   *
   * <pre>y = (x − mean) / √(variance + eps) · weight + bias</pre>
   *
   * <p>with the biased variance, and weight and bias per channel.
   *
   * @param x images, shape (N, C, H, W)
   * @param groups the number of groups, a divisor of C
   * @param weight shape (C)
   * @param bias shape (C)
   * @param eps keeps the root away from zero
   * @return shape of {@code x}
   */
  T groupNorm(T x, int groups, T weight, T bias, double eps);

  /**
   * The activation x · sigmoid(x), also called swish.
   *
   * @param x any shape
   * @return shape of {@code x}
   */
  T silu(T x);

  /**
   * The linear layer x · weightᵀ + bias over the last axis.
   *
   * @param x shape (…, C)
   * @param weight shape (O, C)
   * @param bias shape (O)
   * @return shape (…, O)
   */
  T linear(T x, T weight, T bias);

  /**
   * Looks rows of a table up.
   *
   * @param table shape (R, C)
   * @param rows the numbers of the rows, whole numbers of any type in [0, R), shape (N)
   * @return shape (N, C)
   */
  T embedding(T table, T rows);

  /**
   * Adds one value per image and channel to every pixel of that channel.
   *
   * @param x images, shape (N, C, H, W)
   * @param values shape (N, C)
   * @return shape of {@code x}
   */
  T addPerChannel(T x, T values);

  /**
   * The element-wise sum of two values of the same shape, or of which one broadcasts.
   *
   * @param a any shape
   * @param b a shape that broadcasts with that of {@code a}
   * @return a + b
   */
  T add(T a, T b);

  /**
   * The element-wise difference of two values of the same shape, or of which one broadcasts.
   *
   * @param a any shape
   * @param b a shape that broadcasts with that of {@code a}
   * @return a − b
   */
  T subtract(T a, T b);

  /**
   * The element-wise product of two values of the same shape, or of which one broadcasts.
   *
   * @param a any shape
   * @param b a shape that broadcasts with that of {@code a}
   * @return a · b
   */
  T multiply(T a, T b);

  /**
   * The product with a constant.
   *
   * @param x any shape
   * @param factor the constant
   * @return factor · x
   */
  T scale(T x, double factor);

  /**
   * The sum with a constant.
   *
   * @param x any shape
   * @param offset the constant
   * @return x + offset
   */
  T shift(T x, double offset);

  /**
   * The element-wise exponential.
   *
   * @param x any shape
   * @return eˣ
   */
  T exp(T x);

  /**
   * The element-wise exponential less one, which keeps its digits near zero.
   *
   * @param x any shape
   * @return eˣ − 1
   */
  T expm1(T x);

  /**
   * The element-wise natural logarithm.
   *
   * @param x any shape, above 0
   * @return ln x
   */
  T log(T x);

  /**
   * The element-wise hyperbolic tangent.
   *
   * @param x any shape
   * @return tanh x
   */
  T tanh(T x);

  /**
   * The element-wise error function.
   *
   * @param x any shape
   * @return (2 / √π) ∫₀ˣ exp(−u²) du
   */
  T erf(T x);

  /**
   * The greater of a value and a constant, element by element.
   *
   * @param x any shape
   * @param least the constant
   * @return max(x, least)
   */
  T atLeast(T x, double least);

  /**
   * One of two values, element by element.
   *
   * @param x what decides
   * @param threshold where it changes
   * @param above what is taken where {@code x > threshold}, shape of {@code x}
   * @param otherwise what is taken elsewhere, shape of {@code x}
   * @return shape of {@code x}
   */
  T whereAbove(T x, double threshold, T above, T otherwise);

  /**
   * The element-wise square.
   *
   * @param x any shape
   * @return x²
   */
  T square(T x);

  /**
   * The element-wise absolute value. Its gradient at 0 is 0.
   *
   * @param x any shape
   * @return |x|
   */
  T abs(T x);

  /**
   * Moves elements above {@code greatest} down to it; their gradient is 0.
   *
   * @param x any shape
   * @param greatest the upper bound
   * @return min(x, greatest)
   */
  T atMost(T x, double greatest);

  /**
   * The same values, through which no gradient flows.
   *
   * @param x any shape
   * @return x
   */
  T detach(T x);

  /**
   * The mean over everything but the first axis.
   *
   * @param x shape (N, …)
   * @return shape (N)
   */
  T meanPerImage(T x);

  /**
   * The mean over everything.
   *
   * @param x any shape
   * @return a scalar
   */
  T mean(T x);

  /**
   * Joins images along their channels.
   *
   * @param a shape (N, C1, H, W)
   * @param b shape (N, C2, H, W)
   * @return shape (N, C1 + C2, H, W)
   */
  T concatChannels(T a, T b);

  /**
   * The first channels of images, as many as others have.
   *
   * @param x images, shape (N, C + D, H, W)
   * @param like images with C channels; their values do not matter
   * @return shape (N, C, H, W)
   */
  T firstChannels(T x, T like);

  /**
   * The channels of images after the first, of which there are as many as others have.
   *
   * @param x images, shape (N, C + D, H, W)
   * @param like images with C channels; their values do not matter
   * @return shape (N, D, H, W)
   */
  T channelsAfter(T x, T like);

  /**
   * Doubles height and width by repeating every pixel.
   *
   * @param x images, shape (N, C, H, W)
   * @return shape (N, C, 2H, 2W)
   */
  T upsampleNearest2x(T x);

  /**
   * Doubles height and width by repeating every pixel, and smooths by a 3x3 convolution.
   *
   * @param x images, shape (N, C, H, W)
   * @param weight shape (O, C, 3, 3)
   * @param bias shape (O)
   * @return shape (N, O, 2H, 2W)
   */
  default T upsampleConv3x3(T x, T weight, T bias) {
    return scope(() -> conv2d(upsampleNearest2x(x), weight, bias, 1, 1));
  }

  /**
   * Images as sequences: one token per pixel, row by row.
   *
   * @param x images, shape (N, C, H, W)
   * @return tokens, shape (N, H·W, C)
   */
  T tokens(T x);

  /**
   * The inverse of {@link #tokens}.
   *
   * @param tokens shape (N, H·W, C)
   * @param like images of the wanted shape (N, C, H, W); its values do not matter
   * @return images, shape of {@code like}
   */
  T images(T tokens, T like);

  /**
   * Scaled dot-product attention (Vaswani et al. 2017, eq. 1). The channels are cut into {@code
   * heads} neighbouring parts of width d, and for each part
   *
   * <pre>softmax(q · kᵀ / √d) · v</pre>
   *
   * @param query tokens, shape (N, L, C)
   * @param key tokens, shape of {@code query}
   * @param value tokens, shape of {@code query}
   * @param heads the number of heads, a divisor of C
   * @return tokens, shape of {@code query}
   */
  T attention(T query, T key, T value, int heads);

  /**
   * Inverted dropout (Srivastava et al. 2014): in training each element is zero with probability
   * {@code rate} and divided by 1 − rate otherwise; in inference it does nothing.
   *
   * @param x any shape
   * @param rate the probability of zero, in [0, 1)
   * @param layer the number of the layer in its network, which with the seed and the number of the
   *     pass decides the mask
   * @return shape of {@code x}
   */
  T dropout(T x, double rate, int layer);

  /**
   * Takes images into a network: in the type and memory layout that it computes in.
   *
   * @param images images from outside, shape (N, C, H, W)
   * @return the same images
   */
  default T enter(T images) {
    return images;
  }

  /**
   * Takes features into a network: in the type that it computes in.
   *
   * @param features features from outside, shape (N, F)
   * @return the same features
   */
  default T enterFeatures(T features) {
    return features;
  }

  /**
   * Takes a value out of a network: in the type and memory layout of what is outside.
   *
   * @param x any value of the network
   * @return the same value
   */
  default T leave(T x) {
    return x;
  }

  /**
   * A part of the network: everything that {@code body} makes on the way may be forgotten once its
   * result is known. Has no effect on values.
   *
   * @param body makes and returns a new value; it must not return one made outside
   * @return what {@code body} returned
   */
  T scope(Supplier<T> body);
}
