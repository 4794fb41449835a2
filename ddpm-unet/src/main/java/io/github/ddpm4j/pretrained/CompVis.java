package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.TensorInfo;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.UNetLayout;
import io.github.ddpm4j.unet.UNetLayout.Embedding;
import io.github.ddpm4j.unet.UNetLayout.Transformers;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntFunction;

/**
 * The networks with a context of CompVis/latent-diffusion and CompVis/stable-diffusion, in the
 * single files that they come in: the names are those of {@link OpenAi}, with transformers where it
 * has attention. Averages lie beside them under names without dots.
 */
final class CompVis implements UNetFamily {

  /** The tokens of OpenCLIP, of Stable Diffusion 2, of which some networks predict the velocity. */
  private static final int OPEN_CLIP = 1024;

  private static final int STEPS = 50;
  private static final String MIDDLE = "middle_block.1";
  private static final String WRAPPER = "model.";
  private static final String NETWORK = "diffusion_model.";
  private static final String AVERAGES = "model_ema.";

  private final OpenAi grammar = new OpenAi();

  /** Whether a network of such names has transformers. */
  static boolean seesContext(Collection<String> names) {
    return names.stream().anyMatch(name -> name.contains(".transformer_blocks."));
  }

  @Override
  public String title() {
    return "latent or stable diffusion (CompVis)";
  }

  @Override
  public String signature() {
    return grammar.signature();
  }

  @Override
  public UNetConfig config(PeerShapes shapes, Given given) throws IOException {
    return grammar.config(shapes, given);
  }

  @Override
  public NameTable table(UNetConfig config, PeerShapes shapes, Given given) {
    return grammar.table(config, shapes, given);
  }

  /** The channels of the tokens of the context. */
  static int contextChannels(PeerShapes shapes) throws IOException {
    return shapes.size(MIDDLE + ".transformer_blocks.0.attn2.to_k.weight", 1);
  }

  /**
   * A layout with the transformers that shapes tell.
   *
   * @param attention the levels with attention
   * @param first the name of the first block of a level
   */
  static UNetLayout layout(
      UNetLayout layout, PeerShapes shapes, int levels, int[] attention, IntFunction<String> first)
      throws IOException {
    Integer[] depths = new Integer[levels];
    Arrays.fill(depths, depth(shapes, MIDDLE));
    List<Integer> contextOnly = new ArrayList<>();
    for (int level : attention) {
      String block = first.apply(level) + ".1";
      depths[level] = depth(shapes, block);
      String keys = block + ".transformer_blocks.0.attn1.to_k.weight";
      if (shapes.size(keys, 0) != shapes.size(keys, 1)) {
        contextOnly.add(level);
      }
    }
    boolean plain = Arrays.stream(depths).allMatch(depth -> depth == 1);
    Shape projection = shapes.shapes().getOrDefault(MIDDLE + ".proj_in.weight", new Shape());
    Embedding own = layout.embedding();
    return layout
        .with(
            new Transformers(
                plain ? List.of() : List.of(depths),
                projection.dimension() == 2,
                contextOnly,
                layout.transformers().middleBlocks()))
        .with(
            new Embedding(
                own.width(),
                own.hidden(),
                own.activation(),
                own.frequencies(),
                own.classPlace(),
                !shapes.has("label_emb.weight")));
  }

  private static int depth(PeerShapes shapes, String block) {
    return shapes.count(i -> block + ".transformer_blocks." + i + ".");
  }

  @Override
  public Facts facts(TensorSource file, String prefix, Given given) throws IOException {
    Schedule schedule = given.options().schedule;
    TensorSource buffers = file.under(outer(prefix));
    if (schedule == null && TrainerBuffers.areIn(buffers)) {
      schedule = TrainerBuffers.schedule(buffers);
    }
    if (schedule == null) {
      schedule = Schedules.scaledLinear(1000);
      given.assume("the schedule of Stable Diffusion, since the file has none");
    }
    Prediction prediction = given.options().prediction;
    if (prediction == null && !isOpenClip(file, prefix)) {
      prediction = Prediction.EPSILON;
      given.assume("prediction EPSILON, as of all networks but some of Stable Diffusion 2");
    }
    int timesteps = schedule.timesteps();
    return new Facts(
        schedule,
        prediction,
        null,
        DataRange.DEFAULT,
        false,
        null,
        steps ->
            Samplers.ddim(steps)
                .timesteps(SuggestedSampler.shifted(timesteps, steps, 1))
                .endAtFirstTimestep(true),
        STEPS);
  }

  /** What the names of a whole model begin with, from that of its network. */
  private static String outer(String prefix) {
    return prefix.endsWith(WRAPPER + NETWORK)
        ? prefix.substring(0, prefix.length() - (WRAPPER + NETWORK).length())
        : "";
  }

  private static boolean isOpenClip(TensorSource file, String prefix) {
    TensorInfo keys =
        file.tensors().get(prefix + MIDDLE + ".transformer_blocks.0.attn2.to_k.weight");
    return keys != null && keys.shape().dimension() > 1 && keys.shape().get(1) == OPEN_CLIP;
  }

  /**
   * The averages of a network, under its names; empty if the file does not hold those of all
   * weights.
   *
   * @param whole the file
   * @param prefix what the names of the network begin with
   */
  static Optional<TensorSource> averages(TensorSource whole, String prefix) {
    if (!prefix.endsWith(WRAPPER + NETWORK)) {
      return Optional.empty();
    }
    String outer = outer(prefix);
    Map<String, String> names = new LinkedHashMap<>();
    for (String name : whole.under(prefix).tensors().keySet()) {
      names.put(name, outer + AVERAGES + (NETWORK + name).replace(".", ""));
    }
    return whole.tensors().keySet().containsAll(names.values())
        ? Optional.of(new RenamedTensors(whole, names))
        : Optional.empty();
  }
}
