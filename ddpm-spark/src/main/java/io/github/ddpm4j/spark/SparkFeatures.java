package io.github.ddpm4j.spark;

import io.github.ddpm4j.evaluation.Features;
import java.io.IOException;
import java.io.Serializable;
import org.apache.spark.api.java.function.Function0;

/**
 * Features for the tasks of a cluster: how an executor gets them, which it does once.
 *
 * <p>Statistics are compared only with those of features of the same name.
 */
public interface SparkFeatures extends Serializable {

  /**
   * The identity of the features: network, size and resizing method.
   *
   * @return the name
   */
  String name();

  /**
   * Loads the features on an executor. If they are AutoCloseable, the executor closes them.
   *
   * @return the features, which several tasks use at once
   * @throws IOException if a file cannot be read
   */
  Features load() throws IOException;

  /**
   * The raw pixels, as {@link Features#pixels}.
   *
   * @return the features
   */
  static SparkFeatures pixels() {
    return of("pixels", Features::pixels);
  }

  /**
   * Features by a function: {@code SparkFeatures.of("lite0", EfficientNetLite0::features)}, or a
   * TorchScript file on storage that all machines see, {@code () ->
   * Features.torchScript(Path.of("/data/inception.pt")).load()}.
   *
   * @param name the identity of the features
   * @param loader loads them on an executor; it and what it holds must be serializable
   * @return the features
   */
  static SparkFeatures of(String name, Function0<Features> loader) {
    return new NamedFeatures(name, loader);
  }
}
