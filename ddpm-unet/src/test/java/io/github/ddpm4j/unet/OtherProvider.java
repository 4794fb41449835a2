package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoiserProvider;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Map;

/** Another kind of network, which ServiceLoader finds in the tests of this module. */
public final class OtherProvider implements DenoiserProvider {

  /** A network of one weight. */
  static final class Other implements TrainableDenoiser {
    private final NDManager manager = NDManager.newBaseManager();
    private final NDArray weight = manager.ones(new Shape(1));

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      return x.mul(weight);
    }

    @Override
    public NDArray predictForTraining(
        NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
      return predict(x, levels, condition);
    }

    @Override
    public Map<String, NDArray> weights() {
      return Map.of("weight", weight);
    }

    @Override
    public TrainableDenoiser copy() {
      return new Other();
    }

    @Override
    public String type() {
      return "other";
    }

    @Override
    public Map<String, Object> describe() {
      return Map.of();
    }

    @Override
    public void close() {
      manager.close();
    }
  }

  /** Made by ServiceLoader. */
  public OtherProvider() {}

  @Override
  public String type() {
    return "other";
  }

  @Override
  public TrainableDenoiser create(Map<String, Object> description, Device device) {
    return new Other();
  }
}
