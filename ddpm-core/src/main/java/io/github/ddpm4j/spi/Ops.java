package io.github.ddpm4j.spi;

import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The operations from which networks and losses are built. Code written once against this interface
 * has several interpreters: one runs each operation eagerly on NDArrays, another records them as a
 * program that is compiled and run as a whole.
 *
 * <p>Such code must not inspect values: control flow must not depend on data, and sizes come from
 * the architecture or from the operations themselves. Images have the shape (N, C, H, W), tokens
 * (N, L, C); weights have PyTorch's layout: convolutions (out, in, height, width), linear layers
 * (out, in).
 *
 * <p>Signals of shape (N, C, L) and volumes of shape (N, C, D, H, W) are images of one and of three
 * axes to every operation: what is said of height and width holds for each of their axes, and the
 * weights of their convolutions have as many, (out, in, length) and (out, in, depth, height,
 * width).
 *
 * <p>Constants are rounded to the type of the operand; beyond its range they are infinite.
 *
 * @param <T> the interpreter's operand type
 */
public interface Ops<T> {

  /**
   * Convolution (cross-correlation) with a bias, over as many axes as the images have.
   *
   * @param x images, shape (N, C, H, W)
   * @param weight shape (O, C, K, K)
   * @param bias shape (O)
   * @param stride the stride along each axis
   * @param padding zeros added at both ends of each axis
   * @return shape (N, O, ⌊(H + 2·padding − K) / stride⌋ + 1, the same for W)
   */
  T conv(T x, T weight, T bias, int stride, int padding);

  /**
   * Convolution of each channel by itself, with a bias and zero padding.
   *
   * @param x images, shape (N, C, H, W)
   * @param weight shape (C, 1, K, K)
   * @param bias shape (C)
   * @param stride the stride along each axis
   * @param padding zeros added at both ends of each axis
   * @return shape (N, C, ⌊(H + 2·padding − K) / stride⌋ + 1, the same for W)
   */
  T depthwiseConv(T x, T weight, T bias, int stride, int padding);

  /**
   * Transposed convolution with a bias, the gradient of {@link #conv} with respect to its input:
   * each pixel of {@code x} adds its K x K multiples of the weight to the result, {@code stride}
   * pixels from those of its neighbour.
   *
   * @param x images, shape (N, C, H, W)
   * @param weight shape (C, O, K, K), the inputs first
   * @param bias shape (O)
   * @param stride the stride along each axis
   * @param padding rows and columns cut off at both ends of each axis, less than K
   * @return shape (N, O, (H − 1) · stride − 2 · padding + K, the same for W)
   */
  T convTranspose(T x, T weight, T bias, int stride, int padding);

  /**
   * The mean of each square of pixels. Squares lie side by side; rows and columns that are left
   * over at the bottom and on the right are left out.
   *
   * @param x images, shape (N, C, H, W)
   * @param size the side of the squares
   * @return shape (N, C, ⌊H / size⌋, ⌊W / size⌋)
   */
  T averagePool(T x, int size);

  /**
   * The largest value of each square of pixels, which lie as in {@link #averagePool}.
   *
   * @param x images, shape (N, C, H, W)
   * @param size the side of the squares
   * @return shape (N, C, ⌊H / size⌋, ⌊W / size⌋)
   */
  T maxPool(T x, int size);

  /**
   * Pads images with rows of zeros at the bottom and columns of zeros on the right.
   *
   * @param x images, shape (N, C, H, W)
   * @param count the number of rows and of columns
   * @return shape (N, C, H + count, W + count)
   */
  T padEnd(T x, int count);

  /**
   * Group normalisation (Wu and He 2018): per image and group of C / groups adjacent channels,
   *
   * <pre>y = (x − mean) / √(variance + eps) · weight + bias</pre>
   *
   * <p>with the biased variance, and weight and bias per channel.
   *
   * @param x images, shape (N, C, H, W)
   * @param groups the number of groups, a divisor of C
   * @param weight shape (C)
   * @param bias shape (C)
   * @param eps added to the variance to avoid division by zero
   * @return shape of {@code x}
   */
  T groupNorm(T x, int groups, T weight, T bias, double eps);

  /**
   * Root-mean-square normalisation over the channels of each pixel (Zhang and Sennrich 2019),
   *
   * <pre>y = x / max(‖x‖, 10⁻¹²) · √C · weight</pre>
   *
   * <p>with the Euclidean norm over the C channels. Norms and quotients are computed in at least
   * float32.
   *
   * @param x images, shape (N, C, H, W)
   * @param weight shape (C)
   * @return shape of {@code x}
   */
  T rmsNorm(T x, T weight);

  /**
   * Layer normalisation over the last axis (Ba, Kiros and Hinton 2016),
   *
   * <pre>y = (x − mean) / √(variance + eps) · weight + bias</pre>
   *
   * <p>with the biased variance.
   *
   * @param x shape (…, C), such as tokens
   * @param weight shape (C)
   * @param bias shape (C)
   * @param eps added to the variance to avoid division by zero
   * @return shape of {@code x}
   */
  T layerNorm(T x, T weight, T bias, double eps);

  /**
   * The activation x · sigmoid(x), also called swish.
   *
   * @param x any shape
   * @return shape of {@code x}
   */
  T silu(T x);

  /**
   * The activation x · Φ(x) with the distribution function Φ of the normal distribution (Hendrycks
   * and Gimpel 2016), not an approximation of it.
   *
   * @param x any shape
   * @return ½ x (1 + erf(x / √2)), shape of {@code x}
   */
  default T gelu(T x) {
    return scope(() -> multiply(scale(x, 0.5), shift(erf(scale(x, Math.sqrt(0.5))), 1)));
  }

  /**
   * The activation x · sigmoid(1.702 x), the quick approximation of {@link #gelu} (Hendrycks and
   * Gimpel 2016) that CLIP was trained with.
   *
   * @param x any shape
   * @return shape of {@code x}
   */
  default T quickGelu(T x) {
    return scope(() -> scale(silu(scale(x, 1.702)), 1 / 1.702));
  }

  /**
   * A value times the {@link #gelu} of another, where both lie behind each other on the last axis
   * (Shazeer 2020, "GLU Variants Improve Transformer", GEGLU).
   *
   * @param x shape (…, 2C)
   * @return the first half times the GELU of the second, shape (…, C)
   */
  T gatedGelu(T x);

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
   * The linear layer x · weightᵀ over the last axis, without a bias.
   *
   * @param x shape (…, C)
   * @param weight shape (O, C)
   * @return shape (…, O)
   */
  T linear(T x, T weight);

  /**
   * Looks up rows of an embedding table.
   *
   * @param table shape (R, C)
   * @param rows the row indices, integer-valued in any type, in [0, R), shape (N) or (N, L)
   * @return shape (N, C) or (N, L, C)
   */
  T embedding(T table, T rows);

  /**
   * Fourier features of one number per image, computed in at least float32 before they are
   * converted to the network's compute type, because phases are large:
   *
   * <pre>sin(2π f_0 t), sin(2π f_1 t), …, cos(2π f_0 t), cos(2π f_1 t), …</pre>
   *
   * @param t the numbers, as they come from outside, shape (N, 1)
   * @param frequencies the frequencies f, shape (F)
   * @return shape (N, 2F)
   */
  T fourierFeatures(T t, T frequencies);

  /**
   * Adds one value per image and channel to every pixel of that channel.
   *
   * @param x images, shape (N, C, H, W)
   * @param values shape (N, C), or (C) for the same in every image
   * @return shape of {@code x}
   */
  T addPerChannel(T x, T values);

  /**
   * Multiplies every pixel of a channel by one value per image and channel.
   *
   * @param x images, shape (N, C, H, W)
   * @param values shape (N, C), or (C) for the same in every image
   * @return shape of {@code x}
   */
  T multiplyPerChannel(T x, T values);

  /**
   * The element-wise sum, with broadcasting.
   *
   * @param a any shape
   * @param b a shape that broadcasts with that of {@code a}
   * @return a + b
   */
  T add(T a, T b);

  /**
   * The element-wise difference, with broadcasting.
   *
   * @param a any shape
   * @param b a shape that broadcasts with that of {@code a}
   * @return a − b
   */
  T subtract(T a, T b);

  /**
   * The element-wise product, with broadcasting.
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
   * The element-wise exponential minus one, accurate near zero.
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
   * The element-wise maximum of a value and a constant. The gradient of elements below {@code
   * least} is 0.
   *
   * @param x any shape
   * @param least the constant
   * @return max(x, least)
   */
  T atLeast(T x, double least);

  /**
   * Selects between two values, element by element.
   *
   * @param x the value that decides
   * @param threshold the threshold on {@code x}
   * @param above the value where {@code x > threshold}, shape of {@code x}
   * @param otherwise the value elsewhere, shape of {@code x}
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
   * The element-wise minimum of a value and a constant. The gradient of elements above {@code
   * greatest} is 0.
   *
   * @param x any shape
   * @param greatest the upper bound
   * @return min(x, greatest)
   */
  T atMost(T x, double greatest);

  /**
   * The same values, with the gradient stopped.
   *
   * @param x any shape
   * @return x
   */
  T detach(T x);

  /**
   * The mean over all axes but the first.
   *
   * @param x shape (N, …)
   * @return shape (N)
   */
  T meanPerImage(T x);

  /**
   * The mean over all elements.
   *
   * @param x any shape
   * @return a scalar
   */
  T mean(T x);

  /**
   * Concatenates images, or features, along the channel axis.
   *
   * @param a shape (N, C1, H, W) or (N, C1)
   * @param b shape (N, C2, H, W) or (N, C2)
   * @return shape (N, C1 + C2, H, W) or (N, C1 + C2)
   */
  T concatChannels(T a, T b);

  /**
   * The leading channels of images or features, as many as {@code like} has.
   *
   * @param x shape (N, C + D, H, W) or (N, C + D)
   * @param like images or features with C channels; their values are ignored
   * @return shape (N, C, H, W) or (N, C)
   */
  T firstChannels(T x, T like);

  /**
   * The remaining channels of images or features, after as many as {@code like} has.
   *
   * @param x shape (N, C + D, H, W) or (N, C + D)
   * @param like images or features with C channels; their values are ignored
   * @return shape (N, D, H, W) or (N, D)
   */
  T channelsAfter(T x, T like);

  /**
   * The pixels at the top left. Doubled images of which the last row or column is left out are
   * those that nearest neighbours would give in the odd size.
   *
   * @param x images, shape (N, C, H, W)
   * @param sizes how many stay along each axis, such as the number of rows, at most H, and of
   *     columns, at most W
   * @return shape (N, C) and the sizes
   */
  T crop(T x, int... sizes);

  /**
   * Doubles height and width by repeating every pixel.
   *
   * @param x images, shape (N, C, H, W)
   * @return shape (N, C, 2H, 2W)
   */
  T upsampleNearest2x(T x);

  /**
   * Doubles height and width by repeating every pixel, then applies a convolution of three pixels
   * along each axis with padding 1.
   *
   * @param x images, shape (N, C, H, W)
   * @param weight shape (O, C, 3, 3)
   * @param bias shape (O)
   * @return shape (N, O, 2H, 2W)
   */
  default T upsampleConv3(T x, T weight, T bias) {
    return scope(() -> conv(upsampleNearest2x(x), weight, bias, 1, 1));
  }

  /**
   * Converts images to token sequences: one token per pixel, row by row.
   *
   * @param x images, shape (N, C, H, W)
   * @return tokens, shape (N, H·W, C)
   */
  T tokens(T x);

  /**
   * The inverse of {@link #tokens}.
   *
   * @param tokens shape (N, H·W, C)
   * @param like images of the target shape (N, C, H, W); their values are ignored
   * @return images, shape of {@code like}
   */
  T images(T tokens, T like);

  /**
   * Scaled dot-product attention (Vaswani et al. 2017, eq. 1). The channels are split into {@code
   * heads} contiguous parts of width d, and for each part the result is
   *
   * <pre>softmax(q · kᵀ / √d) · v</pre>
   *
   * @param query tokens, shape (N, L, C)
   * @param key tokens, shape (N, M, C), of which there may be more or fewer
   * @param value tokens, shape of {@code key}
   * @param heads the number of heads, a divisor of C
   * @return tokens, shape of {@code query}
   */
  T attention(T query, T key, T value, int heads);

  /**
   * {@link #attention} in which no token sees those that come after it: token i takes part of the
   * keys and values 0 to i alone.
   *
   * @param query tokens, shape (N, L, C)
   * @param key tokens, shape of {@code query}
   * @param value tokens, shape of {@code query}
   * @param heads the number of heads, a divisor of C
   * @return tokens, shape of {@code query}
   */
  T causalAttention(T query, T key, T value, int heads);

  /**
   * Attention of a cost that grows with the number of tokens and not with its square (Shen et al.
   * 2018, "Efficient Attention"): queries are normalised over the d channels of each head, keys
   * over the tokens, and the result of each head is
   *
   * <pre>softmax_d(q) / √d · (softmax_M(k)ᵀ · v)</pre>
   *
   * @param query tokens, shape (N, L, C)
   * @param key tokens, shape (N, M, C), of which there may be more or fewer
   * @param value tokens, shape of {@code key}
   * @param heads the number of heads, a divisor of C; channels are split as in {@link #attention}
   * @return tokens, shape of {@code query}
   */
  T linearAttention(T query, T key, T value, int heads);

  /**
   * Puts the same tokens behind those of every image, such as learned keys and values.
   *
   * @param tokens shape (N, L, C)
   * @param more the tokens behind them, shape (M, C)
   * @return tokens, shape (N, L + M, C)
   */
  T appendTokens(T tokens, T more);

  /**
   * Inverted dropout (Srivastava et al. 2014): in training each element is zeroed with probability
   * {@code rate} and divided by 1 − rate otherwise; in inference it is the identity.
   *
   * @param x any shape
   * @param rate the dropout probability, in [0, 1)
   * @param layer the index of the layer in its network, which determines the mask together with the
   *     seed and the index of the pass
   * @return shape of {@code x}
   */
  T dropout(T x, double rate, int layer);

  /**
   * Converts input images to the network's compute type and memory layout.
   *
   * @param images images from outside, shape (N, C, H, W)
   * @return the same images
   */
  default T enter(T images) {
    return images;
  }

  /**
   * Converts input features to the network's compute type.
   *
   * @param features features from outside, shape (N, F), or tokens, shape (N, L, C)
   * @return the same features
   */
  default T enterFeatures(T features) {
    return features;
  }

  /**
   * Converts a network's result back to the type and memory layout used outside.
   *
   * @param x any value of the network
   * @return the same value
   */
  default T leave(T x) {
    return x;
  }

  /**
   * Marks a part of the network whose intermediate values training may drop after the forward pass
   * and compute again for the gradient, which takes less memory and more time (Chen et al. 2016,
   * "Training deep nets with sublinear memory cost"). Has no effect on values.
   *
   * <p>To be trained with {@link io.github.ddpm4j.Training#recomputation recomputation}, a network
   * consists of such parts: the inputs of each are results of others or inputs of the network, and
   * every weight is used in one.
   *
   * @param level what the part belongs to, so that some parts can be recomputed and others not; in
   *     a U-Net the level of resolution, 0 for the highest; negative for parts that are never
   *     recomputed, because it would not pay
   * @param inputs every value from outside the part through which gradients flow, apart from
   *     weights
   * @param body computes the part of its inputs, each time anew
   * @return the result of {@code body}
   */
  default T recomputable(int level, List<T> inputs, Function<List<T>, T> body) {
    return body.apply(inputs);
  }

  /**
   * Scopes a part of the network: intermediate values of {@code body} may be freed once its result
   * is known. Has no effect on values.
   *
   * @param body computes and returns a new value; it must not return one created outside
   * @return the result of {@code body}
   */
  T scope(Supplier<T> body);
}
