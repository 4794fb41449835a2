package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.FiniteWeights;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model as a folder of diffusers. Where it sees a context, pipelines have parts beside the
 * network that a model lacks, so the folder has no index, and the network is loaded from it.
 */
final class DiffusersFolder {

  /** In the words about the weights: the last row of the table of classes is for none. */
  static final String NULL_CLASS = "ddpm4j.nullClass";

  /** The version whose keys are written. */
  private static final String VERSION = "0.35.2";

  private static final String INDEX = "model_index.json";
  private static final Set<String> OWN = Set.of(INDEX, "unet", "scheduler");

  private DiffusersFolder() {}

  static void write(DDPM ddpm, Path folder, DataType type) throws IOException {
    UNet network = ddpm.denoiser(UNet.class);
    if (!ddpm.dataRange().equals(DataRange.DEFAULT)) {
      throw new IllegalArgumentException(
          "diffusers' pipelines take images to be in "
              + DataRange.DEFAULT
              + ", but the model's are in "
              + ddpm.dataRange()
              + "; train it on such images, or save it by save(folder)");
    }
    boolean seesContext = network.config().contextCondition() > 0;
    Map<String, @Nullable Object> unet =
        seesContext
            ? UNet2DCondition.write(network.config(), VERSION)
            : UNet2D.write(network.config(), VERSION);
    Map<String, @Nullable Object> scheduler = SchedulerWriter.write(ddpm, VERSION);
    Map<String, NDArray> weights = network.weights();
    FiniteWeights.require(weights, "diffusers would draw nothing with them");
    Safetensors.requireWritable(weights, type);
    requirePlace(folder);
    Map<String, String> words = new LinkedHashMap<>();
    words.put("format", "pt");
    TunedFor.of(ddpm.metadata(), ddpm.provenance())
        .ifPresent(sampler -> words.put(TunedFor.KEY, sampler));
    if (network.config().classes() > 0 && network.config().layout().embedding().nullClass()) {
      words.put(NULL_CLASS, "true");
    }
    ClassNames.put(words, ddpm.classNames());
    Map<String, Object> index = new LinkedHashMap<>();
    index.put("_class_name", "DDPMPipeline");
    index.put("_diffusers_version", VERSION);
    index.put("scheduler", List.of("diffusers", "DDPMScheduler"));
    index.put("unet", List.of("diffusers", UNet2D.CLASS));
    // The index last: a folder without one is no pipeline yet. An old one is of other weights.
    Files.deleteIfExists(folder.resolve(INDEX));
    Safetensors.write(
        folder.resolve("unet").resolve("diffusion_pytorch_model.safetensors"),
        weights,
        words,
        type);
    WholeFile.writeText(folder.resolve("unet").resolve("config.json"), JsonFile.text(unet));
    WholeFile.writeText(
        folder.resolve("scheduler").resolve("scheduler_config.json"), JsonFile.text(scheduler));
    if (!seesContext) {
      WholeFile.writeText(folder.resolve(INDEX), JsonFile.text(index));
    }
  }

  /** Nothing but such a folder is written over. */
  private static void requirePlace(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    if (!Files.isDirectory(folder)) {
      throw new FileAlreadyExistsException(folder.toString(), null, "it is no folder");
    }
    try (Stream<Path> entries = Files.list(folder)) {
      Set<String> names =
          entries.map(entry -> String.valueOf(entry.getFileName())).collect(Collectors.toSet());
      names.removeAll(OWN);
      if (!names.isEmpty()) {
        throw new FileAlreadyExistsException(
            folder.toString(),
            null,
            "it holds " + names.iterator().next() + ", which is no part of a pipeline");
      }
    }
  }
}
