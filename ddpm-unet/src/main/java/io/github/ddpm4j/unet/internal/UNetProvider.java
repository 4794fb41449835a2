package io.github.ddpm4j.unet.internal;

import ai.djl.Device;
import io.github.ddpm4j.model.DenoiserProvider;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetConfig;
import java.util.Map;
import java.util.OptionalLong;

/** Lets {@link java.util.ServiceLoader} find the U-Net; it must be public for that. */
public final class UNetProvider implements DenoiserProvider {

  /** Made by {@link java.util.ServiceLoader}. */
  public UNetProvider() {}

  @Override
  public String type() {
    return UNet.TYPE;
  }

  @Override
  public OptionalLong parameterCount(Map<String, Object> description) {
    return OptionalLong.of(UNetConfig.of(description).parameterCount());
  }

  @Override
  public TrainableDenoiser create(Map<String, Object> description, Device device) {
    return UNet.builder(UNetConfig.of(description)).device(device).buildBlank();
  }
}
