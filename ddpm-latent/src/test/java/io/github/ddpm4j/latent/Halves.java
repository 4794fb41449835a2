package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import java.util.Random;

/** Pictures of 8x8 pixels with a little noise: bright on the left (class 0) or right (class 1). */
final class Halves {

  static final int SIDE = 8;
  static final float BRIGHT = 0.8f;

  private Halves() {}

  static NDArray pictures(NDManager manager, int count, long seed) {
    Random random = new Random(seed);
    float[] values = new float[count * SIDE * SIDE];
    for (int i = 0; i < values.length; i++) {
      boolean left = i % SIDE < SIDE / 2;
      boolean first = i / SIDE / SIDE % 2 == 0;
      values[i] = (left == first ? BRIGHT : -BRIGHT) + 0.3f * (random.nextFloat() - 0.5f);
    }
    return manager.create(values, new Shape(count, 1, SIDE, SIDE));
  }

  static ArrayDataset dataset(NDManager manager, int count, int batchSize) {
    long[] labels = new long[count];
    for (int i = 0; i < count; i++) {
      labels[i] = i % 2;
    }
    return new ArrayDataset.Builder()
        .setData(pictures(manager, count, 1))
        .optLabels(manager.create(labels))
        .setSampling(batchSize, true)
        .build();
  }

  static AutoencoderBuilder autoencoder() {
    return Autoencoder.builder()
        .imageChannels(1)
        .levelChannels(4, 8)
        .residualBlocks(1)
        .latentChannels(2)
        .groups(2)
        .seed(3);
  }
}
