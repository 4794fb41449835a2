package io.github.ddpm4j.unet;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.ToIntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a network is made of and what one image costs it, block by block, from shapes alone. */
final class NetworkSummary {

  /** The part of a layer's name that names its block. */
  private static final Pattern BLOCK =
      Pattern.compile(".*?\\.(resnets|attentions|downsamplers|upsamplers)\\.\\d+|[^.]+");

  /** Those of CLIP. */
  private static final int CONTEXT_TOKENS = 77;

  private record Row(String name, String output, String parameters, String multiplyAdds) {

    Row(String name, Shape output, long parameters, long multiplyAdds) {
      this(
          name,
          output.toString(),
          String.format(Locale.ROOT, "%,d", parameters),
          String.format(Locale.ROOT, "%,d", multiplyAdds));
    }
  }

  /** A block while its layers are added up. */
  private static final class Block {
    private Shape output = new Shape();
    private long parameters;
    private long multiplyAdds;

    void add(CountingOps.Work layer) {
      output = layer.output().slice(1);
      parameters += layer.parameters();
      multiplyAdds = CountingOps.sum(multiplyAdds, layer.multiplyAdds());
    }
  }

  private final Map<String, Block> blocks = new LinkedHashMap<>();
  private final Block total = new Block();

  NetworkSummary(Network network) {
    CountingOps ops = new CountingOps();
    network.forward(ops, weights(network), inputs(network));
    ops.layers()
        .forEach(
            (name, layer) -> {
              blocks.computeIfAbsent(block(name), unused -> new Block()).add(layer);
              total.add(layer);
            });
  }

  private static Weights<CountingOps.Value> weights(Network network) {
    Map<String, CountingOps.Value> weights = new LinkedHashMap<>();
    for (ParameterSpec spec : network.parameters()) {
      String layer = spec.name().substring(0, spec.name().lastIndexOf('.'));
      weights.put(spec.name(), new CountingOps.Value(spec.shape(), layer));
    }
    return name -> Objects.requireNonNull(weights.get(name), name);
  }

  /** One image of everything. */
  private static Inputs<CountingOps.Value> inputs(Network network) {
    UNetConfig config = network.config();
    Map<Kind, CountingOps.Value> conditions = new EnumMap<>(Kind.class);
    for (Kind kind : config.conditionKinds()) {
      Shape row = config.conditionShape(kind);
      conditions.put(kind, one(row.dimension() > 0 && row.get(0) < 0 ? counted(row) : row));
    }
    return new Inputs<>(
        one(config.imageShape()), one(new Shape(network.timeEmbedding().inputs())), conditions);
  }

  /** A context of the usual length. */
  private static Shape counted(Shape context) {
    return new Shape(CONTEXT_TOKENS, context.get(1));
  }

  private static CountingOps.Value one(Shape row) {
    return new CountingOps.Value(new Shape(1).addAll(row), "");
  }

  private static String block(String layer) {
    Matcher matcher = BLOCK.matcher(layer);
    return matcher.lookingAt() ? matcher.group() : layer;
  }

  long parameters() {
    return total.parameters;
  }

  long multiplyAdds() {
    return total.multiplyAdds;
  }

  /** A table with a line for each block, in the order of the pass. */
  @Override
  public String toString() {
    List<Row> rows = new ArrayList<>();
    rows.add(new Row("block", "output", "parameters", "multiply-adds"));
    blocks.forEach((name, b) -> rows.add(new Row(name, b.output, b.parameters, b.multiplyAdds)));
    rows.add(new Row("total", total.output, total.parameters, total.multiplyAdds));
    String format =
        String.format(
            Locale.ROOT,
            "%%-%ds  %%-%ds  %%%ds  %%%ds",
            width(rows, row -> row.name.length()),
            width(rows, row -> row.output.length()),
            width(rows, row -> row.parameters.length()),
            width(rows, row -> row.multiplyAdds.length()));
    List<String> lines = new ArrayList<>();
    for (Row row : rows) {
      lines.add(
          String.format(
              Locale.ROOT, format, row.name, row.output, row.parameters, row.multiplyAdds));
    }
    return String.join("\n", lines);
  }

  private static int width(List<Row> rows, ToIntFunction<Row> length) {
    return rows.stream().mapToInt(length).max().orElseThrow();
  }
}
