package io.github.ddpm4j.latent;

import ai.djl.Device;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The parts of a published pipeline, in a folder or in one file. */
interface PipelineParts {

  /** Which pipeline it is. */
  Pipeline.Type type();

  /** What holds the network, for {@code Pretrained}. */
  Path network();

  /** How messages name a part. */
  String part(String name);

  /** The folder of the tokenizer's files. */
  Path words();

  /** What says schedule and sampler; null where no file does. */
  @Nullable Path scheduler();

  Tokenizer tokenizer() throws IOException;

  TextEncoder textEncoder(Device device, Kept kept) throws IOException;

  Autoencoder autoencoder(Device device, Kept kept) throws IOException;

  /** Loads a part; a message of what is wrong with it names it. */
  default <T> T load(String part, PartLoader<T> loader) throws IOException {
    String of = part(part);
    try {
      return loader.load();
    } catch (IOException | RuntimeException e) {
      String message = String.valueOf(e.getMessage());
      boolean named = message.contains(of) || message.contains(network().toString());
      if (e instanceof IOException known && named) {
        throw known;
      }
      throw new IOException(of + ": " + message, e);
    }
  }
}
