package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Sampling;
import java.util.List;
import java.util.Map;

/**
 * What a run makes of its latents, and what it owns.
 *
 * @param use the network for latents of its size
 * @param scope owns the arrays that were made for it
 * @param words what the file of each picture says
 */
record DecodedRun(
    Autoencoder autoencoder,
    SizedNetworks.Use use,
    NDManager scope,
    List<Map<String, String>> words)
    implements Sampling.Decoding {

  @Override
  public NDArray decode(NDArray latents) {
    return autoencoder.decode(latents);
  }

  @Override
  public DataRange range() {
    return DataRange.DEFAULT;
  }

  @Override
  public Map<String, String> words(int image) {
    return words.get(image);
  }

  @Override
  public void close() {
    scope.close();
    use.close();
  }
}
