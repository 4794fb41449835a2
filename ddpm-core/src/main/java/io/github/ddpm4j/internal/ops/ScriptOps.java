package io.github.ddpm4j.internal.ops;

import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.spi.Ops;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Writes every operation down as TorchScript, to be compiled once and run whole. Agrees with {@link
 * EagerOps} to rounding, dropout masks included.
 */
public final class ScriptOps implements Ops<Value> {

  /** Rows and columns. */
  private static final int IMAGE_AXES = 2;

  private static final int VOLUME_AXES = 3;

  /** TorchScript's number for whole numbers of 64 bits. */
  private static final int INT64 = 4;

  /**
   * From this many pixels on, summing the weights of a convolution after doubling costs less than
   * the multiplications that it saves.
   */
  private static final int MANY_PIXELS = 512;

  /** A kernel of three that leaves out each second column makes one of at most so many. */
  private static final int FEW_COLUMNS = 4;

  /** Up to this many tokens attention's table of weights is small enough to be held as a whole. */
  private static final int FEW_TOKENS = 512;

  private final Script script;
  private final Script.Type type;

  /** Of images, behind image and channel. */
  private final int axes;

  private final ImageLayout layout;
  private final @Nullable Value seeds;
  private final @Nullable ScriptTape tape;

  private ScriptOps(
      Script script,
      Script.Type type,
      int axes,
      ImageLayout layout,
      @Nullable Value seeds,
      @Nullable ScriptTape tape) {
    this.script = script;
    this.type = type;
    this.axes = axes;
    this.layout = axes == IMAGE_AXES ? layout : ImageLayout.CHANNELS_FIRST;
    this.seeds = seeds;
    this.tape = tape;
  }

  /**
   * Operations without dropout, on images of two axes.
   *
   * @param script where to write
   * @param type what to compute in
   * @param layout how images lie in memory
   * @return the operations
   */
  public static ScriptOps inference(Script script, Script.Type type, ImageLayout layout) {
    return new ScriptOps(script, type, IMAGE_AXES, layout, null, null);
  }

  /**
   * Operations with dropout, on images of two axes.
   *
   * @param script where to write
   * @param type what to compute in
   * @param seeds the {@link EagerOps#dropoutSeed} of each layer, a float64 tensor on the CPU
   * @return the operations
   */
  public static ScriptOps training(Script script, Script.Type type, Value seeds) {
    return new ScriptOps(script, type, IMAGE_AXES, ImageLayout.CHANNELS_FIRST, seeds, null);
  }

  /**
   * The same operations, with a tape for the parts of the network.
   *
   * @param tape takes the parts and knows their gradients
   * @return the operations
   */
  public ScriptOps on(ScriptTape tape) {
    return new ScriptOps(script, type, axes, layout, seeds, tape);
  }

  /**
   * The same operations, on signals of one axis or volumes of three, which lie in memory with the
   * channels first.
   *
   * @param number of axes, behind image and channel
   * @return the operations
   */
  public ScriptOps axes(int number) {
    return new ScriptOps(script, type, number, layout, seeds, tape);
  }

  /** The same number for each axis of images. */
  private List<Integer> ofEachAxis(int number) {
    return Collections.nCopies(axes, number);
  }

  /** A value for each channel, to be multiplied with images. */
  private String perChannel(String values) {
    return "torch.unsqueeze(".repeat(axes) + values + ", -1)".repeat(axes);
  }

  @Override
  public Value enter(Value images) {
    return given(
        script.let(
            "torch.contiguous(%s, memory_format=%s)", converted(images), layout.format(images)));
  }

  @Override
  public Value enterFeatures(Value features) {
    return given(script.let("%s", converted(features)));
  }

  private Value given(Value value) {
    return tape == null ? value : tape.give(value);
  }

  @Override
  public Value recomputable(int level, List<Value> inputs, Function<List<Value>, Value> body) {
    return tape == null ? body.apply(inputs) : tape.part(level, inputs, body);
  }

  @Override
  public Value leave(Value x) {
    return type == Script.Type.FLOAT32
        ? script.let("torch.contiguous(%s)", x)
        : script.let("torch.contiguous(torch.to(%s, %d))", x, Script.Type.FLOAT32.code());
  }

  /** Weights and inputs are float32; whatever the network made has its type already. */
  private String converted(Value x) {
    return type == Script.Type.FLOAT32 ? x.name() : "torch.to(" + x + ", " + type.code() + ")";
  }

  @Override
  public Value conv(Value x, Value weight, Value bias, int stride, int padding) {
    return convolution(x, weight, bias, stride, ofEachAxis(stride) + ", " + ofEachAxis(padding));
  }

  @Override
  public Value depthwiseConv(Value x, Value weight, Value bias, int stride, int padding) {
    return convolution(
        x,
        weight,
        bias,
        stride,
        String.format(
            Locale.ROOT,
            "%s, %s, %s, %s.size(1)",
            ofEachAxis(stride),
            ofEachAxis(padding),
            ofEachAxis(1),
            x));
  }

  private Value convolution(Value x, Value weight, Value bias, int stride, String how) {
    return script.let(
        "%s",
        right(
            x,
            stride == 1 ? 0 : FEW_COLUMNS,
            convolution(x.name(), converted(weight), converted(bias), how),
            convolution(float32(x), float32(weight), float32(bias), how)));
  }

  /**
   * A convolution in 16 bits, or in float32 where the engine's own are wrong, and now and then NaN,
   * on processors with matrix instructions (libtorch 2.7.1, AMX): those of volumes, and those of
   * stride 2 by which one column comes of a few. The gradients of volumes are wrong on others, too.
   *
   * @param few the greatest number of columns for which it is wrong; 0 if it never is
   * @param narrow the convolution in the type of the network
   * @param wide the same in float32
   */
  private String right(Value x, int few, String narrow, String wide) {
    boolean volumes = axes == VOLUME_AXES;
    if (type == Script.Type.FLOAT32 || (!volumes && few == 0)) {
      return narrow;
    }
    return String.format(
        Locale.ROOT,
        "(%s if %s.is_cuda%s else torch.to(%s, %d))",
        narrow,
        x,
        volumes ? "" : " or torch.size(" + x + ", -1) > " + few,
        wide,
        type.code());
  }

  private String convolution(String x, String weight, String bias, String how) {
    return String.format(
        Locale.ROOT, "torch.conv%dd(%s, %s, %s, %s)", axes, layout.convolved(x), weight, bias, how);
  }

  private static String float32(Value x) {
    return "torch.to(" + x + ", " + Script.Type.FLOAT32.code() + ")";
  }

  /**
   * {@inheritDoc}
   *
   * <p>As one transposed convolution of stride 2: an output pixel sees each input pixel through the
   * sum of those weights that fall on its copies, and that takes 4 of the 9 multiplications, 2 of 3
   * of a signal, and 8 of 27 of a volume. Where nothing is trained, the sums of few pixels cost
   * more than that, and it is done as it is defined.
   */
  @Override
  public Value upsampleConv3(Value x, Value weight, Value bias) {
    Value sums = axes == IMAGE_AXES ? sumsOfSquares(weight) : sumsOfPairs(weight);
    String folded = transposed(x, sums, bias, 2, 1);
    return axes == IMAGE_AXES && seeds == null
        ? script.let(
            "(%s if %s >= %d else torch.conv2d(%s, %s, %s, [1, 1], [1, 1]))",
            folded,
            pixels(x),
            MANY_PIXELS,
            doubled(layout.convolved(x.name())),
            converted(weight),
            converted(bias))
        : script.let("%s", folded);
  }

  private String transposed(Value x, Value kernel, Value bias, int stride, int padding) {
    String strided = ofEachAxis(stride) + ", " + ofEachAxis(padding);
    // Its gradient makes one column of those that it makes of one.
    return right(
        x,
        stride == 1 ? 0 : 1,
        transposed(x.name(), converted(kernel), converted(bias), strided),
        transposed(float32(x), float32(kernel), float32(bias), strided));
  }

  private String transposed(String x, String kernel, String bias, String strided) {
    return String.format(
        Locale.ROOT,
        "torch.conv_transpose%dd(%s, %s, %s, %s)",
        axes,
        layout.convolved(x),
        kernel,
        bias,
        strided);
  }

  /** The number of pixels of images in a batch, as TorchScript. */
  static String pixels(Value images) {
    return String.format(
        Locale.ROOT, "torch.size(%1$s, 0) * torch.size(%1$s, 2) * torch.size(%1$s, 3)", images);
  }

  /** Not yet computed: an expression. */
  private static Value sumsOfSquares(Value weight) {
    return new Value(
        "torch.avg_pool2d(torch.transpose(torch.flip("
            + weight
            + ", [2, 3]), 0, 1), [2, 2], [1, 1], [1, 1], False, True, 1)");
  }

  /** Along one axis after the other, since not all pools divide by what they are told. */
  private Value sumsOfPairs(Value weight) {
    List<Integer> backwards = IntStream.range(2, 2 + axes).boxed().toList();
    Value kernel = script.let("torch.transpose(torch.flip(%s, %s), 0, 1)", weight, backwards);
    for (int axis = 0; axis < axes; axis++) {
      String others = "0, 0, ".repeat(axis);
      kernel =
          script.let(
              "torch.add(torch.constant_pad_nd(%1$s, [%2$s0, 1]),"
                  + " torch.constant_pad_nd(%1$s, [%2$s1, 0]))",
              kernel, others);
    }
    return kernel;
  }

  @Override
  public Value convTranspose(Value x, Value weight, Value bias, int stride, int padding) {
    return script.let("%s", transposed(x, weight, bias, stride, padding));
  }

  @Override
  public Value averagePool(Value x, int size) {
    if (axes == IMAGE_AXES || type == Script.Type.FLOAT32) {
      return script.let("torch.avg_pool%dd(%s, %s)", axes, x, ofEachAxis(size));
    }
    // The engine's mean of cubes knows no other type on the CPU.
    Value mean = script.let("torch.avg_pool%dd(%s, %s)", axes, float32(x), ofEachAxis(size));
    return script.let("%s", converted(mean));
  }

  @Override
  public Value maxPool(Value x, int size) {
    return script.let("torch.max_pool%dd(%s, %s)", axes, x, ofEachAxis(size));
  }

  @Override
  public Value padEnd(Value x, int count) {
    String ends = String.join(", ", Collections.nCopies(axes, "0, " + count));
    return script.let("torch.constant_pad_nd(%s, [%s])", x, ends);
  }

  /**
   * {@inheritDoc}
   *
   * <p>On the CPU weights stay float32, which the engine's normalisation takes beside images of
   * bfloat16; on CUDA it wants one type.
   */
  @Override
  public Value groupNorm(Value x, int groups, Value weight, Value bias, double eps) {
    return script.let(
        "torch.group_norm(%s, %d, %s, %s, %s)",
        x, groups, normal(x, weight), normal(x, bias), number(eps));
  }

  /**
   * {@inheritDoc}
   *
   * <p>Weights are of the types that {@link #groupNorm} takes.
   */
  @Override
  public Value layerNorm(Value x, Value weight, Value bias, double eps) {
    return script.let(
        "torch.layer_norm(%s, [torch.size(%s, 0)], %s, %s, %s)",
        x, weight, normal(x, weight), normal(x, bias), number(eps));
  }

  private String normal(Value x, Value weight) {
    return type == Script.Type.FLOAT32
        ? weight.name()
        : "(" + converted(weight) + " if " + x + ".is_cuda else " + weight + ")";
  }

  /**
   * {@inheritDoc}
   *
   * <p>Weights stay float32, and so is all until the result is converted.
   */
  @Override
  public Value rmsNorm(Value x, Value weight) {
    Value wide =
        type == Script.Type.FLOAT32
            ? x
            : script.let("torch.to(%s, %d)", x, Script.Type.FLOAT32.code());
    Value least =
        script.let("torch.clamp_min(torch.norm(%s, 2, [1], True), %s)", wide, EagerOps.LEAST_NORM);
    Value factors =
        script.let(
            "%s",
            perChannel("torch.mul(" + weight + ", torch.pow(torch.size(" + x + ", 1), 0.5))"));
    Value normal = script.let("torch.mul(torch.div(%s, %s), %s)", wide, least, factors);
    return type == Script.Type.FLOAT32 ? normal : script.let("%s", converted(normal));
  }

  @Override
  public Value silu(Value x) {
    return script.let("torch.silu(%s)", x);
  }

  @Override
  public Value linear(Value x, Value weight) {
    return script.let("torch.linear(%s, %s)", x, converted(weight));
  }

  @Override
  public Value linear(Value x, Value weight, Value bias) {
    return script.let("torch.linear(%s, %s, %s)", x, converted(weight), converted(bias));
  }

  @Override
  public Value embedding(Value table, Value rows) {
    return script.let("torch.embedding(%s, torch.to(%s, %d))", converted(table), rows, INT64);
  }

  @Override
  public Value fourierFeatures(Value t, Value frequencies) {
    Value phases = script.let("torch.mul(torch.mul(%s, %s), %s)", t, frequencies, 2 * Math.PI);
    Value features = script.let("torch.cat([torch.sin(%1$s), torch.cos(%1$s)], 1)", phases);
    return type == Script.Type.FLOAT32 ? features : script.let("%s", converted(features));
  }

  @Override
  public Value addPerChannel(Value x, Value values) {
    return script.let("torch.add(%s, %s)", x, perChannel(converted(values)));
  }

  @Override
  public Value multiplyPerChannel(Value x, Value values) {
    return script.let("torch.mul(%s, %s)", x, perChannel(converted(values)));
  }

  @Override
  public Value add(Value a, Value b) {
    return script.let("torch.add(%s, %s)", a, b);
  }

  @Override
  public Value subtract(Value a, Value b) {
    return script.let("torch.sub(%s, %s)", a, b);
  }

  @Override
  public Value multiply(Value a, Value b) {
    return script.let("torch.mul(%s, %s)", a, b);
  }

  @Override
  public Value scale(Value x, double factor) {
    return script.let("torch.mul(%s, %s)", x, number(factor));
  }

  @Override
  public Value shift(Value x, double offset) {
    return script.let("torch.add(%s, %s)", x, number(offset));
  }

  @Override
  public Value exp(Value x) {
    return script.let("torch.exp(%s)", x);
  }

  @Override
  public Value expm1(Value x) {
    return script.let("torch.expm1(%s)", x);
  }

  @Override
  public Value log(Value x) {
    return script.let("torch.log(%s)", x);
  }

  @Override
  public Value tanh(Value x) {
    return script.let("torch.tanh(%s)", x);
  }

  @Override
  public Value erf(Value x) {
    return script.let("torch.erf(%s)", x);
  }

  @Override
  public Value atLeast(Value x, double least) {
    return script.let("torch.clamp_min(%s, %s)", x, number(least));
  }

  @Override
  public Value whereAbove(Value x, double threshold, Value above, Value otherwise) {
    return script.let(
        "torch.where(torch.gt(%s, %s), %s, %s)", x, number(threshold), above, otherwise);
  }

  @Override
  public Value square(Value x) {
    return script.let("torch.square(%s)", x);
  }

  @Override
  public Value abs(Value x) {
    return script.let("torch.abs(%s)", x);
  }

  @Override
  public Value atMost(Value x, double greatest) {
    return script.let("torch.clamp_max(%s, %s)", x, number(greatest));
  }

  @Override
  public Value detach(Value x) {
    return script.let("torch.detach(%s)", x);
  }

  @Override
  public Value meanPerImage(Value x) {
    return script.let("torch.mean(torch.flatten(%s, 1), [1])", x);
  }

  @Override
  public Value mean(Value x) {
    return script.let("torch.mean(%s)", x);
  }

  @Override
  public Value concatChannels(Value a, Value b) {
    return script.let("torch.cat([%s, %s], 1)", a, b);
  }

  @Override
  public Value firstChannels(Value x, Value like) {
    return script.let("torch.slice(%s, 1, 0, torch.size(%s, 1))", x, like);
  }

  @Override
  public Value channelsAfter(Value x, Value like) {
    return script.let("torch.slice(%s, 1, torch.size(%s, 1))", x, like);
  }

  @Override
  public Value gatedGelu(Value x) {
    Value halves = script.let("torch.chunk(%s, 2, -1)", x);
    return script.let("torch.mul(%1$s[0], torch.gelu(%1$s[1]))", halves);
  }

  @Override
  public Value crop(Value x, int... sizes) {
    StringBuilder kept = new StringBuilder("torch.slice(".repeat(sizes.length)).append(x);
    for (int i = 0; i < sizes.length; i++) {
      kept.append(", ").append(2 + i).append(", 0, ").append(sizes[i]).append(')');
    }
    return script.let("%s", kept);
  }

  @Override
  public Value upsampleNearest2x(Value x) {
    return script.let("%s", doubled(x.name()));
  }

  private String doubled(String x) {
    return String.format(
        Locale.ROOT,
        "torch.upsample_nearest%dd(%s, None, %s)",
        axes,
        x,
        Collections.nCopies(axes, 2.0));
  }

  /**
   * {@inheritDoc}
   *
   * <p>In order, of whatever layout: the engine multiplies tokens that are not in another way for
   * weights that could be trained than for those that could not.
   */
  @Override
  public Value tokens(Value x) {
    return layout != ImageLayout.CHANNELS_FIRST
        ? script.let("torch.contiguous(torch.flatten(torch.permute(%s, [0, 2, 3, 1]), 1, 2))", x)
        : script.let("torch.transpose(torch.flatten(%s, 2), 1, 2)", x);
  }

  @Override
  public Value images(Value tokens, Value like) {
    return layout != ImageLayout.CHANNELS_FIRST
        ? script.let(
            "torch.permute(torch.reshape(%1$s, [torch.size(%2$s, 0), torch.size(%2$s, 2),"
                + " torch.size(%2$s, 3), torch.size(%2$s, 1)]), [0, 3, 1, 2])",
            tokens, like)
        : script.let("torch.reshape(torch.transpose(%s, 1, 2), torch.size(%s))", tokens, like);
  }

  /**
   * {@inheritDoc}
   *
   * <p>One head over few tokens runs as two products of matrices, which is faster; many tokens run
   * as the engine's fused attention, which never holds the whole table of weights.
   */
  @Override
  public Value attention(Value query, Value key, Value value, int heads) {
    if (heads > 1) {
      return script.let("%s", fused(query, key, value, heads, false));
    }
    String products =
        String.format(
            Locale.ROOT,
            "torch.bmm(torch.softmax(torch.baddbmm(torch.empty([1, 1, 1], dtype=%1$s.dtype,"
                + " device=%1$s.device), %1$s, torch.transpose(%2$s, 1, 2), beta=0,"
                + " alpha=torch.pow(torch.size(%1$s, 2), -0.5)), -1), %3$s)",
            query,
            key,
            value);
    return script.let(
        "(%s if torch.le(torch.size(%s, 1), %d) else %s)",
        products, query, FEW_TOKENS, fused(query, key, value, heads, false));
  }

  @Override
  public Value causalAttention(Value query, Value key, Value value, int heads) {
    return script.let("%s", fused(query, key, value, heads, true));
  }

  private static String fused(Value query, Value key, Value value, int heads, boolean causal) {
    return String.format(
        Locale.ROOT,
        "torch.flatten(torch.transpose(torch.scaled_dot_product_attention(%s, %s, %s%s), 1, 2), 2)",
        split(query, heads),
        split(key, heads),
        split(value, heads),
        causal ? ", is_causal=True" : "");
  }

  /** (N, L, C) as (N, heads, L, C / heads). */
  private static String split(Value tokens, int heads) {
    return "torch.transpose(torch.unflatten(" + tokens + ", 2, [" + heads + ", -1]), 1, 2)";
  }

  @Override
  public Value linearAttention(Value query, Value key, Value value, int heads) {
    Value q = script.let("torch.softmax(%s, -1)", split(query, heads));
    Value k = script.let("torch.softmax(%s, -2)", split(key, heads));
    Value context =
        script.let(
            "torch.mul(torch.matmul(torch.transpose(%s, -1, -2), %s), torch.pow(torch.size(%s, -1),"
                + " -0.5))",
            k, split(value, heads), q);
    return script.let("torch.flatten(torch.transpose(torch.matmul(%s, %s), 1, 2), 2)", q, context);
  }

  @Override
  public Value appendTokens(Value tokens, Value more) {
    return script.let(
        "torch.cat([%1$s, torch.expand(torch.unsqueeze(%2$s, 0), [torch.size(%1$s, 0), -1, -1])],"
            + " 1)",
        tokens, converted(more));
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if the rate is outside [0, 1)
   */
  @Override
  public Value dropout(Value x, double rate, int layer) {
    DropoutMask.requireRate(rate);
    if (seeds == null || rate == 0) {
      return x;
    }
    Value mask = DropoutMask.write(script, x, rate, "int(" + seeds + "[" + layer + "])");
    // The factor apart: in bfloat16 it would be rounded, and the mean with it.
    return script.let("torch.mul(torch.mul(%s, %s), %s)", x, mask, DropoutMask.factor(rate));
  }

  /**
   * A constant as TorchScript writes it. What the type cannot hold is infinite there, as an array
   * of one number would be: the engine refuses some of these constants and takes others.
   */
  private String number(double value) {
    if (Double.isNaN(value)) {
      return "nan";
    }
    if (Math.abs(value) > type.greatest()) {
      return value > 0 ? "inf" : "-inf";
    }
    return Double.toString(value);
  }

  @Override
  public Value scope(Supplier<Value> body) {
    return body.get();
  }
}
