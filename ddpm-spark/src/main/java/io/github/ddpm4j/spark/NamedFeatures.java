package io.github.ddpm4j.spark;

import io.github.ddpm4j.evaluation.Features;
import java.io.IOException;
import org.apache.spark.api.java.function.Function0;

/** Features by a function. */
record NamedFeatures(String name, Function0<Features> loader) implements SparkFeatures {

  @Override
  public Features load() throws IOException {
    try {
      return loader.call();
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException(e.getMessage(), e);
    }
  }
}
