package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNetLayout.Activation;
import io.github.ddpm4j.unet.UNetLayout.Frequencies;
import io.github.ddpm4j.unet.internal.layers.EmbeddingTable;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.LinearLayer;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.Arrays;
import java.util.List;

/**
 * The timestep as the network sees it: sinusoids of geometrically spaced frequencies, as the
 * Transformer's positions (Vaswani et al. 2017, section 3.5), and two linear layers on them.
 *
 * <pre>
 * ω_i = 10000^(−i / divisor)                                 i = 0 … half − 1
 * sin(t · ω_0), sin(t · ω_1), …, cos(t · ω_0), cos(t · ω_1), …    (or the cosines first)
 * </pre>
 *
 * <p>of timesteps t that a scale may have multiplied before, with half = ⌊channels / 2⌋ and the
 * divisor half − 1 as in the paper's code, or half. An odd channel stays 0.
 *
 * <p>Instead, the frequencies can be weights, and the features those of {@link
 * Ops#fourierFeatures}, before which the timestep itself may stand. Then the timestep is all that
 * goes into the network.
 */
final class TimeEmbedding {

  private static final double MAX_PERIOD = 10_000;

  private static final String FREQUENCIES = "time_proj.weight";

  /** TorchScript's numbers for types. */
  private static final int FLOAT32 = 6;

  private static final int FLOAT64 = 7;

  private final int channels;
  private final boolean cosineFirst;
  private final int divisor;
  private final double[] frequencies;
  private final double scale;
  private final Frequencies kind;
  private final boolean gelu;
  private final LinearLayer linear1;
  private final LinearLayer linear2;

  TimeEmbedding(UNetConfig config) {
    channels = config.embeddingWidth();
    kind = config.layout().embedding().frequencies();
    gelu = config.layout().embedding().activation() == Activation.GELU;
    cosineFirst = config.timeOrder() == UNetConfig.TimeOrder.COS_SIN;
    scale = config.timestepScale();
    int half = channels / 2;
    divisor =
        switch (config.timeDivisor()) {
          case HALF_MINUS_ONE -> Math.max(1, half - 1);
          case HALF -> half;
        };
    frequencies = new double[half];
    for (int i = 0; i < half; i++) {
      frequencies[i] = Math.pow(MAX_PERIOD, -(double) i / divisor);
    }
    int hidden = config.timeChannels();
    linear1 = new LinearLayer("time_embedding.linear_1", width(), hidden, Initial.NORMAL);
    linear2 = new LinearLayer("time_embedding.linear_2", hidden, hidden, Initial.NORMAL);
  }

  void declare(List<ParameterSpec> specs) {
    if (kind != Frequencies.SINUSOIDS) {
      Shape shape = new Shape(frequencies.length);
      specs.add(new ParameterSpec(FREQUENCIES, shape, Parameter.Type.WEIGHT, EmbeddingTable.LIMIT));
    }
    linear1.declare(specs);
    linear2.declare(specs);
  }

  /** The number of features that go into the linear layers. */
  int width() {
    return switch (kind) {
      case SINUSOIDS -> channels;
      case FOURIER -> 2 * frequencies.length;
      case TIME_AND_FOURIER -> 1 + 2 * frequencies.length;
    };
  }

  /** What goes into the network for one timestep per image, row-major (N, {@link #inputs}). */
  double[] inputs(double[] timesteps) {
    return kind == Frequencies.SINUSOIDS
        ? sinusoids(timesteps)
        : Arrays.stream(timesteps).map(t -> t * scale).toArray();
  }

  /** The numbers per image that go into the network. */
  int inputs() {
    return kind == Frequencies.SINUSOIDS ? channels : 1;
  }

  /** The sinusoids of one timestep per image, row-major (N, channels). */
  double[] sinusoids(double[] timesteps) {
    double[] values = new double[timesteps.length * channels];
    int half = frequencies.length;
    for (int n = 0; n < timesteps.length; n++) {
      int row = n * channels;
      for (int i = 0; i < half; i++) {
        double angle = timesteps[n] * scale * frequencies[i];
        values[row + (cosineFirst ? half : 0) + i] = Math.sin(angle);
        values[row + (cosineFirst ? 0 : half) + i] = Math.cos(angle);
      }
    }
    return values;
  }

  /**
   * Writes down what {@link #inputs} gives for timesteps that no Java has seen, of any type and
   * shape (N); sinusoids are in float64 on the way.
   */
  Value write(Script script, Value given) {
    Value timesteps =
        scale == 1 ? given : script.let("torch.mul(torch.to(%s, %d), %s)", given, FLOAT64, scale);
    if (kind != Frequencies.SINUSOIDS) {
      return script.let("torch.to(torch.unsqueeze(%s, 1), %d)", timesteps, FLOAT32);
    }
    // Not as a list of numbers, which torch.tensor rounds to float32 before it makes them float64.
    Value powers =
        script.let(
            "torch.div(torch.arange(%d, dtype=%d, device=%s.device), %d)",
            frequencies.length, FLOAT64, timesteps, -divisor);
    Value angles =
        script.let(
            "torch.outer(torch.to(%s, %d), torch.pow(%s, %s))",
            timesteps, FLOAT64, MAX_PERIOD, powers);
    Value sines = script.let("torch.sin(%s)", angles);
    Value cosines = script.let("torch.cos(%s)", angles);
    Value values =
        script.let(
            "torch.cat([%s, %s], 1)", cosineFirst ? cosines : sines, cosineFirst ? sines : cosines);
    return script.let(
        "torch.to(torch.constant_pad_nd(%s, [0, %d]), %d)",
        values, channels - 2 * frequencies.length, FLOAT32);
  }

  /** The inputs in the compute type, as far as they are not the start of a phase. */
  <T> T enter(Ops<T> ops, T inputs) {
    return kind == Frequencies.SINUSOIDS ? ops.enterFeatures(inputs) : inputs;
  }

  /** What the linear layers see. */
  <T> T features(Ops<T> ops, Weights<T> weights, T inputs) {
    if (kind == Frequencies.SINUSOIDS) {
      return inputs;
    }
    T features = ops.fourierFeatures(inputs, weights.get(FREQUENCIES));
    return kind == Frequencies.FOURIER
        ? features
        : ops.concatChannels(ops.enterFeatures(inputs), features);
  }

  /** The linear layers. */
  <T> T forward(Ops<T> ops, Weights<T> weights, T features) {
    T hidden = linear1.apply(ops, weights, features);
    return linear2.apply(ops, weights, gelu ? ops.gelu(hidden) : ops.silu(hidden));
  }
}
