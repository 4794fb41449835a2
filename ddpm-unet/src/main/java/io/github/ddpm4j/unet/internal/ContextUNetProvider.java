package io.github.ddpm4j.unet.internal;

import ai.djl.Device;
import io.github.ddpm4j.model.DenoiserProvider;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.unet.ContextUNet;
import java.util.Map;
import java.util.OptionalLong;

/** Lets {@link java.util.ServiceLoader} find ContextUNet; it must be public for that. */
public final class ContextUNetProvider implements DenoiserProvider {

  /** Made by {@link java.util.ServiceLoader}. */
  public ContextUNetProvider() {}

  @Override
  public String type() {
    return ContextUNet.TYPE;
  }

  @Override
  public OptionalLong parameterCount(Map<String, Object> description) {
    return OptionalLong.of(ContextUNet.Config.of(description).parameterCount());
  }

  @Override
  public TrainableDenoiser create(Map<String, Object> description, Device device) {
    return ContextUNet.Config.of(description).buildBlank(device);
  }
}
