package io.github.ddpm4j.unet;

import ai.djl.Device;
import io.github.ddpm4j.model.DenoiserProvider;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.util.Map;

/** Lets {@link java.util.ServiceLoader} find the U-Net; users have no need of it. */
public final class UNetProvider implements DenoiserProvider {

  /** Made by {@link java.util.ServiceLoader}. */
  public UNetProvider() {}

  @Override
  public String type() {
    return UNet.TYPE;
  }

  @Override
  public TrainableDenoiser create(Map<String, Object> description, Device device) {
    return UNet.blank(UNetConfig.of(description), device);
  }
}
