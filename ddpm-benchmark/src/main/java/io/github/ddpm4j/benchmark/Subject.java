package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.unet.UNet;
import java.util.List;
import java.util.Optional;

/** A network, run as a variant says. */
final class Subject implements Denoiser {

  private final UNet unet;
  private final boolean primitives;

  Subject(Preset preset, Variant variant, Device device) {
    unet =
        preset
            .network()
            .get()
            .seed(1)
            .device(device)
            .execution(variant.execution)
            .precision(variant.precision)
            .build();
    primitives = variant == Variant.PRIMITIVES;
  }

  /** The network that holds the weights. */
  UNet unet() {
    return unet;
  }

  @Override
  public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    if (!primitives) {
      return unet.predict(x, levels, condition);
    }
    try (GradMode off = GradMode.off()) {
      return by(new PrimitiveOps(false), x, levels, condition);
    }
  }

  NDArray predictForTraining(NDArray x, NoiseLevels levels, TrainableDenoiser.Pass pass) {
    return primitives
        ? by(new PrimitiveOps(true), x, levels, Condition.none())
        : unet.predictForTraining(x, levels, Condition.none(), pass);
  }

  /** The network as it is written, one operation after the other. */
  private NDArray by(PrimitiveOps ops, NDArray x, NoiseLevels levels, Condition condition) {
    double[] features = unet.levelFeatures(levels);
    Shape shape = new Shape(levels.size(), features.length / levels.size());
    try (NDArray rows = Upload.doubles(x.getManager(), features, shape, DataType.FLOAT32);
        NDList conditions = unet.conditionInputs(condition, x)) {
      return ops.scope(
          () -> unet.forward(ops, List.copyOf(unet.weights().values()), x, rows, conditions));
    }
  }

  @Override
  public Optional<Shape> imageShape() {
    return unet.imageShape();
  }

  @Override
  public Optional<Device> device() {
    return unet.device();
  }

  @Override
  public void close() {
    unet.close();
  }
}
