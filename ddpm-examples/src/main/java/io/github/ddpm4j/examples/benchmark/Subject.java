package io.github.ddpm4j.examples.benchmark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.TrainingPass;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.unet.OpByOp;
import io.github.ddpm4j.unet.UNet;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A network, run as a variant says. */
final class Subject implements Denoiser {

  private final UNet unet;
  private final @Nullable OpByOp opByOp;

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
    opByOp = variant == Variant.PRIMITIVES ? new OpByOp(unet) : null;
  }

  /** The network that holds the weights. */
  UNet unet() {
    return unet;
  }

  @Override
  public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    if (opByOp == null) {
      return unet.predict(x, levels, condition);
    }
    try (GradMode off = GradMode.off()) {
      return opByOp.forward(new PrimitiveOps(false), x, levels);
    }
  }

  NDArray predictForTraining(NDArray x, NoiseLevels levels, TrainingPass pass) {
    return opByOp == null
        ? unet.predictForTraining(x, levels, Condition.none(), pass)
        : opByOp.forward(new PrimitiveOps(true), x, levels);
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
