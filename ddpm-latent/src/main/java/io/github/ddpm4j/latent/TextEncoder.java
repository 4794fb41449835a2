package io.github.ddpm4j.latent;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.FiniteWeights;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.internal.running.Usage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Turns the tokens of a prompt into the vectors that a network attends to: the text half of CLIP
 * (Radford et al. 2021) or the transformer of latent diffusion's own models, as transformers'
 * {@code CLIPTextModel} and diffusers' {@code LDMBertModel} hold them.
 *
 * <pre>{@code
 * try (TextEncoder encoder = TextEncoder.load(folder.resolve("text_encoder"))) {
 *   NDArray context = encoder.encode(manager, tokenizer.encode("a photo of a cat"));
 * }
 * }</pre>
 *
 * <p>It owns its weights, which are float32, until {@link #close()} frees them. Thread-safe.
 */
public final class TextEncoder implements AutoCloseable {

  private static final String NAME = "the text encoder";

  private final TextConfig config;
  private final TextNetwork network;
  private final WeightedNetwork weighted;

  private TextEncoder(TextConfig config, TextNetwork network, WeightedNetwork weighted) {
    this.config = config;
    this.network = network;
    this.weighted = weighted;
  }

  /**
   * Loads an encoder onto the engine's default device.
   *
   * @param folder a folder with {@code config.json} and weights, usually {@code text_encoder} or
   *     {@code bert} in that of the model
   * @return the encoder; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no configuration, or no weights
   * @throws IOException if reading fails, a file is invalid, or the encoder is of another kind
   */
  public static TextEncoder load(Path folder) throws IOException {
    return load(folder, Machine.device(null));
  }

  /**
   * Loads an encoder onto a device.
   *
   * @param folder as for {@link #load(Path)}
   * @param device where to put the weights
   * @return the encoder; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no configuration, or no weights
   * @throws IOException if reading fails, a file is invalid, or the encoder is of another kind
   */
  public static TextEncoder load(Path folder, @Nullable Device device) throws IOException {
    return load(folder, device, Kept.ALL);
  }

  static TextEncoder load(Path folder, @Nullable Device device, Kept kept) throws IOException {
    PartFolder part = PartFolder.ofTransformers(Objects.requireNonNull(folder, "folder"));
    TextConfig config = TextConfig.read(part.config());
    TextNetwork network = new TextNetwork(config);
    WeightedNetwork weighted =
        WeightedNetwork.read(
            NAME,
            network.parameters(),
            device,
            part.weights(),
            UnaryOperator.identity(),
            TextEncoder::isUnused,
            kept);
    return new TextEncoder(config, network, weighted);
  }

  /**
   * From a single file of CompVis or Stability AI.
   *
   * @param source what lies below the encoder's prefix
   * @param openClip whether its names are OpenCLIP's, whose last layers are left out
   */
  static TextEncoder ofCompVis(
      TextConfig config,
      TensorSource source,
      String where,
      boolean openClip,
      @Nullable Device device,
      Kept kept)
      throws IOException {
    TextNetwork network = new TextNetwork(config);
    WeightedNetwork weighted =
        WeightedNetwork.read(
            NAME,
            network.parameters(),
            device,
            source,
            where,
            openClip ? CompVisNames.openClip() : CompVisNames.clip(source),
            openClip ? name -> CompVisNames.isIdle(name, config.layers()) : TextEncoder::isUnused,
            kept);
    return new TextEncoder(config, network, weighted);
  }

  /** Positions are numbers that old files keep; logits were of use in training alone. */
  private static boolean isUnused(String tensor) {
    return tensor.endsWith("embeddings.position_ids") || tensor.startsWith("to_logits.");
  }

  /**
   * Encodes prompts.
   *
   * @param manager owns the result
   * @param ids the tokens of each prompt, all of one length, at most {@link #positions}
   * @return the vectors, float32, shape (N, L, {@link #width}), on the encoder's device
   * @throws IllegalArgumentException if there is no prompt or no token, lengths differ or are too
   *     large, or a token is not in [0, {@link #vocabulary})
   * @throws IllegalStateException if the encoder is closed
   */
  public NDArray encode(NDManager manager, int[]... ids) {
    return encode(0, manager, ids);
  }

  /**
   * Encodes prompts without the last layers, which some models are used with ("clip skip"): the
   * vectors go from an earlier layer to the norm at the end.
   *
   * @param skippedLayers the number of layers left out, at least 0 and fewer than {@link #layers}
   * @param manager owns the result
   * @param ids as for {@link #encode(NDManager, int[]...)}
   * @return as from {@link #encode(NDManager, int[]...)}
   * @throws IllegalArgumentException if an argument is invalid
   * @throws IllegalStateException if the encoder is closed
   */
  public NDArray encode(int skippedLayers, NDManager manager, int[]... ids) {
    if (skippedLayers < 0 || skippedLayers >= config.layers()) {
      throw new IllegalArgumentException(
          "skipped layers must be in [0, " + config.layers() + "), but were " + skippedLayers);
    }
    int length = requireLength(ids);
    double[] all = Arrays.stream(ids).flatMapToInt(Arrays::stream).asDoubleStream().toArray();
    double[] places = IntStream.range(0, length).asDoubleStream().toArray();
    try (NDManager own = manager.newSubManager(weighted.device())) {
      NDArray tokens = Upload.doubles(own, all, new Shape(ids.length, length), DataType.FLOAT32);
      NDArray at = Upload.doubles(own, places, new Shape(length), DataType.FLOAT32);
      NDArray result = weighted.infer(new TextNetwork.Encode(network, skippedLayers), tokens, at);
      result.attach(manager);
      return result;
    }
  }

  private int requireLength(int[]... ids) {
    if (ids.length == 0) {
      throw new IllegalArgumentException("prompts must be at least 1, but were 0");
    }
    int length = ids[0].length;
    for (int[] prompt : ids) {
      if (prompt.length != length) {
        throw new IllegalArgumentException(
            "prompts must have the same number of tokens, but had "
                + length
                + " and "
                + prompt.length
                + "; fill them up, as Tokenizer.encode does");
      }
      for (int id : prompt) {
        if (id < 0 || id >= config.vocabulary()) {
          throw new IllegalArgumentException(
              "tokens must be in [0, "
                  + config.vocabulary()
                  + "), but one was "
                  + id
                  + "; use the tokenizer of the same model");
        }
      }
    }
    if (length < 1 || length > config.positions()) {
      throw new IllegalArgumentException(
          "tokens of a prompt must be from 1 to " + config.positions() + ", but were " + length);
    }
    return length;
  }

  /**
   * The width of the vectors.
   *
   * @return the width
   */
  public int width() {
    return config.width();
  }

  /**
   * The most tokens of a prompt.
   *
   * @return the number
   */
  public int positions() {
    return config.positions();
  }

  /**
   * The number of tokens that the encoder knows.
   *
   * @return the number
   */
  public int vocabulary() {
    return config.vocabulary();
  }

  /**
   * The number of layers.
   *
   * @return the number
   */
  public int layers() {
    return config.layers();
  }

  /**
   * The device of the weights.
   *
   * @return the device
   */
  public Device device() {
    return weighted.device();
  }

  /**
   * The live weights under the names of the file, owned by this encoder.
   *
   * @return the weights; unmodifiable
   * @throws IllegalStateException if the encoder is closed
   */
  public Map<String, NDArray> weights() {
    return weighted.weights();
  }

  /**
   * Changes execution mode and precision. Waits for encodings in progress.
   *
   * @param execution compiled or operation by operation
   * @param precision what a compiled encoder computes in; results are float32 always
   * @return this encoder
   * @throws IllegalArgumentException if they do not go together, as for {@link UNet#runAs}
   * @throws IllegalStateException if the encoder is closed
   */
  public TextEncoder runAs(UNet.Execution execution, UNet.Precision precision) {
    weighted.runAs(execution, precision);
    return this;
  }

  /**
   * Changes what the weights are held in, as {@link UNet#hold} does: in 16 bits they take half the
   * memory, and the encoder is for use alone.
   *
   * @param precision {@link UNet.Precision#FLOAT32}, {@link UNet.Precision#BFLOAT16} or {@link
   *     UNet.Precision#FLOAT16}
   * @return this encoder
   * @throws IllegalArgumentException as for {@link UNet#hold}
   * @throws IllegalStateException if the encoder is closed
   */
  public TextEncoder hold(UNet.Precision precision) {
    weighted.hold(precision);
    return this;
  }

  /** Checks that it can be written, before anything is. */
  void requireWritable(DataType type) {
    try (Usage.Hold hold = weighted.reading()) {
      Map<String, NDArray> weights = weighted.weights();
      FiniteWeights.require(weights, "load the text encoder anew");
      Safetensors.requireWritable(weights, type);
    }
  }

  /** Writes configuration and weights as transformers have them into a folder that is made. */
  void write(Path folder, DataType type) throws IOException {
    try (Usage.Hold hold = weighted.reading()) {
      Safetensors.write(
          folder.resolve(PartFolder.WRITTEN), weighted.weights(), Map.of("format", "pt"), type);
      WholeFile.writeText(folder.resolve(PartFolder.CONFIG), JsonFile.text(config.words()));
    }
  }

  /** The library that has the encoder, and its class there. */
  List<String> of() {
    return List.of(config.family().library, config.family().type);
  }

  /** Frees the weights, once the encodings that have begun are done. */
  @Override
  public void close() {
    weighted.close();
  }
}
