package io.github.ddpm4j.unet;

import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNetLayout.ClassPlace;
import io.github.ddpm4j.unet.internal.layers.EmbeddingTable;
import io.github.ddpm4j.unet.internal.layers.Initial;
import io.github.ddpm4j.unet.internal.layers.LinearLayer;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Classes and vectors as the residual blocks see them: added to the time embedding before its SiLU,
 * as in diffusers.
 *
 * <pre>
 * embedding = time + table[class] + linear2(silu(linear1(vector)))
 * </pre>
 *
 * <p>The table is that of diffusers' {@code num_class_embeds}, usually with one row more, the last,
 * for images without a class. It may instead be added to what goes into the linear layers of the
 * timestep. The layers of the vector are those of its {@code add_embedding}.
 */
final class ConditionEmbedding {

  private final boolean before;
  private final @Nullable EmbeddingTable classes;
  private final @Nullable LinearLayer linear1;
  private final @Nullable LinearLayer linear2;

  /** {@code featureWidth} is that of what the linear layers of the timestep see. */
  ConditionEmbedding(UNetConfig config, int featureWidth) {
    int hidden = config.timeChannels();
    UNetLayout.Embedding style = config.layout().embedding();
    before = style.classPlace() == ClassPlace.BEFORE;
    classes =
        config.classes() == 0
            ? null
            : new EmbeddingTable(
                "class_embedding",
                config.classes() + (style.nullClass() ? 1 : 0),
                before ? featureWidth : hidden);
    boolean vectors = config.vectorCondition() > 0;
    linear1 =
        vectors
            ? new LinearLayer(
                "add_embedding.linear_1", config.vectorCondition(), hidden, Initial.NORMAL)
            : null;
    linear2 =
        vectors ? new LinearLayer("add_embedding.linear_2", hidden, hidden, Initial.NORMAL) : null;
  }

  void declare(List<ParameterSpec> specs) {
    if (classes != null) {
      classes.declare(specs);
    }
    if (linear1 != null && linear2 != null) {
      linear1.declare(specs);
      linear2.declare(specs);
    }
  }

  /** The features of the timestep with what the conditions add to them. */
  <T> T before(Ops<T> ops, Weights<T> weights, T features, Inputs<T> inputs) {
    return classes != null && before
        ? ops.add(features, classes.apply(ops, weights, inputs.condition(Kind.LABELS)))
        : features;
  }

  /** The time embedding with what the conditions add. */
  <T> T forward(Ops<T> ops, Weights<T> weights, T time, Inputs<T> inputs) {
    T sum = time;
    if (classes != null && !before) {
      sum = ops.add(sum, classes.apply(ops, weights, inputs.condition(Kind.LABELS)));
    }
    if (linear1 != null && linear2 != null) {
      T hidden = ops.silu(linear1.apply(ops, weights, inputs.condition(Kind.VECTORS)));
      sum = ops.add(sum, linear2.apply(ops, weights, hidden));
    }
    return sum;
  }
}
