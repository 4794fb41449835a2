package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.layers.Weights;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A step of training in one call of the engine: both passes, the loss, its gradient and Adam
 * (Kingma and Ba 2015). A step whose loss or gradient is not finite changes nothing.
 */
final class AutoencoderStep implements AutoCloseable {

  private static final String STEP = "step";
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.999;
  private static final double EPSILON = 1e-8;

  private final NDList weights;
  private final NDList first = new NDList();
  private final NDList second = new NDList();
  private final Program program;

  /**
   * What a step has to say.
   *
   * @param loss what was minimised
   * @param squaredError the mean of the squared differences from the pictures
   * @param divergence the mean of the divergences from the normal distribution
   * @param norm that of the gradient
   */
  record Numbers(double loss, double squaredError, double divergence, double norm) {}

  /** The parts of the loss, each one number. */
  record Parts<T>(T loss, T squaredError, T divergence) {}

  /**
   * Begins with moments of zero.
   *
   * @param weights require gradients
   * @param klWeight how much a mean divergence counts beside a mean squared error
   * @param manager owns the moments, on the device of the weights
   */
  AutoencoderStep(
      AutoencoderNetwork network,
      Map<String, NDArray> weights,
      double klWeight,
      NDManager manager) {
    this.weights = new NDList(weights.values());
    for (NDArray weight : this.weights) {
      first.add(manager.zeros(weight.getShape()));
      second.add(manager.zeros(weight.getShape()));
    }
    program = Program.compile(script(network, new ArrayList<>(weights.keySet()), klWeight));
  }

  /** The loss of pictures, for latents that are drawn by the noise. */
  static <T> Parts<T> loss(
      Ops<T> ops,
      AutoencoderNetwork network,
      Weights<T> weights,
      T images,
      T noise,
      double klWeight) {
    T encoded = network.encode(ops, weights, images);
    T mean = ops.firstChannels(encoded, noise);
    T logVariance = NormalLatents.logVariance(ops, ops.channelsAfter(encoded, noise));
    T decoded = network.decode(ops, weights, NormalLatents.drawn(ops, mean, logVariance, noise));
    T error = ops.mean(ops.square(ops.subtract(decoded, images)));
    T divergence = NormalLatents.divergence(ops, mean, logVariance);
    return new Parts<>(ops.add(error, ops.scale(divergence, klWeight)), error, divergence);
  }

  private static String script(AutoencoderNetwork network, List<String> names, double klWeight) {
    Script script = new Script();
    Map<String, Value> values = new HashMap<>();
    for (String name : names) {
      values.put(name, new Value("p[" + values.size() + "]"));
    }
    ScriptOps ops = ScriptOps.training(script, Script.Type.FLOAT32, new Value("none"));
    Parts<Value> parts =
        loss(
            ops,
            network,
            name -> Objects.requireNonNull(values.get(name), name),
            new Value("x"),
            new Value("noise"),
            klWeight);
    int float32 = Script.Type.FLOAT32.code();
    Value made =
        script.let(
            "[torch.contiguous(unchecked_cast(Tensor, g)) for g in torch.grad([%s], p)]",
            parts.loss());
    script.run("torch.set_grad_enabled(False)");
    Value norm =
        script.let(
            "torch.linalg_vector_norm(torch.stack(torch._foreach_norm(%s, 2, dtype=%d)))",
            made, float32);
    Value finite =
        script.let(
            "torch.logical_and(torch.isfinite(%s), torch.isfinite(torch.detach(%s)))",
            norm, parts.loss());
    Value bad = script.let("torch.to(torch.logical_not(%s), %d)", finite, float32);
    script.run("count = torch.full([1], float(numbers[1]), dtype=%d, device=x.device)", float32);
    script.run(
        "torch._fused_adamw_(p, %s, m, v, annotate(List[Tensor], []), torch.mul([count], %d),"
            + " lr=float(numbers[0]), beta1=%s, beta2=%s, weight_decay=0.0, eps=%s,"
            + " amsgrad=False, maximize=False, grad_scale=None, found_inf=%s)",
        made, names.size(), BETA1, BETA2, EPSILON, bad);
    Value said =
        script.let(
            "torch.stack([torch.detach(%s), torch.detach(%s), torch.detach(%s), %s])",
            parts.loss(), parts.squaredError(), parts.divergence(), norm);
    return script.method(
        STEP,
        "x: Tensor, p: List[Tensor], m: List[Tensor], v: List[Tensor], noise: Tensor, numbers:"
            + " Tensor",
        "Tensor",
        said);
  }

  /**
   * Takes a step.
   *
   * @param number that of the step, from 1
   * @param host on the CPU; owns what goes there
   */
  Numbers take(NDArray images, NDArray noise, double rate, long number, NDManager host) {
    NDArray numbers =
        Upload.doubles(host, new double[] {rate, number}, new Shape(2), DataType.FLOAT64);
    try (NDArray said =
        program
            .callRecording(STEP, images, List.of(weights, first, second), noise, numbers)
            .head()) {
      float[] values = said.toFloatArray();
      return new Numbers(values[0], values[1], values[2], values[3]);
    }
  }

  @Override
  public void close() {
    program.close();
  }
}
