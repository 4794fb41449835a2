package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.noise.NoiseSource;

/** Latents of pictures, each drawn from the distribution that an autoencoder has for it. */
final class DrawnLatents {

  /** The draw of an autoencoder's normal distribution, apart from those of sampling. */
  static final long DRAW = 1L << 33;

  private DrawnLatents() {}

  /** Of pictures (N, C, H, W), which are encoded one after the other; in the scope. */
  static NDArray of(NDArray pictures, Autoencoder autoencoder, NDManager scope, NoiseSource draws) {
    NDList all = new NDList();
    try (GradMode off = GradMode.off()) {
      for (int i = 0; i < pictures.getShape().get(0); i++) {
        try (NDManager step = scope.newSubManager()) {
          NDArray one = pictures.get("{}:{}", i, i + 1);
          one.attach(step);
          try (Autoencoder.Latents latents = autoencoder.encode(one)) {
            Shape shape = latents.mean().getShape();
            NDArray z = draws.array(step, i, DRAW, shape, DataType.FLOAT32);
            NDArray drawn = latents.draw(z);
            drawn.attach(scope);
            all.add(drawn);
          }
        }
      }
      NDArray together = all.size() == 1 ? all.get(0) : NDArrays.concat(all);
      together.attach(scope);
      return together;
    }
  }
}
