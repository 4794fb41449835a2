package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.pretrained.Place.Part;
import io.github.ddpm4j.pretrained.Place.Way;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.UNetConfig.DownsamplePadding;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import io.github.ddpm4j.unet.UNetLayout;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.NameTable.Line;
import io.github.ddpm4j.unet.internal.peers.Packing;
import io.github.ddpm4j.unet.internal.peers.Transform;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * {@code UNet} of labml's annotated DDPM. Its attention has a norm that is never applied, and which
 * is written back with the values that it begins with.
 */
final class Labml implements UNetFamily {

  private static final int GROUPS = 32;
  private static final double EPSILON = 1e-5;

  private static final Map<String, String> OUTSIDE =
      Map.of(
          "conv_in", "image_proj",
          "time_embedding.linear_1", "time_emb.lin1",
          "time_embedding.linear_2", "time_emb.lin2",
          "conv_norm_out", "norm",
          "conv_out", "final");

  private static final Map<String, String> RESIDUAL =
      Map.of("time_emb_proj", "time_emb", "conv_shortcut", "shortcut");

  @Override
  public String title() {
    return "labml's annotated DDPM";
  }

  @Override
  public String signature() {
    return "time_emb.lin1.weight";
  }

  @Override
  public boolean isIdle(String name) {
    return name.endsWith(".attn.norm.weight") || name.endsWith(".attn.norm.bias");
  }

  @Override
  public UNetConfig config(PeerShapes shapes, Given given) throws IOException {
    int[] image = given.image(shapes.where());
    int all = shapes.count(k -> "down." + k + ".");
    int[] passages =
        IntStream.range(0, all).filter(k -> shapes.has("down." + k + ".conv.weight")).toArray();
    int blocks = passages.length == 0 ? all : passages[0];
    int levels = passages.length + 1;
    int[] channels = new int[levels];
    for (int i = 0; i < levels; i++) {
      channels[i] = shapes.size("down." + i * (blocks + 1) + ".res.conv2.weight", 0);
    }
    int[] attention =
        IntStream.range(0, levels)
            .filter(i -> shapes.has("down." + i * (blocks + 1) + ".attn.output.weight"))
            .toArray();
    int last = channels[levels - 1];
    int rows = shapes.size("middle.attn.projection.weight", 0);
    if (rows != 3 * last) {
      throw new IOException(
          shapes.where()
              + " has attention with a projection to "
              + rows
              + " for "
              + last
              + " channels, but labml's has one head, and so "
              + 3 * last);
    }
    UNetBuilder builder =
        given
            .builder(image, GROUPS, EPSILON)
            .levelChannels(channels)
            .residualBlocks(blocks)
            .attentionAtLevels(attention)
            .downsamplePadding(DownsamplePadding.ALL_SIDES)
            .timeEmbedding(TimeOrder.SIN_COS, TimeDivisor.HALF_MINUS_ONE)
            .layout(UNetLayout.labml(shapes.size("image_proj.weight", 0)));
    Given.channels(
        builder,
        image[0],
        shapes.size("image_proj.weight", 1),
        shapes.size("final.weight", 0),
        shapes.where());
    return builder.config();
  }

  /** The code adds noise to images in [0, 1], predicts it, and has the variance β. */
  @Override
  public Facts facts(TensorSource file, String prefix, Given given) {
    DataRange range = new DataRange(0, 1);
    if (given.options().range == null) {
      given.assume("images in " + range + ", as labml's experiment has them");
    }
    return new Facts(
        null, Prediction.EPSILON, Variance.FIXED_LARGE, range, false, null, Recipes.whole(), 0);
  }

  @Override
  public NameTable table(UNetConfig config, PeerShapes shapes, Given given) {
    return NameTable.of(
        config.weightShapes(),
        name ->
            Place.of(name)
                .map(place -> inside(name, place, config.residualBlocks()))
                .orElseGet(() -> Line.outside(name, OUTSIDE, "labml")));
  }

  private static Line inside(String name, Place place, int blocks) {
    String block = block(place, blocks);
    if (place.part() == Part.PASSAGE) {
      return Line.of(name, block + ".conv." + place.kind(), Transform.copy());
    }
    boolean middle = place.way() == Way.MIDDLE;
    if (place.part() == Part.RESIDUAL) {
      String layer = RESIDUAL.getOrDefault(place.layer(), place.layer());
      String own = middle ? ".res" + (place.index() + 1) : ".res";
      return Line.of(name, block + own + "." + layer + "." + place.kind(), Transform.copy());
    }
    return place.layer().equals("to_out.0")
        ? Line.of(name, block + ".attn.output." + place.kind(), Transform.copy())
        : new Line(
            OpenAi.qkv(name),
            List.of(block + ".attn.projection." + place.kind()),
            Transform.split(Packing.HEAD_QKV, 1, 0));
  }

  private static String block(Place place, int blocks) {
    return switch (place.way()) {
      case MIDDLE -> "middle";
      case DOWN ->
          "down."
              + (place.block() * (blocks + 1)
                  + (place.part() == Part.PASSAGE ? blocks : place.index()));
      case UP ->
          "up."
              + (place.block() * (blocks + 2)
                  + (place.part() == Part.PASSAGE ? blocks + 1 : place.index()));
    };
  }
}
