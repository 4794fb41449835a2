package io.github.ddpm4j.latent;

import ai.djl.Device;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorInfo;
import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A whole pipeline in one file, as CompVis and Stability AI published Stable Diffusion 1.x and 2.x:
 * network, autoencoder and text encoder, but neither their configurations nor the words of the
 * tokenizer, which come from elsewhere.
 *
 * @param file the file
 * @param root what all names begin with: {@code state_dict.} in checkpoints, or nothing
 * @param type the class of the pipeline
 * @param openClip whether the text encoder is OpenCLIP's, of 2.x
 * @param words the folder of the tokenizer
 * @param configuration the folder that describes the parts; null for those of Stable Diffusion
 */
record SingleFile(
    Path file,
    String root,
    Pipeline.Type type,
    boolean openClip,
    Path words,
    @Nullable Path configuration)
    implements PipelineParts {

  private static final String NETWORK = "model.diffusion_model.";

  private static final String ROOT = "state_dict.";
  private static final String AUTOENCODER = "first_stage_model.";
  private static final String CLIP = "cond_stage_model.transformer.";
  private static final String OPEN_CLIP = "cond_stage_model.model.";

  /** The file that says what OpenCLIP's prompts are filled up with. */
  private static final String SPECIAL = "special_tokens_map.json";

  /** Files that are known and not loaded, by a part of a name in them, the first that fits. */
  private static final String[][] OTHERS = {
    {"lora_up.", "a LoRA, which is added to a model"},
    {"lora_down.", "a LoRA, which is added to a model"},
    {"lora_A.", "a LoRA, which is added to a model"},
    {"conditioner.embedders.", "of Stable Diffusion XL, with two text encoders"},
    {"joint_blocks.", "with a transformer that is trained by flow matching"},
    {"double_blocks.", "with a transformer that is trained by flow matching"},
    {"control_model.", "with a second network that sees another picture (ControlNet)"},
    {"input_hint_block.", "with a second network that sees another picture (ControlNet)"},
    {"controlnet_cond_embedding.", "with a second network that sees another picture (ControlNet)"},
    {"motion_modules.", "with layers that draw films"},
    {"cond_proj.", "for distilled networks (latent consistency models)"},
    {".label_emb.", "whose network sees something beside text and timestep"},
    {"cond_stage_model.transformer.token_emb.", "of latent diffusion, with LDMBert"},
    {"first_stage_model.quantize.", "of latent diffusion, with a book of codes"},
  };

  /** Networks that see a picture in another way, by the channels that they see. */
  private static String beside(long channels) {
    return switch ((int) channels) {
      case 5 -> "whose network sees a map of depths";
      case 7 -> "whose network sees a small picture";
      case 8 -> "whose network sees the picture that is changed";
      default -> "whose network sees " + channels + " channels";
    };
  }

  /**
   * Looks into a file. No weight is read yet.
   *
   * @param tokenizer a folder of a tokenizer; null for that in the configuration
   * @param configuration a folder of diffusers; null for Stable Diffusion as published
   */
  static SingleFile open(Path file, @Nullable Path tokenizer, @Nullable Path configuration)
      throws IOException {
    if (configuration != null) {
      requireScheduler(configuration.resolve(Pipeline.SCHEDULER));
    }
    try (TensorSource whole = TensorFiles.open(file)) {
      String root = has(whole.tensors().keySet(), ROOT) ? ROOT : "";
      TensorSource source = whole.under(root);
      Set<String> names = source.tensors().keySet();
      for (String[] other : OTHERS) {
        if (names.stream().anyMatch(name -> name.contains(other[0]))) {
          throw unsupported(file, other[1]);
        }
      }
      boolean openClip = has(names, OPEN_CLIP);
      require(file, names, NETWORK, "network");
      require(file, names, AUTOENCODER, "autoencoder");
      require(file, names, openClip ? OPEN_CLIP : CLIP, "text encoder");
      long channels = channels(source);
      if (channels != 4 && channels != 9) {
        throw unsupported(file, beside(channels));
      }
      return new SingleFile(
          file,
          root,
          channels == 4 ? Pipeline.Type.STABLE : Pipeline.Type.STABLE_INPAINT,
          openClip,
          words(file, openClip, tokenizer, configuration),
          configuration);
    }
  }

  private static void requireScheduler(Path scheduler) throws IOException {
    if (!Files.isRegularFile(scheduler)) {
      throw new NoSuchFileException(
          scheduler.toString(),
          null,
          "this file is missing, which says the noise schedule; get the whole folder of the"
              + " configuration");
    }
  }

  private static boolean has(Set<String> names, String prefix) {
    return names.stream().anyMatch(name -> name.startsWith(prefix));
  }

  private static void require(Path file, Set<String> names, String prefix, String part)
      throws IOException {
    if (!has(names, prefix)) {
      throw new IOException(
          file
              + " is no whole pipeline of Stable Diffusion: it has no "
              + part
              + ", whose names begin with "
              + prefix
              + "; a network alone is loaded by Pretrained.load(file), and a folder of diffusers by"
              + " TextToImage.load(folder)");
    }
  }

  private static IOException unsupported(Path file, String meaning) {
    return new IOException(file + " is " + meaning + ", which this version does not load");
  }

  private static long channels(TensorSource source) throws IOException {
    String first = NETWORK + "input_blocks.0.0.weight";
    TensorInfo info = source.tensors().get(first);
    Shape shape = info == null ? new Shape() : info.shape();
    if (shape.dimension() != 4) {
      throw new IOException(
          source.about(first) + " must be a convolution, which every such network begins with");
    }
    return shape.get(1);
  }

  private static Path words(
      Path file, boolean openClip, @Nullable Path tokenizer, @Nullable Path configuration)
      throws IOException {
    if (tokenizer == null) {
      if (configuration == null) {
        throw new IOException(
            file
                + " does not hold the words of its tokenizer: call"
                + " TextToImage.options().tokenizer(folder) with a folder that has vocab.json and"
                + " merges.txt of CLIP");
      }
      return configuration.resolve("tokenizer");
    }
    if (openClip && configuration == null && !Files.isRegularFile(tokenizer.resolve(SPECIAL))) {
      throw new NoSuchFileException(
          tokenizer.resolve(SPECIAL).toString(),
          null,
          "this file is missing, which says that Stable Diffusion 2 fills up prompts with \"!\","
              + " where 1 takes <|endoftext|>");
    }
    return tokenizer;
  }

  /** What the names of the network begin with. */
  String networkPrefix() {
    return root + NETWORK;
  }

  @Override
  public Path network() {
    return file;
  }

  @Override
  public String part(String name) {
    return name.equals("tokenizer") ? words.toString() : file + ", " + name;
  }

  @Override
  public @Nullable Path scheduler() {
    return configuration == null ? null : configuration.resolve(Pipeline.SCHEDULER);
  }

  @Override
  public Tokenizer tokenizer() throws IOException {
    return load("tokenizer", () -> Tokenizer.load(words));
  }

  @Override
  public TextEncoder textEncoder(Device device, Kept kept) throws IOException {
    String prefix = root + (openClip ? OPEN_CLIP : CLIP);
    Path described = configuration;
    try (TensorSource source = TensorFiles.open(file)) {
      TextConfig config =
          described != null
              ? TextConfig.read(
                  PartFolder.ofTransformers(described.resolve("text_encoder")).config())
              : openClip ? TextConfig.stableDiffusion2() : TextConfig.stableDiffusion1();
      return TextEncoder.ofCompVis(
          config,
          source.under(prefix),
          below(prefix),
          openClip,
          Objects.requireNonNull(device),
          kept);
    }
  }

  @Override
  public Autoencoder autoencoder(Device device, Kept kept) throws IOException {
    Path described = configuration;
    String prefix = root + AUTOENCODER;
    try (TensorSource source = TensorFiles.open(file)) {
      AutoencoderConfig config =
          described != null
              ? AutoencoderConfig.read(PartFolder.ofDiffusers(described.resolve("vae")).config())
              : AutoencoderConfig.stableDiffusion();
      return Autoencoder.ofCompVis(
          config, source.under(prefix), below(prefix), Objects.requireNonNull(device), kept);
    }
  }

  private String below(String prefix) {
    return file
        + ", below \""
        + prefix
        + "\""
        + (configuration == null
            ? ", taken for Stable Diffusion "
                + (openClip ? 2 : 1)
                + ".x, since configuration(folder) was not called,"
            : "");
  }
}
