package io.github.ddpm4j.training;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.util.passthrough.PassthroughNDManager;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * An engine that holds arrays and can do nothing with them, and a network whose weight it holds.
 */
final class OtherEngine extends Engine {

  /** Its one weight lies in the other engine. */
  static final class Network implements TrainableDenoiser {
    private final NDArray weight =
        new PassthroughNDManager(new OtherEngine(), Device.cpu()).create(new float[] {1});

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      throw new UnsupportedOperationException();
    }

    @Override
    public NDArray predictForTraining(
        NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Map<String, NDArray> weights() {
      return Map.of("only.weight", weight);
    }

    @Override
    public TrainableDenoiser copy() {
      return new Network();
    }

    @Override
    public String type() {
      return "other";
    }

    @Override
    public Map<String, Object> describe() {
      return Map.of();
    }
  }

  @Override
  public @Nullable Engine getAlternativeEngine() {
    return null;
  }

  @Override
  public String getEngineName() {
    return "Other";
  }

  @Override
  public int getRank() {
    return Integer.MAX_VALUE;
  }

  @Override
  public String getVersion() {
    return "1";
  }

  @Override
  public boolean hasCapability(String capability) {
    return false;
  }

  @Override
  public Model newModel(String name, Device device) {
    throw new UnsupportedOperationException();
  }

  @Override
  public NDManager newBaseManager() {
    return newBaseManager(Device.cpu());
  }

  @Override
  public NDManager newBaseManager(Device device) {
    return new PassthroughNDManager(this, device);
  }
}
