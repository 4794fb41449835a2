package io.github.ddpm4j.internal.hub;

import java.util.List;

/**
 * How files of weights are called in published folders, in the order in which one is looked for.
 */
public final class WeightNames {

  /** What is behind the name of a file that says which others hold the weights. */
  static final String INDEX_SUFFIX = ".index.json";

  private static final String DIFFUSERS = "diffusion_pytorch_model";
  private static final String TRANSFORMERS = "model";
  private static final String PICKLED_TRANSFORMERS = "pytorch_model";
  private static final String PICKLED = ".bin";

  /** Names without what is behind them. */
  static final List<String> STEMS = List.of(DIFFUSERS, TRANSFORMERS, PICKLED_TRANSFORMERS);

  /** What is behind them; the first that is there is read. */
  static final List<String> FORMS =
      List.of(".safetensors", ".safetensors" + INDEX_SUFFIX, ".fp16.safetensors", PICKLED);

  private WeightNames() {}

  /**
   * Those of diffusers.
   *
   * @return the names
   */
  public static List<String> ofDiffusers() {
    return FORMS.stream().map(form -> DIFFUSERS + form).toList();
  }

  /**
   * Those of transformers.
   *
   * @return the names
   */
  public static List<String> ofTransformers() {
    return FORMS.stream()
        .map(form -> (form.equals(PICKLED) ? PICKLED_TRANSFORMERS : TRANSFORMERS) + form)
        .toList();
  }
}
