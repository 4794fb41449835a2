package io.github.ddpm4j.web;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.latent.Drawing;
import io.github.ddpm4j.latent.LatentDiffusion;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A pipeline of latents, by a text, by classes or of one kind. Its runs show a pixel for each
 * latent on the way.
 *
 * @param latent the network of latents and the autoencoder
 * @param text what reads prompts; null if there are none
 */
record LatentModel(LatentDiffusion latent, @Nullable TextToImage text)
    implements PageModel, AutoCloseable {

  /** The file that names the parts. */
  private static final String INDEX = "model_index.json";

  private static final double GUIDANCE = 7.5;
  private static final Duration PATIENCE = Duration.ofHours(1);

  /** Whether a folder is a pipeline. */
  static boolean isIn(Path folder) {
    return Files.isRegularFile(folder.resolve(INDEX));
  }

  /** Loads a pipeline, with its text encoder where it has one. */
  static LatentModel load(Path folder) throws IOException {
    return JsonFile.read(folder.resolve(INDEX)).containsKey("tokenizer")
        ? of(TextToImage.load(folder))
        : new LatentModel(LatentDiffusion.load(folder), null);
  }

  static LatentModel of(TextToImage text) {
    return new LatentModel(text.latentDiffusion(), text);
  }

  @Override
  public DDPM ddpm() {
    return latent.ddpm();
  }

  @Override
  public Shape shape() {
    Shape latents = PixelModel.shape(latent.ddpm());
    int factor = latent.autoencoder().factor();
    return new Shape(3, factor * latents.get(1), factor * latents.get(2));
  }

  @Override
  public DataRange range() {
    return DataRange.DEFAULT;
  }

  @Override
  public boolean takesText() {
    return text != null;
  }

  @Override
  public double usualGuidance() {
    return text == null ? PixelModel.GUIDANCE : GUIDANCE;
  }

  @Override
  public Duration patience() {
    return PATIENCE;
  }

  @Override
  public boolean showsPictures() {
    return false;
  }

  @Override
  public NDArray shown(NDArray estimate) {
    return latent.preview(estimate);
  }

  @Override
  public SamplingRun start(Sampling sampling, DrawRequest asked, Sampler sampler) {
    return set(asked, sampler).start(asked.count());
  }

  /** The run has latents of the picture and nothing of it itself. */
  @Override
  public SamplingRun startFilling(
      Sampling sampling,
      DrawRequest asked,
      Sampler sampler,
      float[] picture,
      float[] kept,
      NDManager arrays) {
    Shape shape = shape();
    try (NDArray known = Upload.floats(arrays, picture, new Shape(1).addAll(shape));
        NDArray mask = Upload.floats(arrays, kept, new Shape(1, 1, shape.get(1), shape.get(2)))) {
      return set(asked, sampler).startInpainting(known, mask);
    }
  }

  private Drawing set(DrawRequest asked, Sampler sampler) {
    Drawing drawing = text == null ? latent.drawing() : text.prompt(asked.prompt());
    // As many at a time as programs draw: a call of all could take all memory.
    drawing.sampler(sampler).seed(asked.seed());
    if (text == null && asked.prompt().isBlank()) {
      return drawing;
    }
    return (text == null ? drawing.labels(label(asked.prompt())) : drawing)
        .guidance(asked.guidance());
  }

  /** The number of a class that the page offers. */
  private int label(String prompt) {
    List<String> classes = ModelList.classes(latent.ddpm());
    if (classes.isEmpty()) {
      throw new RefusalException(400, "the model takes no prompt");
    }
    int label = classes.indexOf(prompt.strip());
    if (label < 0) {
      throw new RefusalException(
          400, "the prompt must be one of " + classes + ", the classes of the model");
    }
    return label;
  }

  @Override
  public void close() {
    if (text != null) {
      text.close();
    } else {
      latent.close();
    }
  }
}
