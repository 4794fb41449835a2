package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.ImageLayout;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.unet.internal.layers.Weights;
import io.github.ddpm4j.unet.internal.running.Beside;
import io.github.ddpm4j.unet.internal.running.Held;
import io.github.ddpm4j.unet.internal.running.RunMode;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Runs a network on arrays, either operation by operation or as a program, which is compiled when
 * it is first needed, once for all threads, and kept until the mode changes.
 */
final class NetworkRunner implements AutoCloseable {

  private final Blueprint network;
  private final Device device;
  private final ReentrantLock compiling = new ReentrantLock();
  private volatile RunMode mode;
  private volatile Held held = Held.FLOAT32;
  private volatile @Nullable NetworkProgram program;

  NetworkRunner(Blueprint network, Device device, RunMode mode) {
    this.network = network;
    this.device = device;
    this.mode = mode;
  }

  RunMode mode() {
    return mode;
  }

  /** Changes how the network runs; nobody else may be using it. */
  void runAs(RunMode other) {
    forget();
    mode = other;
  }

  Held held() {
    return held;
  }

  /** Changes what weights are held in; nobody else may be using it. */
  void hold(Held other) {
    forget();
    held = other;
  }

  /** Without dropout and without recording gradients. */
  NDArray infer(NDArray x, Weights<NDArray> weights, double[] timesteps, NDList conditions) {
    try (GradMode off = GradMode.off();
        NDArray levels = times(x, timesteps)) {
      if (mode.isCompiled()) {
        return program().infer(x, inOrder(weights), levels, conditions);
      }
      return eager(EagerOps.inference(), x, weights, levels, conditions);
    }
  }

  /** Without dropout, recording gradients of the images and of no weights. */
  NDArray record(NDArray x, Weights<NDArray> weights, double[] timesteps, NDList conditions) {
    try (GradMode on = GradMode.on();
        NDList fixed = new NDList();
        NDArray levels = times(x, timesteps)) {
      inOrder(weights).forEach(weight -> fixed.add(weight.stopGradient()));
      if (mode.isCompiled()) {
        return program().record(x, fixed, levels, conditions);
      }
      EagerOps ops = EagerOps.inference();
      return ops.scope(() -> network.forward(ops, fixed, x, levels, conditions));
    }
  }

  /** With the dropout of a pass, recording gradients. */
  NDArray train(
      NDArray x,
      Weights<NDArray> weights,
      double[] timesteps,
      NDList conditions,
      TrainableDenoiser.Pass pass) {
    try (NDArray levels = times(x, timesteps)) {
      if (mode.isCompiled()) {
        return program().train(x, inOrder(weights), levels, conditions, pass);
      }
      EagerOps ops = EagerOps.training(pass.seed(), pass.index());
      return eager(ops, x, weights, levels, conditions);
    }
  }

  private NDArray eager(
      EagerOps ops, NDArray x, Weights<NDArray> weights, NDArray levels, NDList conditions) {
    return ops.scope(() -> network.forward(ops, inOrder(weights), x, levels, conditions));
  }

  /** What the network takes timesteps in as. */
  private NDArray times(NDArray x, double[] timesteps) {
    Shape shape = new Shape(timesteps.length, network.levelInputs());
    return Beside.upload(x, network.levelInputs(timesteps), shape);
  }

  private NDList inOrder(Weights<NDArray> weights) {
    NDList list = new NDList(network.parameters().size());
    network.parameters().forEach(spec -> list.add(weights.get(spec.name())));
    return list;
  }

  private NetworkProgram program() {
    NetworkProgram compiled = program;
    if (compiled == null) {
      GradMode.lock(compiling);
      try {
        compiled = program;
        if (compiled == null) {
          ImageLayout layout = mode.layout(device, ImageLayout.BY_SIZE);
          compiled = new NetworkProgram(network, mode.type(), layout, held);
          program = compiled;
        }
      } finally {
        compiling.unlock();
      }
    }
    return compiled;
  }

  /** Closes the program; the next use compiles a fresh one. */
  private void forget() {
    GradMode.lock(compiling);
    try {
      if (program != null) {
        program.close();
        program = null;
      }
    } finally {
      compiling.unlock();
    }
  }

  @Override
  public void close() {
    forget();
  }
}
