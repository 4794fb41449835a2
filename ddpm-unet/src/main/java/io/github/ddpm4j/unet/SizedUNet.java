package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.unet.internal.running.Usage;
import java.util.Optional;
import java.util.Set;

/** The weights of a network, for images of another size: a program of its own, and no weights. */
final class SizedUNet implements Denoiser {

  private final UNet owner;
  private final UNetConfig config;
  private final NetworkRunner runner;
  private final ConditionInputs conditionInputs;
  private final Usage usage = new Usage();
  private volatile boolean closed;

  SizedUNet(UNet owner, UNetConfig config) {
    this.owner = owner;
    this.config = config;
    runner = new NetworkRunner(new Network(config), owner.manager.getDevice(), owner.runner.mode());
    runner.hold(owner.runner.held());
    conditionInputs = new ConditionInputs(config);
  }

  @Override
  public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    try (Usage.Hold hold = usage.shared();
        Usage.Hold weights = owner.usage.shared()) {
      requireOpen();
      BlockInputs.require(x, levels, config.imageShape(), owner.manager.getDevice());
      try (NDList conditions = conditionInputs.of(condition, x)) {
        return runner.infer(x, owner::weight, levels.timesteps(), conditions);
      }
    }
  }

  @Override
  public NDArray predictRecording(NDArray x, NoiseLevels levels, Condition condition) {
    try (Usage.Hold hold = usage.shared();
        Usage.Hold weights = owner.usage.shared()) {
      requireOpen();
      BlockInputs.require(x, levels, config.imageShape(), owner.manager.getDevice());
      try (NDList conditions = conditionInputs.of(condition, x)) {
        return runner.record(x, owner::weight, levels.timesteps(), conditions);
      }
    }
  }

  private void requireOpen() {
    owner.requireOpen();
    if (closed) {
      throw new IllegalStateException(
          "this view of the U-Net is closed; ask the network for another by resized(height, width)");
    }
    if (runner.held() != owner.runner.held()) {
      throw new IllegalStateException(
          "the U-Net holds its weights in "
              + owner.runner.held()
              + " since this view was made, which knows them in "
              + runner.held()
              + "; ask the network for another by resized(height, width)");
    }
  }

  @Override
  public Optional<Shape> imageShape() {
    return Optional.of(config.imageShape());
  }

  @Override
  public Set<Condition.Kind> conditionKinds() {
    return config.conditionKinds();
  }

  @Override
  public boolean predictsVariance() {
    return config.learnedVariance();
  }

  @Override
  public Optional<Device> device() {
    return owner.device();
  }

  @Override
  public void requireUsable(Shape images, DataType type, Condition condition) {
    try (Usage.Hold hold = usage.shared();
        Usage.Hold weights = owner.usage.shared()) {
      requireOpen();
      BlockInputs.requireImages(images, type, config.imageShape());
      conditionInputs.requireUsable(condition, images);
    }
  }

  @Override
  public String toString() {
    return owner + " for images " + config.imageShape();
  }

  /** Frees the program, once the predictions that have begun are done. */
  @Override
  public void close() {
    try (Usage.Hold hold = usage.alone()) {
      closed = true;
      runner.close();
    }
  }
}
