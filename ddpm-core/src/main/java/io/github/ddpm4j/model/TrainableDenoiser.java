package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Map;

/** A denoiser whose weights can be trained, copied and saved. */
public interface TrainableDenoiser extends Denoiser {

  /**
   * Predicts for a batch with dropout on, recording gradients when a collector is open.
   * Intermediate arrays are attached to the manager of {@code x} and freed with it.
   *
   * @param x the noisy images, float32, shape (N, C, H, W)
   * @param levels how noisy each image is, N entries
   * @param condition what the images are conditioned on
   * @param pass the training pass that dropout masks are drawn for
   * @return the prediction, as of {@link #predict}, attached to the manager of {@code x}
   */
  NDArray predictForTraining(NDArray x, NoiseLevels levels, Condition condition, Pass pass);

  /**
   * The weights by name, in a stable order. The arrays are the live ones: writing to them in place
   * changes the network. They stay owned by the network.
   *
   * @return an unmodifiable map from name to float32 array that requires gradients
   */
  Map<String, NDArray> weights();

  /**
   * A network of the same architecture on the same device with its own copy of the weights.
   *
   * @return the copy; the caller closes it
   */
  TrainableDenoiser copy();

  /**
   * Claims the network for a training run on this thread. Until the claim ends, a network that
   * several threads may share refuses every other thread, whose predictions would be made of
   * weights that change under them; predictions that have begun are waited for.
   *
   * @return ends the claim
   * @throws IllegalStateException if the network is claimed already
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
   * The architecture, in the words that a model file holds and the provider of {@link #type()}
   * understands.
   *
   * @return an unmodifiable map of strings, numbers, booleans and lists of them, in a stable order
   */
  Map<String, Object> describe();

  /**
   * One forward pass of training, as far as randomness inside the network is concerned: the dropout
   * mask of a layer is a pure function of (seed, index, layer).
   *
   * @param seed the seed of the training run
   * @param index the number of the pass, counted from 0 over the whole run
   */
  public record Pass(long seed, long index) {}
}
