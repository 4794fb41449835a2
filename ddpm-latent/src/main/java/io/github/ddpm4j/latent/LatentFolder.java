package io.github.ddpm4j.latent;

import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.pretrained.Pretrained;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model of latents and the parts around it as a folder of diffusers, whole or not at all.
 *
 * @param type the class of the pipeline
 * @param ddpm the model
 * @param autoencoder what makes pictures of latents
 * @param scheduler the file that said schedule and sampler; null if none did
 * @param single whether it was a file of CompVis or Stability AI that named no scheduler
 */
record LatentFolder(
    Pipeline.Type type,
    DDPM ddpm,
    Autoencoder autoencoder,
    @Nullable Path scheduler,
    boolean single) {

  private static final String CLASS = "_class_name";
  private static final String VERSION = "_diffusers_version";
  private static final String PREDICTION = "prediction_type";
  private static final String TOKENIZER = "tokenizer";
  private static final String UNET = "unet";

  /** Parts of Stable Diffusion that change no picture, or blank it afterwards. */
  private static final List<String> NONE =
      List.of("feature_extractor", "image_encoder", "safety_checker");

  /** What reads texts. */
  record Text(TextEncoder encoder, Path words) {}

  /**
   * Writes it.
   *
   * @param text null for a pipeline without
   */
  void write(Path folder, @Nullable Text text, DataType dataType) throws IOException {
    requirePlace(folder);
    autoencoder.requireWritable(dataType);
    if (text != null) {
      text.encoder.requireWritable(dataType);
    }
    WholeFolder.write(
        folder,
        beside -> {
          Pretrained.saveDiffusers(ddpm, beside, dataType);
          Map<String, @Nullable Object> steps = scheduler(beside.resolve(Pipeline.SCHEDULER));
          autoencoder.save(beside.resolve(type.autoencoder), dataType);
          Map<String, @Nullable Object> unet =
              JsonFile.read(beside.resolve(UNET).resolve(PartFolder.CONFIG));
          Map<String, @Nullable Object> index = new LinkedHashMap<>();
          index.put(CLASS, type.name);
          index.put(VERSION, unet.get(VERSION));
          index.put("scheduler", Arrays.asList("diffusers", steps.get(CLASS)));
          index.put(UNET, Arrays.asList("diffusers", unet.get(CLASS)));
          index.put(
              type.autoencoder,
              List.of("diffusers", autoencoder.isQuantized() ? "VQModel" : "AutoencoderKL"));
          if (text != null) {
            text.encoder.write(beside.resolve(type.textEncoder), dataType);
            index.put(type.textEncoder, text.encoder.of());
            String words = copied(text.words, beside.resolve(TOKENIZER));
            index.put(TOKENIZER, List.of("transformers", words));
            if (type != Pipeline.Type.LDM_TEXT) {
              NONE.forEach(part -> index.put(part, Arrays.asList(null, null)));
              index.put("requires_safety_checker", false);
            }
          }
          WholeFile.writeText(beside.resolve(Pipeline.INDEX), JsonFile.text(index));
        });
  }

  /** What the model says in diffusers' words, with the sampler that its files suggested. */
  private Map<String, @Nullable Object> scheduler(Path written) throws IOException {
    Map<String, @Nullable Object> own = JsonFile.read(written);
    Map<String, @Nullable Object> words;
    if (scheduler != null) {
      words = new LinkedHashMap<>(JsonFile.read(scheduler));
      words.put(PREDICTION, own.get(PREDICTION)); // of the caller, perhaps
    } else {
      words = new LinkedHashMap<>(own);
      if (single) {
        words.put(CLASS, "DDIMScheduler");
        words.put("set_alpha_to_one", false);
        words.put("steps_offset", 1);
        words.remove("variance_type"); // which is DDPM's
      }
    }
    WholeFile.writeText(written, JsonFile.text(words));
    return words;
  }

  /** Copies the files of a tokenizer, and tells its class. */
  private static String copied(Path from, Path to) throws IOException {
    Files.createDirectories(to);
    for (String name : TokenizerFiles.NAMES) {
      if (Files.isRegularFile(from.resolve(name))) {
        Files.copy(from.resolve(name), to.resolve(name));
      }
    }
    Tokenizer.load(to); // which names what is missing by now
    return Files.exists(to.resolve(TokenizerFiles.VOCABULARY)) ? "CLIPTokenizer" : "BertTokenizer";
  }

  /** Nothing but such a folder is written over. */
  private void requirePlace(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    if (!Files.isDirectory(folder)) {
      throw new FileAlreadyExistsException(folder.toString(), null, "it is no folder");
    }
    Set<String> own = new TreeSet<>(type.parts().keySet());
    own.addAll(List.of(Pipeline.INDEX, "scheduler"));
    try (Stream<Path> entries = Files.list(folder)) {
      Set<String> names =
          entries
              .map(entry -> String.valueOf(entry.getFileName()))
              .collect(Collectors.toCollection(TreeSet::new));
      boolean another =
          !names.isEmpty()
              && !(names.contains(Pipeline.INDEX)
                  && Objects.equals(
                      type.name, JsonFile.read(folder.resolve(Pipeline.INDEX)).get(CLASS)));
      names.removeAll(another ? Set.of() : own);
      if (!names.isEmpty()) {
        throw new FileAlreadyExistsException(
            folder.toString(),
            null,
            "it holds "
                + names.iterator().next()
                + ", which is no part of a model that was saved there; choose another folder");
      }
    }
  }
}
