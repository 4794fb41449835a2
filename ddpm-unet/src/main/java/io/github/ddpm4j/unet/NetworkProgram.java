package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.TrainingPass;
import io.github.ddpm4j.ops.EagerOps;
import io.github.ddpm4j.ops.Script;
import io.github.ddpm4j.ops.Script.Value;
import io.github.ddpm4j.ops.ScriptOps;
import io.github.ddpm4j.ops.Upload;
import io.github.ddpm4j.torch.Program;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;

/** A network as a program of two methods, one with dropout and one without. */
final class NetworkProgram implements AutoCloseable {

  private static final String INFER = "infer";
  private static final String TRAIN = "train";

  private final Network network;
  private final Program program;

  NetworkProgram(Network network, Script.Type type, boolean channelsLast) {
    this.network = network;
    Script infer = new Script();
    Value inferred =
        write(
            network,
            infer,
            ScriptOps.inference(infer, type, channelsLast),
            arguments(network.parameters().size()),
            new Value("x"),
            new Value("levels"));
    Script train = new Script();
    Value trained =
        write(
            network,
            train,
            ScriptOps.training(train, type, new Value("seeds")),
            arguments(network.parameters().size()),
            new Value("x"),
            new Value("levels"));
    String arguments = "x: Tensor, p: List[Tensor], levels: Tensor";
    program =
        Program.compile(
            infer.method(INFER, arguments, "Tensor", inferred)
                + train.method(TRAIN, arguments + ", seeds: Tensor", "Tensor", trained));
  }

  private static List<Value> arguments(int count) {
    return IntStream.range(0, count).mapToObj(i -> new Value("p[" + i + "]")).toList();
  }

  /** Writes the network into a script. */
  static Value write(
      Network network, Script script, ScriptOps ops, List<Value> weights, Value x, Value levels) {
    Map<String, Value> byName = new HashMap<>();
    for (int i = 0; i < weights.size(); i++) {
      byName.put(network.parameters().get(i).name(), weights.get(i));
    }
    return ops.leave(
        network.forward(
            ops,
            name -> Objects.requireNonNull(byName.get(name), name),
            ops.enter(x),
            ops.enterFeatures(levels)));
  }

  /** Runs without dropout and without recording gradients. */
  NDArray infer(NDArray x, NDList weights, NDArray levels) {
    return program.call(INFER, x, List.of(weights), levels).head();
  }

  /** Runs with the dropout of a pass, recording gradients. */
  NDArray train(NDArray x, NDList weights, NDArray levels, TrainingPass pass) {
    int layers = network.dropoutLayers();
    double[] seeds = new double[layers];
    for (int layer = 0; layer < layers; layer++) {
      seeds[layer] = EagerOps.dropoutSeed(pass.seed(), pass.index(), layer);
    }
    try (NDManager cpu = x.getManager().newSubManager(Device.cpu())) {
      NDArray uploaded = Upload.doubles(cpu, seeds, new Shape(layers), DataType.FLOAT64);
      return program.callRecording(TRAIN, x, List.of(weights), levels, uploaded).head();
    }
  }

  @Override
  public void close() {
    program.close();
  }
}
