package io.github.ddpm4j.unet;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.ops.ImageLayout;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.torch.ModuleTree;
import io.github.ddpm4j.internal.torch.ScriptArchive;
import io.github.ddpm4j.model.Condition.Kind;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A network as a TorchScript file that needs nothing else. */
final class TorchScriptExport {

  /** The name of the root's class, which Python shows. */
  private static final String TYPE = "UNet";

  private TorchScriptExport() {}

  static void write(
      Network network,
      Script.Type type,
      ImageLayout layout,
      Map<String, NDArray> weights,
      Path file)
      throws IOException {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    weights.forEach((name, weight) -> shapes.put(name, weight.getShape()));
    ModuleTree modules = ModuleTree.of(TYPE, shapes);
    String forward = forward(network, type, layout);
    WholeFile.write(file, out -> ScriptArchive.write(modules, forward, weights.values(), out));
  }

  private static String forward(Network network, Script.Type type, ImageLayout layout) {
    Script script = new Script();
    List<Value> weights =
        network.parameters().stream()
            .map(spec -> new Value(ModuleTree.expression(spec.name())))
            .toList();
    Value timesteps = new Value("timesteps");
    Value x = new Value("x");
    Value levels = network.timeEmbedding().write(script, timesteps);
    List<Value> conditions = new ArrayList<>();
    StringBuilder arguments = new StringBuilder("x: Tensor, timesteps: Tensor");
    for (Kind kind : network.config().conditionKinds()) {
      Value argument = new Value(name(kind));
      arguments.append(", ").append(argument).append(": Tensor");
      conditions.add(argument);
    }
    Value prediction =
        network.forward(
            ScriptOps.inference(script, type, layout).axes(network.axes()),
            weights,
            x,
            script.let("torch.to(%s, %s.device)", levels, x),
            conditions);
    return script.method("forward", arguments.toString(), "Tensor", prediction);
  }

  private static String name(Kind kind) {
    return switch (kind) {
      case LABELS -> "labels";
      case VECTORS -> "vectors";
      case IMAGES -> "images";
      case CONTEXTS -> "contexts";
      case PREVIOUS_X0 -> "previous_x0";
    };
  }
}
