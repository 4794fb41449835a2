package io.github.ddpm4j.latent;

import ai.djl.Device;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The {@code model_index.json} of a folder of diffusers: which pipeline it is for, and the parts.
 *
 * @param folder the folder
 * @param type the class of the pipeline
 */
record Pipeline(Path folder, Type type) implements PipelineParts {

  private static final Logger logger = LoggerFactory.getLogger(LatentDiffusion.class);

  static final String INDEX = "model_index.json";

  /** Where a folder says schedule and sampler. */
  static final String SCHEDULER = "scheduler/scheduler_config.json";

  private static final String CLASS = "_class_name";
  private static final List<String> TOKENIZERS =
      List.of("CLIPTokenizer", "CLIPTokenizerFast", "BertTokenizer", "BertTokenizerFast");
  private static final List<String> AUTOENCODERS = List.of("AutoencoderKL", "VQModel");
  private static final List<String> CONDITIONAL = List.of("UNet2DConditionModel");

  /** Parts that change no picture, or blank it afterwards. */
  private static final List<String> IGNORED =
      List.of("safety_checker", "feature_extractor", "image_encoder");

  /** Pipelines that are known and not loaded, by a word of their names, the first that fits. */
  private static final String[][] OTHERS = {
    {"StableDiffusionXL", "of Stable Diffusion XL, with two text encoders"},
    {"ControlNet", "with a second network that sees another picture"},
    {"T2IAdapter", "with a second network that sees another picture"},
    {"LatentConsistency", "for distilled networks"},
    {"StableDiffusion3", "with a transformer that is trained by flow matching"},
    {"Flux", "with a transformer that is trained by flow matching"},
    {"PixArt", "with a transformer in place of the U-Net"},
    {"DiT", "with a transformer in place of the U-Net"},
    {"Kandinsky", "with a prior over embeddings of pictures"},
    {"UnCLIP", "with a prior over embeddings of pictures"},
    {"Upscale", "whose network sees a small picture"},
    {"Depth2Img", "whose network sees a map of depths"},
    {"InstructPix2Pix", "whose network sees the picture that is changed"},
    {"SuperResolution", "whose network sees a small picture"},
    {"DDPMPipeline", "whose network works on pixels and is loaded by Pretrained.load(folder)"},
    {"DDIMPipeline", "whose network works on pixels and is loaded by Pretrained.load(folder)"},
    {"PNDMPipeline", "whose network works on pixels and is loaded by Pretrained.load(folder)"},
  };

  /** The classes of pipelines that are loaded. */
  enum Type {
    LDM("LDMPipeline", "vqvae", "", 1),
    LDM_TEXT("LDMTextToImagePipeline", "vqvae", "bert", 1),
    STABLE("StableDiffusionPipeline", "vae", "text_encoder", 7.5),
    STABLE_FROM_IMAGE("StableDiffusionImg2ImgPipeline", "vae", "text_encoder", 7.5),
    STABLE_INPAINT("StableDiffusionInpaintPipeline", "vae", "text_encoder", 7.5);

    final String name;
    final String autoencoder;

    /** Empty without text. */
    final String textEncoder;

    /** The scale of guidance that diffusers takes unless told otherwise. */
    final double guidance;

    Type(String name, String autoencoder, String textEncoder, double guidance) {
      this.name = name;
      this.autoencoder = autoencoder;
      this.textEncoder = textEncoder;
      this.guidance = guidance;
    }

    boolean hasText() {
      return !textEncoder.isEmpty();
    }

    /** The classes that each part may be of. */
    Map<String, List<String>> parts() {
      Map<String, List<String>> parts = new LinkedHashMap<>();
      parts.put("unet", hasText() ? CONDITIONAL : List.of("UNet2DModel"));
      parts.put(autoencoder, AUTOENCODERS);
      if (hasText()) {
        parts.put("tokenizer", TOKENIZERS);
        parts.put(textEncoder, List.of("CLIPTextModel", "LDMBertModel"));
      }
      return parts;
    }
  }

  /**
   * Reads and checks a folder.
   *
   * @param folder the folder
   * @param text whether it must be of a pipeline with text, or of one without
   */
  static Pipeline read(Path folder, boolean text) throws IOException {
    Path index = Objects.requireNonNull(folder, "folder").resolve(INDEX);
    if (!Files.isRegularFile(index)) {
      throw new NoSuchFileException(
          folder.toString(),
          null,
          "no folder of a pipeline of diffusers: it has no "
              + INDEX
              + "; the folder of one part is none");
    }
    ConfigFile config = ConfigFile.read(index);
    Type type = type(config);
    if (type.hasText() != text) {
      throw new IOException(
          folder
              + " is a "
              + type.name
              + (text
                  ? ", which draws without a text: load it by LatentDiffusion.load(folder)"
                  : ", which draws what a text says: load it by TextToImage.load(folder)"));
    }
    requireParts(folder, config, type, JsonFile.read(index));
    return new Pipeline(folder, type);
  }

  private static Type type(ConfigFile config) throws IOException {
    String name = config.text(CLASS, "");
    for (Type type : Type.values()) {
      if (type.name.equals(name)) {
        return type;
      }
    }
    for (String[] other : OTHERS) {
      if (name.contains(other[0])) {
        throw config.unsupported(CLASS, other[1]);
      }
    }
    throw config.unsupported(CLASS, "a pipeline that is not known");
  }

  private static void requireParts(
      Path folder, ConfigFile config, Type type, Map<String, @Nullable Object> index)
      throws IOException {
    Map<String, List<String>> parts = type.parts();
    for (Map.Entry<String, List<String>> part : parts.entrySet()) {
      String own = partClass(config, index, part.getKey());
      if (!part.getValue().contains(own)) {
        throw config.refused(
            part.getKey(), "a part of the class " + String.join(" or ", part.getValue()));
      }
    }
    for (String key : index.keySet()) {
      if (parts.containsKey(key) || key.equals("scheduler") || !(index.get(key) instanceof List)) {
        continue;
      }
      String other = partClass(config, index, key);
      if (!other.isEmpty() && !IGNORED.contains(key)) {
        throw config.unsupported(key, "a part that " + type.name + " has not here");
      }
      if (!other.isEmpty()) {
        logger.info("{}: {} is left out, which changes no picture", folder, key);
      }
    }
    for (String part : parts.keySet()) {
      requireFolder(folder, type, part);
    }
    requireFolder(folder, type, "scheduler");
    Path scheduler = folder.resolve(SCHEDULER);
    if (!Files.isRegularFile(scheduler)) {
      throw new NoSuchFileException(
          scheduler.toString(),
          null,
          "this file is missing, which says the noise schedule that the model was trained with");
    }
  }

  private static void requireFolder(Path folder, Type type, String part) throws IOException {
    if (!Files.isDirectory(folder.resolve(part))) {
      throw new NoSuchFileException(
          folder.resolve(part).toString(),
          null,
          "this part of "
              + type.name
              + " is missing; its parts are "
              + type.parts().keySet().stream().collect(Collectors.joining(", "))
              + " and scheduler");
    }
  }

  /** The class of a part; empty where it is null or not there. */
  private static String partClass(
      ConfigFile config, Map<String, @Nullable Object> index, String part) throws IOException {
    Object value = index.get(part);
    if (value == null) {
      return "";
    }
    if (value instanceof List<?> pair && pair.size() == 2) {
      Object name = pair.get(1);
      if (name == null) {
        return "";
      }
      if (name instanceof String text) {
        return text;
      }
    }
    throw config.refused(part, "a library and a class");
  }

  @Override
  public Path network() {
    return folder.resolve("unet");
  }

  @Override
  public String part(String name) {
    return folder.resolve(name).toString();
  }

  @Override
  public Path words() {
    return folder.resolve("tokenizer");
  }

  @Override
  public Path scheduler() {
    return folder.resolve(SCHEDULER);
  }

  @Override
  public Tokenizer tokenizer() throws IOException {
    return load("tokenizer", () -> Tokenizer.load(words()));
  }

  @Override
  public TextEncoder textEncoder(Device device, Kept kept) throws IOException {
    String part = type.textEncoder;
    return load(part, () -> TextEncoder.load(folder.resolve(part), device, kept));
  }

  @Override
  public Autoencoder autoencoder(Device device, Kept kept) throws IOException {
    String part = type.autoencoder;
    return load(part, () -> Autoencoder.load(folder.resolve(part), device, null, kept));
  }
}
