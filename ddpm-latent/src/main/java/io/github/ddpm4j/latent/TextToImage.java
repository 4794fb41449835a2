package io.github.ddpm4j.latent;

import ai.djl.Device;
import io.github.ddpm4j.internal.hub.Hub;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A published model that draws what a text says, from its folder of diffusers: latent diffusion's
 * text-to-image model (LDMTextToImagePipeline) and Stable Diffusion 1.x and 2.x
 * (StableDiffusionPipeline, and StableDiffusionInpaintPipeline, whose network also sees what is
 * known of a picture).
 *
 * <pre>{@code
 * try (TextToImage model = TextToImage.load(Path.of("ldm-text2im-large-256"));
 *     Samples pictures = model.prompt("An image of a cat laughing").guidance(6).generate(1)) {
 *   pictures.save(0, Path.of("cat.png"));
 * }
 * }</pre>
 *
 * <p>The folder's {@code safety_checker}, which blanks pictures afterwards, is left out.
 *
 * <p>It owns its networks, float32, which {@link #close()} frees. Thread-safe.
 */
public final class TextToImage implements AutoCloseable {

  private final LatentDiffusion latent;
  private final Tokenizer tokenizer;
  private final TextEncoder encoder;

  private TextToImage(LatentDiffusion latent, Tokenizer tokenizer, TextEncoder encoder) {
    this.latent = latent;
    this.tokenizer = tokenizer;
    this.encoder = encoder;
  }

  /**
   * Loads a model onto the engine's default device.
   *
   * @param folder a folder with {@code model_index.json} and the parts that it names
   * @return the model; the caller closes it
   * @throws java.nio.file.NoSuchFileException if it is no such folder or a part is missing
   * @throws IOException if reading fails, a part is damaged or does not go with the others, or the
   *     pipeline is another, such as Stable Diffusion XL; the message names it
   */
  public static TextToImage load(Path folder) throws IOException {
    return load(folder, Machine.device(null));
  }

  /**
   * Loads a model onto a device.
   *
   * @param folder as for {@link #load(Path)}
   * @param device where to put the weights
   * @return the model; the caller closes it
   * @throws java.nio.file.NoSuchFileException as for {@link #load(Path)}
   * @throws IOException as for {@link #load(Path)}
   */
  public static TextToImage load(Path folder, Device device) throws IOException {
    return load(folder, device, LatentDiffusion.nameOf(folder));
  }

  /**
   * Loads a model by its name from the cache of Hugging Face on this machine, where {@link
   * #download} and Python's tools leave what they download, onto the engine's default device.
   * Nothing is downloaded here.
   *
   * @param id the name, such as {@code CompVis/ldm-text2im-large-256}
   * @return the model; the caller closes it
   * @throws IllegalArgumentException if it is no name
   * @throws java.nio.file.NoSuchFileException if it is not there, saying how to get it
   * @throws IOException as for {@link #load(Path)}
   */
  public static TextToImage load(String id) throws IOException {
    return load(Hub.ofEnvironment(), id);
  }

  static TextToImage load(Hub hub, String id) throws IOException {
    Objects.requireNonNull(id, "id");
    return load(hub.snapshot(id, "main"), Machine.device(null), id);
  }

  /**
   * Downloads a model from Hugging Face's hub into its cache on this machine, as {@link
   * Pretrained#download(String, String, Pretrained.Progress)} does: the files of all parts that are
   * read here, and not the safety checker.
   *
   * @param id the name, such as {@code CompVis/ldm-text2im-large-256}
   * @param revision a branch such as {@code main}, a tag or a commit
   * @param progress hears how far it is
   * @return the folder, for {@link #load(Path)}
   * @throws IllegalArgumentException as there
   * @throws java.nio.file.NoSuchFileException as there
   * @throws java.nio.file.AccessDeniedException as there
   * @throws java.io.InterruptedIOException as there
   * @throws IOException as there
   */
  public static Path download(String id, String revision, Pretrained.Progress progress)
      throws IOException {
    Objects.requireNonNull(progress, "progress");
    return Hub.ofEnvironment()
        .download(
            Objects.requireNonNull(id, "id"),
            Objects.requireNonNull(revision, "revision"),
            List.of("unet", "scheduler", "vae", "vqvae", "tokenizer", "text_encoder", "bert"),
            progress::downloaded);
  }

  private static TextToImage load(Path folder, Device device, String name) throws IOException {
    Objects.requireNonNull(device, "device");
    Pipeline pipeline = Pipeline.read(folder, true);
    Tokenizer tokenizer = pipeline.load("tokenizer", Tokenizer::load);
    String part = pipeline.type().textEncoder;
    TextEncoder encoder = pipeline.load(part, of -> TextEncoder.load(of, device));
    @Nullable LatentDiffusion latent = null;
    boolean done = false;
    try {
      latent = LatentDiffusion.of(pipeline, device, name);
      requireFit(pipeline, tokenizer, encoder, latent.network());
      TextToImage model = new TextToImage(latent, tokenizer, encoder);
      done = true;
      return model;
    } finally {
      if (!done) {
        encoder.close();
        if (latent != null) {
          latent.close();
        }
      }
    }
  }

  private static void requireFit(
      Pipeline pipeline, Tokenizer tokenizer, TextEncoder encoder, UNet unet) throws IOException {
    Path of = pipeline.part(pipeline.type().textEncoder);
    int width = unet.config().contextCondition();
    if (width != encoder.width()) {
      throw new IOException(
          of
              + " makes tokens of "
              + encoder.width()
              + " numbers, but "
              + pipeline.part("unet")
              + " attends to those of "
              + width
              + ": they are not of one model");
    }
    int last =
        Math.max(tokenizer.startToken(), Math.max(tokenizer.endToken(), tokenizer.padToken()));
    if (last >= encoder.vocabulary() || tokenizer.length() > encoder.positions()) {
      throw new IOException(
          pipeline.part("tokenizer")
              + " makes prompts of "
              + tokenizer.length()
              + " tokens with numbers up to at least "
              + last
              + ", but "
              + of
              + " takes "
              + encoder.positions()
              + " in [0, "
              + encoder.vocabulary()
              + "): they are not of one model");
    }
  }

  /**
   * Sets up what is drawn.
   *
   * @param prompts what the pictures show, one text or several
   * @return a request that can be set up further
   * @throws IllegalArgumentException if there is no text
   */
  public Drawing prompt(String... prompts) {
    return new Drawing(latent, this).prompt(prompts);
  }

  /**
   * The model without its text. It belongs to this object.
   *
   * @return the diffusion model of latents and its autoencoder
   */
  public LatentDiffusion latentDiffusion() {
    return latent;
  }

  /**
   * What makes tokens of texts.
   *
   * @return the tokenizer
   */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /**
   * What makes contexts of tokens. It belongs to this object.
   *
   * @return the text encoder
   */
  public TextEncoder textEncoder() {
    return encoder;
  }

  /**
   * The sampler that the files suggest.
   *
   * @param steps the number of steps, at least 1
   * @return the sampler
   * @throws IllegalArgumentException if the sampler cannot have so many steps
   */
  public Sampler sampler(int steps) {
    return latent.sampler(steps);
  }

  /**
   * Changes execution mode and precision of all networks. Runs that have begun go on as they were.
   *
   * @param execution compiled or operation by operation
   * @param precision what compiled networks compute in; results are float32 always
   * @return this model
   * @throws IllegalArgumentException if they do not go together, as for {@link UNet#runAs}
   * @throws IllegalStateException if the model is closed
   */
  public TextToImage runAs(UNet.Execution execution, UNet.Precision precision) {
    encoder.runAs(execution, precision);
    latent.runAs(execution, precision);
    return this;
  }

  @Override
  public String toString() {
    return "TextToImage[" + latent.type().name + " " + latent.name() + "]";
  }

  /** Frees all networks, once what has begun is done. Close runs before. */
  @Override
  public void close() {
    latent.close();
    encoder.close();
  }
}
