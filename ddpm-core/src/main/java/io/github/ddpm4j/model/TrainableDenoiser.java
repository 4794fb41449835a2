package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Map;

/** A denoiser whose weights can be trained, copied and saved. */
public interface TrainableDenoiser extends Denoiser {

  /**
   * Computes the prediction for a batch with dropout on, recording gradients if a collector is
   * open. Intermediate arrays are attached to the manager of {@code x} and freed with it.
   *
   * @param x the noisy images, float32, shape (N, C, H, W)
   * @param levels the noise level of each image, N entries
   * @param condition the conditioning
   * @param pass the training pass whose dropout masks are drawn
   * @return the prediction, as from {@link #predict}, attached to the manager of {@code x}
   */
  NDArray predictForTraining(NDArray x, NoiseLevels levels, Condition condition, Pass pass);

  /**
   * The weights by name, in a stable order. The arrays are live: writing to them in place changes
   * the network, which owns them.
   *
   * @return an unmodifiable map from name to float32 array that requires gradients
   */
  Map<String, NDArray> weights();

  /**
   * Copies the network: same architecture and device, with its own copy of the weights.
   *
   * @return the copy; the caller closes it
   */
  TrainableDenoiser copy();

  /**
   * Keeps the network as it is while its {@link #weights()} are read, as when it is saved: a
   * network that supports sharing between threads lets those wait that would change or close it.
   *
   * @return a handle that ends this, to be run on the same thread
   * @throws IllegalStateException if the network is closed, or another thread trains it
   */
  default Runnable beginReading() {
    return () -> {};
  }

  /**
   * Claims the network for a training run on this thread. Until the claim ends, a network that
   * supports sharing between threads rejects all other threads, since their predictions would use
   * weights that are changing. Predictions already in progress are waited for.
   *
   * @return a handle that ends the claim
   * @throws IllegalStateException if the network is already claimed
   */
  default Runnable beginTraining() {
    return () -> {};
  }

  /**
   * The name under which a {@link DenoiserProvider} rebuilds this network.
   *
   * @return the provider's type
   */
  String type();

  /**
   * The architecture, as stored in a model file and read by the provider of {@link #type()}.
   *
   * @return an unmodifiable map of strings, numbers, booleans and lists of them, in a stable order
   */
  Map<String, Object> describe();

  /**
   * Identifies one forward pass of training for the network's randomness: the dropout mask of a
   * layer is a pure function of (seed, index, layer).
   *
   * @param seed the seed of the training run
   * @param index the index of the pass, counted from 0 over the whole run
   */
  public record Pass(long seed, long index) {}
}
