package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.ImageLayout;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.running.Held;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** A network as a program of two methods, one with dropout and one without. */
final class NetworkProgram implements AutoCloseable {

  private static final String INFER = "infer";
  private static final String TRAIN = "train";

  private final Blueprint network;
  private final Program program;

  NetworkProgram(Blueprint network, Script.Type type, ImageLayout layout, Held held) {
    this.network = network;
    List<ParameterSpec> specs = network.parameters();
    List<Value> weights =
        IntStream.range(0, specs.size())
            .mapToObj(
                i -> held.value(specs.get(i).name(), "p[" + i + "]", specs.get(i).shape(), type))
            .toList();
    List<Value> conditions = arguments("c%d", network.conditions());
    Value x = new Value("x");
    Value levels = new Value("levels");
    Script infer = new Script();
    ScriptOps plain = ScriptOps.inference(infer, type, layout).axes(network.axes());
    Value inferred = network.forward(plain, weights, x, levels, conditions);
    Script train = new Script();
    ScriptOps dropping = ScriptOps.training(train, type, new Value("seeds")).axes(network.axes());
    Value trained = network.forward(dropping, weights, x, levels, conditions);
    String tensors =
        conditions.stream().map(value -> ", " + value + ": Tensor").collect(Collectors.joining());
    String arguments = "x: Tensor, p: List[Tensor], levels: Tensor";
    program =
        Program.compile(
            infer.method(INFER, arguments + tensors, "Tensor", inferred)
                + train.method(TRAIN, arguments + ", seeds: Tensor" + tensors, "Tensor", trained));
  }

  private static List<Value> arguments(String form, int count) {
    return IntStream.range(0, count)
        .mapToObj(i -> new Value(String.format(Locale.ROOT, form, i)))
        .toList();
  }

  /** Runs without dropout and without recording gradients. */
  NDArray infer(NDArray x, NDList weights, NDArray levels, NDList conditions) {
    NDList others = new NDList(levels);
    others.addAll(conditions);
    return program.call(INFER, x, List.of(weights), others.toArray(new NDArray[0])).head();
  }

  /** Runs without dropout, recording gradients. */
  NDArray record(NDArray x, NDList weights, NDArray levels, NDList conditions) {
    NDList others = new NDList(levels);
    others.addAll(conditions);
    return program.callRecording(INFER, x, List.of(weights), others.toArray(new NDArray[0])).head();
  }

  /** Runs with the dropout of a pass, recording gradients. */
  NDArray train(
      NDArray x, NDList weights, NDArray levels, NDList conditions, TrainableDenoiser.Pass pass) {
    int layers = network.dropoutLayers();
    double[] seeds = new double[layers];
    for (int layer = 0; layer < layers; layer++) {
      seeds[layer] = EagerOps.dropoutSeed(pass.seed(), pass.index(), layer);
    }
    try (NDManager cpu = x.getManager().newSubManager(Device.cpu())) {
      NDArray uploaded = Upload.doubles(cpu, seeds, new Shape(layers), DataType.FLOAT64);
      NDList others = new NDList(levels, uploaded);
      others.addAll(conditions);
      return program
          .callRecording(TRAIN, x, List.of(weights), others.toArray(new NDArray[0]))
          .head();
    }
  }

  @Override
  public void close() {
    program.close();
  }
}
