package io.github.ddpm4j.serving;

import ai.djl.Model;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.modality.cv.Image;
import ai.djl.ndarray.NDList;
import ai.djl.nn.Block;
import ai.djl.nn.BlockFactory;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorFactory;
import ai.djl.util.Pair;
import java.io.IOException;
import java.lang.reflect.Type;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;

/**
 * Lets DJL load a model folder, or a folder of diffusers, as a model that draws: by {@link
 * ai.djl.repository.zoo.Criteria}, and so by DJL Serving. A file {@code serving.properties} in the
 * folder names this class:
 *
 * <pre>
 * engine=PyTorch
 * blockFactory=io.github.ddpm4j.serving.ServingFactory
 * translatorFactory=io.github.ddpm4j.serving.ServingFactory
 * option.hasParameter=false
 * </pre>
 *
 * <p>The input is an {@link Input} with what is wanted, as parameters or as one object of JSON; all
 * may be missing:
 *
 * <ul>
 *   <li>{@code seed}: a whole number; drawn if missing. The same seed gives the same pictures as
 *       {@code ddpm.sampling().seed(seed)}, bit by bit.
 *   <li>{@code count}: how many pictures, 1 if missing
 *   <li>{@code steps}: calls of the network. If missing, those of {@code ddpm.sampling()}, or of
 *       the sampler that diffusers' files suggest; otherwise DDIM with so many, or that sampler.
 *   <li>{@code label}: a class, by its number or its name
 * </ul>
 *
 * <p>The output is one of
 *
 * <ul>
 *   <li>{@link Output}: a PNG file, of several pictures in a grid, and the property {@code seed}
 *   <li>{@code Image[]}: the pictures
 *   <li>{@link NDList}: one array (count, C, H, W), float32, in the model's data range; it belongs
 *       to the caller
 * </ul>
 *
 * <p>For the latter two, Criteria must have the argument {@code translatorFactory}, too: DJL
 * chooses by types before it reads the file.
 *
 * <p>Two further lines of {@code serving.properties}, or arguments of Criteria, are {@code steps}
 * for requests that say none, and {@code maxCount}, the most pictures of a request, by default
 * {@value #DEFAULT_MAX_COUNT}.
 *
 * <p>Closing the {@link ai.djl.repository.zoo.ZooModel} frees the network. Many predictors may use
 * it at once.
 */
public final class ServingFactory implements BlockFactory, TranslatorFactory {

  /** The most pictures of a request: {@value}. */
  public static final int DEFAULT_MAX_COUNT = 64;

  private static final long serialVersionUID = 1;

  private static final Set<Pair<Type, Type>> TYPES =
      Set.of(
          new Pair<>(Input.class, Output.class),
          new Pair<>(Input.class, Image[].class),
          new Pair<>(Input.class, NDList.class));

  /** Made by DJL, by its name. */
  public ServingFactory() {}

  /**
   * Loads the folder onto the device of the model, which frees it.
   *
   * @throws IOException if it is no model, as by {@link io.github.ddpm4j.DDPM#load} or {@link
   *     io.github.ddpm4j.pretrained.Pretrained#load}
   */
  @Override
  public Block newBlock(Model model, Path modelPath, Map<String, ?> arguments) throws IOException {
    DrawingBlock block = DrawingBlock.load(modelPath, model.getNDManager().getDevice());
    try {
      model.getNDManager().attachInternal("ddpm4j", block);
    } catch (RuntimeException e) {
      block.close();
      throw e;
    }
    return block;
  }

  @Override
  public Set<Pair<Type, Type>> getSupportedTypes() {
    return TYPES;
  }

  /**
   * Makes a translator for a model of {@link #newBlock}.
   *
   * @throws IllegalArgumentException if the model is another one, the types are not supported, or
   *     an argument has a value that makes no sense
   */
  @Override
  @SuppressWarnings("unchecked")
  public <I, O> Translator<I, O> newInstance(
      Class<I> input, Class<O> output, Model model, Map<String, ?> arguments) {
    if (!isSupported(input, output)) {
      throw new IllegalArgumentException(
          "a model that draws takes Input and gives Output, Image[] or NDList, but "
              + input.getSimpleName()
              + " and "
              + output.getSimpleName()
              + " were asked for; change Criteria's setTypes");
    }
    if (!(model.getBlock() instanceof DrawingBlock block)) {
      throw new IllegalArgumentException(
          "the model was not loaded by "
              + ServingFactory.class.getName()
              + "; name it as blockFactory, too");
    }
    return (Translator<I, O>)
        new DrawingTranslator<>(block, DrawingRequest.Defaults.of(arguments), output);
  }
}
