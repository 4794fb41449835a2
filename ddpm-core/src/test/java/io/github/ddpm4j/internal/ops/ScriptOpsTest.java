package io.github.ddpm4j.internal.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.spi.Ops;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Each operation as it is written down against the same run at once: values, and the gradient of a
 * weighted sum of them with respect to every argument. Differences are relative to the largest
 * element of what is compared.
 */
class ScriptOpsTest {

  /** Both compute in float32, in other orders. */
  private static final double FLOAT32_BOUND = 5e-6;

  /** A bfloat16 is off by up to 2⁻⁹ of its value, and each operation rounds a few times. */
  private static final double BFLOAT16_BOUND = 0.02;

  /** Of a float16, 2⁻¹², within its range. */
  private static final double FLOAT16_BOUND = 0.004;

  private static final long SEED = 7;
  private static final long PASS = 3;

  private static final Map<Script.Type, Double> worst = new EnumMap<>(Script.Type.class);

  private final NDManager manager = NDManager.newBaseManager();
  private final Random random = new Random(1);

  @AfterEach
  void close() {
    manager.close();
  }

  /** How an argument comes into a network. */
  private enum Kind {
    IMAGES,
    FEATURES,
    WEIGHT
  }

  private record Input(Kind kind, Shape shape) {}

  /** Something to write down. */
  private abstract static class Case {
    private final String name;
    private final List<Input> inputs = new ArrayList<>();

    Case(String name) {
      this.name = name;
    }

    abstract <T> T apply(Ops<T> ops, List<T> in);

    Case images(long... shape) {
      return with(Kind.IMAGES, shape);
    }

    Case features(long... shape) {
      return with(Kind.FEATURES, shape);
    }

    Case weight(long... shape) {
      return with(Kind.WEIGHT, shape);
    }

    /** Of its images, behind image and channel. */
    int axes() {
      return inputs.stream()
          .filter(input -> input.kind() == Kind.IMAGES)
          .mapToInt(input -> input.shape().dimension() - 2)
          .findFirst()
          .orElse(2);
    }

    private Case with(Kind kind, long... shape) {
      inputs.add(new Input(kind, new Shape(shape)));
      return this;
    }

    @Override
    public String toString() {
      return name + " of " + inputs.stream().map(input -> input.shape().toString()).toList();
    }
  }

  static Stream<Case> cases() {
    return Stream.of(
            convolutions(),
            upsamplings(),
            norms(),
            attentions(),
            arithmetic(),
            others(),
            signals(),
            volumes(),
            dropouts())
        .flatMap(cases -> cases);
  }

  private static Stream<Case> convolutions() {
    return Stream.of(
        convolution(1, 1, 0).images(1, 3, 5, 7).weight(4, 3, 1, 1).weight(4),
        convolution(1, 1, 0).images(3, 5, 1, 1).weight(1, 5, 1, 1).weight(1),
        convolution(3, 1, 1).images(2, 3, 6, 5).weight(4, 3, 3, 3).weight(4),
        convolution(3, 1, 1).images(1, 16, 1, 9).weight(8, 16, 3, 3).weight(8),
        convolution(3, 2, 0).images(2, 5, 9, 7).weight(5, 5, 3, 3).weight(5),
        convolution(3, 2, 1).images(1, 4, 8, 6).weight(7, 4, 3, 3).weight(7),
        convolution(7, 1, 3).images(1, 2, 5, 9).weight(3, 2, 7, 7).weight(3),
        convolution(2, 2, 0).images(2, 3, 6, 4).weight(5, 3, 2, 2).weight(5),
        depthwise(3, 1, 1).images(2, 3, 6, 5).weight(3, 1, 3, 3).weight(3),
        depthwise(5, 2, 1).images(1, 8, 9, 7).weight(8, 1, 5, 5).weight(8),
        transposed(4, 2, 1).images(2, 3, 5, 4).weight(3, 6, 4, 4).weight(6),
        transposed(2, 2, 0).images(1, 5, 1, 3).weight(5, 2, 2, 2).weight(2),
        transposed(7, 7, 0).images(3, 4, 1, 1).weight(4, 3, 7, 7).weight(3),
        transposed(3, 1, 2).images(1, 2, 6, 5).weight(2, 1, 3, 3).weight(1));
  }

  private static Case transposed(int kernel, int stride, int padding) {
    return new Case("convTranspose " + kernel + "x" + kernel + " " + stride + " " + padding) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.convTranspose(in.get(0), in.get(1), in.get(2), stride, padding);
      }
    };
  }

  private static Case depthwise(int kernel, int stride, int padding) {
    return new Case("depthwiseConv " + kernel + "x" + kernel + " " + stride + " " + padding) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.depthwiseConv(in.get(0), in.get(1), in.get(2), stride, padding);
      }
    };
  }

  private static Case convolution(int kernel, int stride, int padding) {
    return new Case("conv " + kernel + "x" + kernel + " " + stride + " " + padding) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.conv(in.get(0), in.get(1), in.get(2), stride, padding);
      }
    };
  }

  private static Stream<Case> upsamplings() {
    return Stream.of(
        upsampling().images(1, 1, 1, 1).weight(1, 1, 3, 3).weight(1),
        upsampling().images(2, 3, 1, 5).weight(4, 3, 3, 3).weight(4),
        upsampling().images(1, 5, 7, 2).weight(3, 5, 3, 3).weight(3),
        upsampling().images(3, 16, 4, 4).weight(16, 16, 3, 3).weight(16),
        upsampling().images(3, 2, 19, 9).weight(4, 2, 3, 3).weight(4));
  }

  private static Case upsampling() {
    return new Case("upsampleConv3") {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.upsampleConv3(in.get(0), in.get(1), in.get(2));
      }
    };
  }

  private static Stream<Case> norms() {
    return Stream.of(
        norm(1, 1e-6).images(1, 5, 3, 7).weight(5).weight(5),
        norm(2, 1e-5).images(3, 6, 5, 4).weight(6).weight(6),
        norm(6, 1e-2).images(2, 6, 1, 3).weight(6).weight(6),
        norm(8, 1e-6).images(1, 32, 8, 8).weight(32).weight(32),
        layerNorm(1e-5).features(2, 7, 5).weight(5).weight(5),
        layerNorm(1e-2).features(3, 6).weight(6).weight(6),
        layerNorm(1e-5).features(1, 3, 64).weight(64).weight(64),
        rms().images(1, 2, 3, 1).weight(2),
        rms().images(2, 6, 5, 4).weight(6),
        rms().images(1, 32, 8, 8).weight(32));
  }

  private static Case layerNorm(double eps) {
    return new Case("layerNorm " + eps) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.layerNorm(in.get(0), in.get(1), in.get(2), eps);
      }
    };
  }

  private static Case rms() {
    return new Case("rmsNorm") {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.rmsNorm(ops.scale(in.get(0), 100), in.get(1));
      }
    };
  }

  private static Case norm(int groups, double eps) {
    return new Case("groupNorm " + groups + " " + eps) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.groupNorm(in.get(0), groups, in.get(1), in.get(2), eps);
      }
    };
  }

  /** One head changes its way at 512 tokens when compiled, and at 2048 at once. */
  private static Stream<Case> attentions() {
    return Stream.of(
        attention(1, 1, 1, 3),
        attention(1, 2, 15, 8),
        attention(1, 1, 512, 8),
        attention(1, 2, 513, 8),
        attention(1, 1, 600, 5),
        attention(2, 1, 35, 6),
        attention(2, 2, 529, 8),
        attention(8, 3, 16, 24),
        attention(8, 1, 7, 8),
        attention(2, 1, 2100, 4),
        causal(1, 2, 1, 3),
        causal(1, 2, 7, 5),
        causal(3, 2, 9, 6),
        causal(1, 1, 2100, 2),
        otherKeys(1, 2, 5, 3, 4),
        otherKeys(1, 1, 600, 7, 8),
        otherKeys(3, 2, 4, 9, 6),
        linear(1, 3, 4, 9, 4),
        linear(1, 2, 15, 15, 8),
        linear(2, 2, 7, 11, 6),
        linear(8, 1, 600, 5, 16),
        memory(1).features(2, 5, 6).weight(3, 6).weight(3, 6),
        memory(3).features(1, 9, 6).weight(1, 6).weight(1, 6));
  }

  private static Case otherKeys(int heads, long n, long queries, long keys, long channels) {
    return new Case("attention to others " + heads) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.attention(ops.scale(in.get(0), 5), in.get(1), in.get(2), heads);
      }
    }.features(n, queries, channels).features(n, keys, channels).features(n, keys, channels);
  }

  private static Case causal(int heads, long n, long length, long channels) {
    return new Case("causalAttention " + heads) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.causalAttention(ops.scale(in.get(0), 5), in.get(1), in.get(2), heads);
      }
    }.features(n, length, channels).features(n, length, channels).features(n, length, channels);
  }

  private static Case linear(int heads, long n, long queries, long keys, long channels) {
    return new Case("linearAttention " + heads) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.linearAttention(
            ops.scale(in.get(0), 5), ops.scale(in.get(1), 3), in.get(2), heads);
      }
    }.features(n, queries, channels).features(n, keys, channels).features(n, keys, channels);
  }

  private static Case memory(int heads) {
    return new Case("attention with memory " + heads) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        T tokens = in.get(0);
        T keys = ops.appendTokens(tokens, in.get(1));
        T values = ops.appendTokens(tokens, in.get(2));
        return ops.add(
            ops.attention(tokens, keys, values, heads),
            ops.linearAttention(tokens, keys, values, heads));
      }
    };
  }

  private static Case attention(int heads, long n, long length, long channels) {
    return new Case("attention " + heads) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.attention(ops.scale(in.get(0), 5), in.get(1), in.get(2), heads);
      }
    }.features(n, length, channels).features(n, length, channels).features(n, length, channels);
  }

  private static Stream<Case> arithmetic() {
    return Stream.of(
        new Case("add") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.add(in.get(0), in.get(1));
          }
        }.images(2, 3, 5, 4).images(2, 3, 5, 4),
        new Case("subtract") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.subtract(in.get(0), in.get(1));
          }
        }.images(1, 3, 1, 7).images(1, 3, 1, 7),
        new Case("multiply") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.multiply(in.get(0), in.get(1));
          }
        }.images(2, 3, 5, 4).images(2, 1, 5, 1),
        new Case("scale") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.scale(ops.scale(in.get(0), 1.0 / 3), -1e-3);
          }
        }.images(1, 3, 5, 3),
        new Case("add to each image") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.add(in.get(0), in.get(1));
          }
        }.images(2, 3, 5, 4).images(2, 1, 1, 1),
        new Case("subtract from each image") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.subtract(in.get(1), in.get(0));
          }
        }.images(2, 3, 5, 4).images(2, 1, 1, 1),
        new Case("shift") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.square(ops.shift(in.get(0), -1.0 / 3));
          }
        }.images(2, 3, 5, 4),
        new Case("exp") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.exp(in.get(0));
          }
        }.images(2, 3, 5, 4),
        new Case("expm1") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.expm1(in.get(0));
          }
        }.images(2, 3, 5, 4),
        new Case("expm1 near zero") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.scale(ops.expm1(ops.scale(in.get(0), 1e-3)), 1e3);
          }
        }.images(2, 3, 5, 4),
        new Case("log") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.log(ops.shift(ops.square(in.get(0)), 0.1));
          }
        }.images(2, 3, 5, 4),
        new Case("tanh") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.tanh(in.get(0));
          }
        }.images(2, 3, 5, 4),
        new Case("erf") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.erf(in.get(0));
          }
        }.images(2, 3, 5, 4),
        new Case("atLeast") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.atLeast(in.get(0), 0.25);
          }
        }.images(2, 3, 5, 4),
        new Case("whereAbove") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.whereAbove(in.get(0), 0.25, ops.square(in.get(0)), in.get(1));
          }
        }.images(2, 3, 5, 4).images(2, 3, 5, 4),
        new Case("square") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.square(in.get(0));
          }
        }.images(2, 1, 3, 3),
        new Case("silu") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.silu(ops.scale(in.get(0), 10));
          }
        }.images(2, 3, 5, 4),
        new Case("gelu") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.gelu(ops.scale(in.get(0), 4));
          }
        }.images(2, 3, 5, 4),
        new Case("quickGelu") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.quickGelu(ops.scale(in.get(0), 4));
          }
        }.images(2, 3, 5, 4),
        new Case("abs") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.abs(in.get(0));
          }
        }.images(2, 3, 5, 4),
        new Case("detach") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.multiply(ops.detach(in.get(0)), in.get(0));
          }
        }.images(2, 3, 5, 4),
        new Case("atMost") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.atMost(in.get(0), 0.25);
          }
        }.images(2, 3, 5, 4),
        new Case("meanPerImage") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.meanPerImage(ops.square(in.get(0)));
          }
        }.images(3, 3, 5, 7));
  }

  private static Stream<Case> others() {
    return Stream.of(
        new Case("linear") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.linear(in.get(0), in.get(1), in.get(2));
          }
        }.features(3, 5).weight(7, 5).weight(7),
        new Case("linear") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.linear(in.get(0), in.get(1), in.get(2));
          }
        }.features(1, 15, 6).weight(6, 6).weight(6),
        new Case("padEnd") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.padEnd(in.get(0), 1);
          }
        }.images(2, 3, 5, 4),
        new Case("linear without bias") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.linear(in.get(0), in.get(1));
          }
        }.features(2, 3, 5).weight(7, 5),
        new Case("scale and shift per channel") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            T scale = ops.firstChannels(in.get(1), in.get(0));
            T shift = ops.channelsAfter(in.get(1), in.get(0));
            T scaled = ops.multiplyPerChannel(in.get(0), ops.shift(scale, 1));
            return ops.addPerChannel(scaled, shift);
          }
        }.images(3, 5, 2, 7).features(3, 10),
        new Case("scale and shift per channel, the same in every image") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.addPerChannel(ops.multiplyPerChannel(in.get(0), in.get(1)), in.get(2));
          }
        }.images(3, 5, 2, 7).weight(5).weight(5),
        new Case("concatenated features") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.concatChannels(in.get(0), in.get(1));
          }
        }.features(3, 2).features(3, 4),
        new Case("averagePool") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.averagePool(in.get(0), 2);
          }
        }.images(2, 3, 5, 4),
        new Case("maxPool") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.maxPool(in.get(0), 3);
          }
        }.images(2, 3, 7, 6),
        new Case("addPerChannel") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.addPerChannel(in.get(0), in.get(1));
          }
        }.images(3, 5, 2, 7).features(3, 5),
        new Case("concatChannels") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.concatChannels(in.get(0), in.get(1));
          }
        }.images(2, 3, 5, 4).images(2, 1, 5, 4),
        new Case("firstChannels") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.concatChannels(ops.firstChannels(in.get(0), in.get(1)), in.get(1));
          }
        }.images(2, 5, 3, 4).images(2, 2, 3, 4),
        new Case("channelsAfter") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.concatChannels(ops.channelsAfter(in.get(0), in.get(1)), in.get(1));
          }
        }.images(2, 5, 3, 4).images(2, 3, 3, 4),
        new Case("gatedGelu") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.gatedGelu(in.get(0));
          }
        }.features(2, 3, 10),
        new Case("crop") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.crop(ops.upsampleNearest2x(in.get(0)), 5, 8);
          }
        }.images(2, 3, 3, 4),
        new Case("upsampleNearest2x") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.upsampleNearest2x(in.get(0));
          }
        }.images(2, 3, 5, 1),
        new Case("tokens") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.tokens(in.get(0));
          }
        }.images(2, 3, 5, 4),
        new Case("images") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            return ops.add(ops.images(in.get(1), in.get(0)), in.get(0));
          }
        }.images(2, 3, 5, 4).features(2, 20, 3),
        new Case("attention between images") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            T tokens = ops.tokens(in.get(0));
            T mixed = ops.attention(tokens, tokens, ops.linear(tokens, in.get(1), in.get(2)), 3);
            return ops.conv(ops.images(mixed, in.get(0)), in.get(3), in.get(4), 1, 1);
          }
        }.images(2, 6, 3, 5).weight(6, 6).weight(6).weight(2, 6, 3, 3).weight(2));
  }

  /** What depends on the number of axes, with one. */
  private static Stream<Case> signals() {
    return Stream.of(
        convolution(3, 1, 1).images(2, 3, 7).weight(4, 3, 3).weight(4),
        convolution(4, 2, 1).images(2, 3, 8).weight(4, 3, 4).weight(4),
        convolution(3, 2, 0).images(1, 2, 9).weight(2, 2, 3).weight(2),
        depthwise(5, 2, 1).images(2, 3, 9).weight(3, 1, 5).weight(3),
        transposed(4, 2, 1).images(2, 3, 5).weight(3, 2, 4).weight(2),
        transposed(2, 2, 0).images(1, 2, 3).weight(2, 3, 2).weight(3),
        upsampling().images(2, 1, 3).weight(1, 1, 3).weight(1),
        upsampling().images(2, 3, 5).weight(4, 3, 3).weight(4),
        norm(2, 1e-5).images(2, 6, 5).weight(6).weight(6),
        rms().images(2, 6, 5).weight(6),
        resized(3).images(2, 3, 5),
        channels().images(2, 3, 5).features(2, 3).weight(3),
        tokens().images(2, 3, 5).weight(3, 3).weight(3));
  }

  /** The same with three. */
  private static Stream<Case> volumes() {
    return Stream.of(
        convolution(3, 1, 1).images(2, 3, 2, 4, 3).weight(4, 3, 3, 3, 3).weight(4),
        convolution(3, 2, 0).images(1, 2, 5, 3, 7).weight(2, 2, 3, 3, 3).weight(2),
        // Of so many channels the engine's own gradients in bfloat16 are wrong on the CPU.
        convolution(3, 1, 1).images(2, 32, 2, 4, 2).weight(16, 32, 3, 3, 3).weight(16),
        depthwise(3, 2, 1).images(2, 3, 3, 4, 5).weight(3, 1, 3, 3, 3).weight(3),
        transposed(4, 2, 1).images(1, 3, 2, 3, 2).weight(3, 2, 4, 4, 4).weight(2),
        transposed(2, 2, 0).images(2, 2, 1, 2, 3).weight(2, 3, 2, 2, 2).weight(3),
        upsampling().images(1, 1, 1, 1, 1).weight(1, 1, 3, 3, 3).weight(1),
        upsampling().images(2, 3, 1, 3, 2).weight(4, 3, 3, 3, 3).weight(4),
        norm(2, 1e-5).images(2, 6, 2, 3, 4).weight(6).weight(6),
        rms().images(2, 6, 2, 3, 4).weight(6),
        resized(1, 3, 5).images(2, 3, 1, 2, 3),
        channels().images(2, 3, 3, 2, 4).features(2, 3).weight(3),
        tokens().images(2, 3, 2, 3, 2).weight(3, 3).weight(3));
  }

  private static Case resized(int... sizes) {
    return new Case("resized") {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        T cropped = ops.crop(ops.padEnd(ops.upsampleNearest2x(in.get(0)), 1), sizes);
        T pooled = ops.averagePool(ops.upsampleNearest2x(cropped), 2);
        return ops.add(pooled, ops.maxPool(ops.padEnd(ops.upsampleNearest2x(cropped), 1), 2));
      }
    };
  }

  private static Case channels() {
    return new Case("scale and shift per channel") {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.multiplyPerChannel(ops.addPerChannel(in.get(0), in.get(1)), in.get(2));
      }
    };
  }

  private static Case tokens() {
    return new Case("tokens and back") {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        T tokens = ops.linear(ops.tokens(in.get(0)), in.get(1), in.get(2));
        return ops.add(in.get(0), ops.images(tokens, in.get(0)));
      }
    };
  }

  private static Stream<Case> dropouts() {
    return Stream.of(
        dropout(0).images(2, 3, 5, 4),
        dropout(0.1).images(1, 1, 1, 1),
        dropout(0.1).images(2, 3, 5, 7),
        dropout(0.5).images(3, 4, 1, 3),
        dropout(0.5).images(3, 4, 3),
        new Case("dropout of tokens") {
          @Override
          <T> T apply(Ops<T> ops, List<T> in) {
            T dropped = ops.dropout(ops.images(in.get(1), in.get(0)), 0.3, 1);
            return ops.tokens(ops.add(dropped, in.get(0)));
          }
        }.images(2, 3, 5, 4).features(2, 20, 3));
  }

  private static Case dropout(double rate) {
    return new Case("dropout " + rate) {
      @Override
      <T> T apply(Ops<T> ops, List<T> in) {
        return ops.dropout(ops.dropout(in.get(0), rate, 2), rate, 0);
      }
    };
  }

  @ParameterizedTest
  @MethodSource("cases")
  void infer_everyLayoutAndType_asEager(Case c) {
    List<NDArray> inputs = inputs(c);
    NDArray expected = c.apply(EagerOps.inference(), inputs);
    for (Script.Type type : Script.Type.values()) {
      for (ImageLayout layout : ImageLayout.values()) {
        Script script = new Script();
        ScriptOps ops = ScriptOps.inference(script, type, layout).axes(c.axes());
        Value result = ops.leave(c.apply(ops, entered(ops, c)));
        NDArray actual = run(script, listOf(result), inputs, false).head();
        assertClose(c + " " + type + " " + layout, actual, expected, type);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void train_everyType_valuesAndGradientsAsEager(Case c) {
    List<NDArray> inputs = inputs(c);
    inputs.forEach(input -> input.setRequiresGradient(true));
    NDArray expected;
    NDArray probe;
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      expected = c.apply(EagerOps.training(SEED, PASS), inputs);
      probe = array(expected.getShape());
      collector.backward(expected.mul(probe).sum());
    }
    for (Script.Type type : Script.Type.values()) {
      Script script = new Script();
      ScriptOps ops = ScriptOps.training(script, type, new Value("seeds")).axes(c.axes());
      Value result = ops.leave(c.apply(ops, entered(ops, c)));
      Value loss = script.let("torch.sum(torch.mul(%s, probe))", result);
      Value all =
          script.let(
              "torch.add([torch.detach(%s)], [unchecked_cast(Tensor, g) for g in torch.grad([%s],"
                  + " p)])",
              result, loss);
      NDList actual = run(script, all, inputs, true, probe, seeds());
      assertClose(c + " " + type, actual.head(), expected, type);
      for (int i = 1; i < actual.size(); i++) {
        NDArray gradient = inputs.get(i - 1).getGradient();
        assertClose(c + " " + type + " gradient of argument " + i, actual.get(i), gradient, type);
      }
      assertThat(actual).hasSize(inputs.size() + 1);
    }
  }

  /**
   * Weights of both signs, and images with a single pixel: each border shows which it took. From 23
   * images of 23 pixels on as one convolution.
   */
  @ParameterizedTest
  @CsvSource({"1, 1", "1, 4", "4, 3", "1, 23", "8, 9"})
  void upsampleConv3x3_onePixelAtATime_asUpsamplingAndConvolution(int height, int width) {
    NDArray weight = array(new Shape(2, 1, 3, 3));
    NDArray bias = array(new Shape(2));
    int pixels = height * width;
    NDArray x = manager.eye(pixels).reshape(pixels, 1, height, width);
    for (ImageLayout layout : ImageLayout.values()) {
      Script script = new Script();
      ScriptOps ops = ScriptOps.inference(script, Script.Type.FLOAT32, layout);
      Value entered = ops.enter(new Value("p[0]"));
      Value w = new Value("p[1]");
      Value b = new Value("p[2]");
      Value atOnce = ops.leave(ops.upsampleConv3(entered, w, b));
      Value both = ops.leave(ops.conv(ops.upsampleNearest2x(entered), w, b, 1, 1));

      NDList actual = run(script, listOf(atOnce, both), List.of(x, weight, bias), false);

      NDArray expected =
          EagerOps.inference().conv(EagerOps.inference().upsampleNearest2x(x), weight, bias, 1, 1);
      for (NDArray result : actual) {
        assertThat(result.getShape()).isEqualTo(new Shape(pixels, 2, 2L * height, 2L * width));
        assertThat(largest(result.sub(expected))).as("largest difference").isLessThan(1e-6);
      }
    }
  }

  /** What convolutions make of 70 x 70 pixels, then of 35 x 35 and 18 x 18, then of 70 x 70. */
  @ParameterizedTest
  @CsvSource({"CHANNELS_FIRST, false, false", "CHANNELS_LAST, true, true", "BY_SIZE, true, false"})
  void conv_imagesOfManySizes_channelsLastAsTheirSizeHasIt(
      ImageLayout layout, boolean large, boolean small) {
    List<NDArray> inputs =
        List.of(array(new Shape(1, 2, 70, 70)), array(new Shape(2, 2, 3, 3)), array(new Shape(2)));
    Script script = new Script();
    ScriptOps ops = ScriptOps.inference(script, Script.Type.FLOAT32, layout);
    Value x = ops.enter(new Value("p[0]"));
    Value w = new Value("p[1]");
    Value b = new Value("p[2]");
    Value half = ops.conv(x, w, b, 2, 1);
    Value quarter = ops.conv(x, w, b, 4, 1);
    Value whole = ops.upsampleConv3(half, w, b);
    List<Value> results =
        List.of(
            half,
            quarter,
            ops.conv(whole, w, b, 1, 1),
            ops.conv(half, w, b, 1, 1),
            whole,
            ops.upsampleConv3(quarter, w, b),
            ops.convTranspose(half, w, b, 1, 1));
    String last =
        results.stream()
            .map(value -> "torch.is_contiguous(" + value + ", memory_format=2)")
            .collect(Collectors.joining(", ", "torch.tensor([", "])"));

    NDArray actual = run(script, listOf(script.let("%s", last)), inputs, false).head();

    assertThat(actual.toBooleanArray())
        .containsExactly(large, large, large, small, small, small, small);
  }

  /**
   * Rows are no value to differentiate: the gradient is that of the table, with a row taken twice.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void embedding_everyType_valuesAndGradientAsEager(boolean tokens) {
    Shape shape = tokens ? new Shape(1, 3) : new Shape(3);
    NDArray table = array(new Shape(4, 5));
    NDArray rows = manager.create(new float[] {3, 0, 3}, shape).duplicate();
    NDArray probe = array(shape.add(5));
    table.setRequiresGradient(true);
    NDArray expected;
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      expected = EagerOps.inference().embedding(table, rows);
      collector.backward(expected.mul(probe).sum());
    }
    assertThat(expected.getShape()).isEqualTo(probe.getShape());
    for (int i = 0; i < 3; i++) {
      assertThat(expected.reshape(3, 5).get(i).toFloatArray())
          .containsExactly(table.get(new int[] {3, 0, 3}[i]).toFloatArray());
    }
    assertThat(table.getGradient().get(1).toFloatArray()).containsOnly(0);
    for (Script.Type type : Script.Type.values()) {
      Script script = new Script();
      ScriptOps ops = ScriptOps.training(script, type, new Value("seeds"));
      Value result = ops.leave(ops.embedding(new Value("p[0]"), new Value("rows")));
      Value gradient = script.let("torch.grad([torch.sum(torch.mul(%s, probe))], p)", result);
      Value all = script.let("[torch.detach(%s), unchecked_cast(Tensor, %s[0])]", result, gradient);
      try (Program program =
          Program.compile(
              script.method(
                  "both",
                  "probe: Tensor, p: List[Tensor], rows: Tensor, seeds: Tensor",
                  "List[Tensor]",
                  all))) {
        NDList actual =
            program.callRecording("both", probe, List.of(new NDList(table)), rows, seeds());
        assertClose("embedding " + type, actual.get(0), expected, type);
        assertClose("gradient " + type, actual.get(1), table.getGradient(), type);
      }
    }
  }

  /**
   * Phases of thousands of turns: of bfloat16, which counts to 256, nothing would be left of them.
   * The expected values are worked out in double.
   */
  @Test
  void fourierFeatures_everyType_valuesAndGradientAsDefined() {
    double[] times = {0, 0.3, -2, 999};
    double[] frequencies = {1, -0.37, 1.72};
    NDArray t = Upload.doubles(manager, times, new Shape(4, 1), DataType.FLOAT32).duplicate();
    NDArray f = Upload.doubles(manager, frequencies, new Shape(3), DataType.FLOAT32).duplicate();
    NDArray probe = array(new Shape(4, 6));
    float[] probes = probe.toFloatArray();
    double[] expected = new double[4 * 6];
    double[] slope = new double[3];
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 3; j++) {
        double time = t.getFloat(i, 0);
        double phase = 2 * Math.PI * f.getFloat(j) * time;
        expected[6 * i + j] = Math.sin(phase);
        expected[6 * i + 3 + j] = Math.cos(phase);
        slope[j] += probes[6 * i + j] * 2 * Math.PI * time * Math.cos(phase);
        slope[j] -= probes[6 * i + 3 + j] * 2 * Math.PI * time * Math.sin(phase);
      }
    }
    f.setRequiresGradient(true);
    NDArray eager;
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      eager = EagerOps.inference().fourierFeatures(t, f);
      collector.backward(eager.mul(probe).sum());
    }
    // A phase of 10,800 is known to 5e-4 in float32.
    double bound = 2e-3;
    assertThat(difference(eager, expected)).isLessThan(bound);
    assertThat(difference(f.getGradient(), slope)).isLessThan(bound * 999 * 2 * Math.PI);
    for (Script.Type type : Script.Type.values()) {
      Script script = new Script();
      ScriptOps ops = ScriptOps.training(script, type, new Value("seeds"));
      Value made = ops.fourierFeatures(new Value("x"), new Value("p[0]"));
      Value result = ops.leave(made);
      Value gradient = script.let("torch.grad([torch.sum(torch.mul(%s, probe))], p)", result);
      Value converted = script.let("torch.tensor([%s.dtype])", made);
      Value all =
          script.let(
              "[torch.detach(%s), unchecked_cast(Tensor, %s[0]), %s]", result, gradient, converted);
      try (Program program = compile(script, all, true)) {
        NDList actual = program.callRecording("f", t, List.of(new NDList(f)), probe, seeds());
        assertThat(difference(actual.get(0), expected))
            .isLessThan(type == Script.Type.FLOAT32 ? bound : bound + 0x1p-8);
        assertThat(difference(actual.get(1), slope))
            .isLessThan((type == Script.Type.FLOAT32 ? bound : 0x1p-7) * 999 * 2 * Math.PI);
        assertThat(actual.get(2).toLongArray()).containsExactly(type.code());
      }
    }
  }

  private static double difference(NDArray actual, double[] expected) {
    float[] values = actual.toFloatArray();
    assertThat(values).hasSameSizeAs(expected);
    return IntStream.range(0, values.length)
        .mapToDouble(i -> Math.abs(values[i] - expected[i]))
        .max()
        .orElseThrow();
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.1, 0.5, 0.999})
  void dropout_mask_bitByBitThatOfEager(double rate) {
    for (int layer : new int[] {0, 2}) {
      for (Script.Type type : Script.Type.values()) {
        Script script = new Script();
        ScriptOps ops = ScriptOps.training(script, type, new Value("seeds"));
        Value result = ops.leave(ops.dropout(ops.enterFeatures(new Value("p[0]")), rate, layer));
        try (Program program = compile(script, listOf(result), true)) {
          for (Shape shape :
              List.of(
                  new Shape(1), new Shape(3, 5), new Shape(2, 3, 5, 7), new Shape(4, 8, 16, 16))) {
            NDArray x = manager.ones(shape);
            float[] expected = EagerOps.training(SEED, PASS).dropout(x, rate, layer).toFloatArray();
            float[] actual =
                call(program, List.of(x), true, manager.ones(new Shape(1)), seeds())
                    .head()
                    .toFloatArray();
            if (type == Script.Type.FLOAT32) {
              assertThat(actual).as("%s of %s", rate, shape).containsExactly(expected);
            } else {
              assertThat(zeros(actual)).as("%s of %s", rate, shape).isEqualTo(zeros(expected));
            }
          }
        }
      }
    }
  }

  @Test
  void dropout_valueWithOtherStrides_sameMask() {
    NDArray x = manager.ones(new Shape(5, 4, 3, 2)).transpose(3, 2, 1, 0);
    Script script = new Script();
    ScriptOps ops = ScriptOps.training(script, Script.Type.FLOAT32, new Value("seeds"));
    Value result = ops.dropout(new Value("p[0]"), 0.5, 1);
    NDArray actual =
        run(script, listOf(result), List.of(x), true, manager.ones(new Shape(1)), seeds()).head();
    assertThat(actual).isEqualTo(EagerOps.training(SEED, PASS).dropout(x, 0.5, 1));
  }

  @Test
  void dropout_inference_nothingWritten() {
    Script script = new Script();
    Value x = new Value("x");
    assertThat(
            ScriptOps.inference(script, Script.Type.FLOAT32, ImageLayout.CHANNELS_FIRST)
                .dropout(x, 0.5, 0))
        .isSameAs(x);
  }

  @ParameterizedTest
  @ValueSource(doubles = {-0.1, 1, Double.NaN})
  void dropout_rateOutside_refused(double rate) {
    ScriptOps ops =
        ScriptOps.inference(new Script(), Script.Type.FLOAT32, ImageLayout.CHANNELS_FIRST);
    assertThatThrownBy(() -> ops.dropout(new Value("x"), rate, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("dropout rate must be in [0, 1), but was " + rate);
  }

  @Test
  void bfloat16_insideAndOut_float32AtTheBordersAlone() {
    Script script = new Script();
    ScriptOps ops = ScriptOps.inference(script, Script.Type.BFLOAT16, ImageLayout.CHANNELS_LAST);
    Value x = ops.enter(new Value("p[0]"));
    Value features = ops.enterFeatures(new Value("p[1]"));
    Value types =
        script.let(
            "torch.tensor([%s.dtype, %s.dtype, %s.dtype])", x, features, ops.leave(ops.silu(x)));

    NDArray actual =
        run(
                script,
                listOf(types),
                List.of(array(new Shape(1, 2, 3, 4)), array(new Shape(1, 2))),
                false)
            .head();

    assertThat(actual.toLongArray()).containsExactly(15, 15, 6);
  }

  /* ---------------- Helpers ---------------- */

  private static List<Value> entered(ScriptOps ops, Case c) {
    return IntStream.range(0, c.inputs.size())
        .mapToObj(
            i -> {
              Value argument = new Value("p[" + i + "]");
              return switch (c.inputs.get(i).kind()) {
                case IMAGES -> ops.enter(argument);
                case FEATURES -> ops.enterFeatures(argument);
                case WEIGHT -> argument;
              };
            })
        .toList();
  }

  private static String listOf(Value... values) {
    return Arrays.toString(values);
  }

  /** Runs a method that returns a list of tensors. */
  private NDList run(
      Script script, Object list, List<NDArray> inputs, boolean recording, NDArray... others) {
    try (Program program = compile(script, list, others.length > 0)) {
      return call(program, inputs, recording, others);
    }
  }

  private static Program compile(Script script, Object list, boolean others) {
    String arguments =
        "x: Tensor, p: List[Tensor]" + (others ? ", probe: Tensor, seeds: Tensor" : "");
    return Program.compile(script.method("f", arguments, "List[Tensor]", list));
  }

  private NDList call(Program program, List<NDArray> inputs, boolean recording, NDArray... others) {
    NDArray first = manager.zeros(new Shape(1));
    List<NDList> lists = List.of(new NDList(inputs));
    return recording
        ? program.callRecording("f", first, lists, others)
        : program.call("f", first, lists, others);
  }

  private NDArray seeds() {
    double[] seeds = new double[3];
    for (int layer = 0; layer < seeds.length; layer++) {
      seeds[layer] = EagerOps.dropoutSeed(SEED, PASS, layer);
    }
    return Upload.doubles(manager, seeds, new Shape(seeds.length), DataType.FLOAT64);
  }

  private List<NDArray> inputs(Case c) {
    return c.inputs.stream().map(input -> array(input.shape())).toList();
  }

  private NDArray array(Shape shape) {
    double[] values = random.doubles(shape.size(), -1, 1).toArray();
    return Upload.doubles(manager, values, shape, DataType.FLOAT32);
  }

  private static boolean[] zeros(float[] values) {
    boolean[] zeros = new boolean[values.length];
    for (int i = 0; i < values.length; i++) {
      zeros[i] = values[i] == 0;
    }
    return zeros;
  }

  private static double largest(NDArray array) {
    double largest = 0;
    for (float value : array.toFloatArray()) {
      largest = Math.max(largest, Math.abs(value));
    }
    return largest;
  }

  private static void assertClose(String what, NDArray actual, NDArray expected, Script.Type type) {
    assertThat(actual.getDataType()).as(what).isEqualTo(DataType.FLOAT32);
    assertThat(actual.getShape()).as(what).isEqualTo(expected.getShape());
    float[] values = actual.toFloatArray();
    float[] wanted = expected.toFloatArray();
    double scale = largest(expected);
    double difference = 0;
    for (int i = 0; i < values.length; i++) {
      assertThat(values[i]).as(what).isFinite();
      difference = Math.max(difference, Math.abs((double) values[i] - wanted[i]));
    }
    double relative = scale == 0 ? difference : difference / scale;
    if (relative > worst.getOrDefault(type, 0.0)) {
      worst.put(type, relative);
      System.out.printf(
          Locale.ROOT, "%s: difference %.2g of the largest element%n", what, relative);
    }
    assertThat(relative)
        .as("%s: largest difference, of the largest element %s", what, scale)
        .isLessThanOrEqualTo(
            switch (type) {
              case FLOAT32 -> FLOAT32_BOUND;
              case BFLOAT16 -> BFLOAT16_BOUND;
              case FLOAT16 -> FLOAT16_BOUND;
            });
  }
}
