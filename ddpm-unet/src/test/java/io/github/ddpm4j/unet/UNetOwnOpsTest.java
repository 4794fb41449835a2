package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNet.Execution;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** The U-Net by operations of the caller's. */
class UNetOwnOpsTest {

  /** Operations that are counted by name. */
  @SuppressWarnings("unchecked")
  private static Ops<NDArray> counting(Map<String, Integer> counts) {
    EagerOps real = EagerOps.inference();
    return (Ops<NDArray>)
        Proxy.newProxyInstance(
            UNetOwnOpsTest.class.getClassLoader(),
            new Class<?>[] {Ops.class},
            (proxy, method, arguments) -> {
              counts.merge(method.getName(), 1, Integer::sum);
              try {
                return method.invoke(real, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  @Test
  void forward_ownOperations_givesWhatTheNetworkGives_throughThem() {
    Map<String, Integer> counts = new TreeMap<>();
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet =
            UNet.builder()
                .image(1, 4, 4)
                .baseChannels(8)
                .channelMultipliers(1)
                .residualBlocks(1)
                .groups(4)
                .classes(3)
                .execution(Execution.EAGER)
                .seed(1)
                .build()) {
      NDArray x = manager.arange(32f).div(32).reshape(new Shape(2, 1, 4, 4));
      NoiseLevels levels = NoiseLevels.of(Schedules.linear(10), 3, 7);
      Condition condition = Condition.labels(0, 2);

      double[] features = unet.levelFeatures(levels);
      NDArray own =
          unet.forward(
              counting(counts),
              List.copyOf(unet.weights().values()),
              x,
              Upload.doubles(manager, features, new Shape(2, 8), DataType.FLOAT32),
              unet.conditionInputs(condition, x));

      assertThat(own).isEqualTo(unet.predict(x, levels, condition));
      // In and out; two in each of the residual blocks: down, two in the middle, two up, with a
      // shortcut where the channels differ.
      assertThat(counts).containsEntry("conv", 14).containsEntry("embedding", 1);
    }
  }
}
