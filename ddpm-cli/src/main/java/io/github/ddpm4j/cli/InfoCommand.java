package io.github.ddpm4j.cli;

import ai.djl.Device;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.picture.SampleFolder;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.pretrained.Pretrained;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Says what is in a file or folder. */
@Command(
    name = "info",
    sortOptions = false,
    description = {
      "Says what is in a model folder, a checkpoint or a folder of them, a folder or file of"
          + " another library, a file of tensors (.safetensors, .npz, .pt), or how a picture or the"
          + " folder of ddpm sample was drawn.",
      "A file of tensors that is no model that is known is listed, and said why it is none."
    },
    footer = {
      "",
      "  ddpm info faces",
      "  ddpm info photos-model",
      "  ddpm info pictures/00000003.png"
    })
final class InfoCommand implements Callable<Integer> {

  private static final String PROVENANCE = "provenance";

  private static final Pattern TENSORS =
      Pattern.compile(".*\\.(safetensors|npz|pt|pth|ckpt|bin|pkl|part)", Pattern.CASE_INSENSITIVE);

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      paramLabel = "PATH",
      description = "The file or folder, or the name of a model in the box.")
  private Path path = Path.of("");

  @Mixin private FileOptions files = new FileOptions();

  @Option(names = "--json", description = "Tells the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    files.check(path.toString());
    facts().print(spec.commandLine().getOut(), json);
    return 0;
  }

  private Facts facts() throws IOException {
    if (LoadedModel.isInTheBox(path.toString())) {
      try (DDPM ddpm = Models.load(path.toString(), Device.cpu())) {
        return of(ddpm);
      }
    }
    if (LoadedModel.isOfHub(path.toString())) {
      return foreign();
    }
    if (!Files.exists(path)) {
      LoadedModel.require(path.toString());
    }
    if (path.toString().toLowerCase(Locale.ROOT).endsWith(".png") && Files.isRegularFile(path)) {
      Map<String, String> words = Pictures.provenance(path);
      Facts facts = new Facts().all(PROVENANCE, words);
      return words.isEmpty() ? facts.line(path + " does not say how it was drawn") : facts;
    }
    if (LoadedModel.isOurs(path)) {
      return model(path);
    }
    if (Files.isRegularFile(path) && TensorListing.isOurs(path)) {
      Facts facts = new Facts();
      TensorListing.add(facts, path);
      return facts;
    }
    if (Files.isRegularFile(path)) {
      requireTensors();
      return foreign();
    }
    Facts training = training();
    if (training != null) {
      return training;
    }
    Optional<Map<String, String>> drawn = SampleFolder.settings(path);
    return drawn.isPresent() ? pictures(drawn.get()) : foreign();
  }

  /** What has no suffix may be anything. */
  private void requireTensors() {
    String name = String.valueOf(path.getFileName());
    if (name.indexOf('.') >= 0 && !TENSORS.matcher(name).matches()) {
      throw new IllegalArgumentException(
          path
              + " is nothing that info knows: a PNG picture of this program, a file of tensors"
              + " (.safetensors, .npz, .pt), or the folder of a model, a training run or pictures");
    }
  }

  private Facts pictures(Map<String, String> settings) throws IOException {
    try (Stream<Path> files = Files.list(path)) {
      long count = files.filter(Inputs::isPng).count();
      return new Facts()
          .named("what", "pictures of ddpm " + Origin.commandOf(settings))
          .named("pictures", count, new JsonPrimitive(count))
          .all("settings", settings);
    }
  }

  private static Facts model(Path path) throws IOException {
    try (DDPM ddpm = DDPM.load(path)) {
      return of(ddpm);
    }
  }

  private Facts foreign() throws IOException {
    Facts facts = new Facts();
    try (Pretrained foreign =
        LoadedModel.isOfHub(path.toString())
            ? files.options().load(path.toString())
            : files.options().load(path)) {
      String audit = foreign.audit().toString();
      JsonArray lines = new JsonArray();
      audit.lines().forEach(lines::add);
      return facts.line(audit).json("audit", lines);
    } catch (IOException | IllegalArgumentException e) {
      if (!Files.isRegularFile(path)) {
        throw e;
      }
      try (TensorSource source = TensorFiles.open(path)) {
        source.tensors();
      } catch (IOException none) {
        throw e; // no file of tensors either
      }
      facts.named(
          "no model, since", String.valueOf(Advice.of(e.getMessage())).replaceAll("\\s+", " "));
      TensorListing.add(facts, path);
      return facts;
    }
  }

  /** The folder of a training run, or of its checkpoints; null if it is neither. */
  private @Nullable Facts training() throws IOException {
    Path inside = path.resolve("checkpoints");
    Path folder = Files.isDirectory(inside) ? inside : path;
    List<Path> checkpoints;
    try (Stream<Path> files = Files.list(folder)) {
      // Their names have the step in digits of one number.
      checkpoints = files.filter(LoadedModel::isCheckpoint).sorted().toList();
    }
    Path model = path.resolve("model");
    boolean finished = LoadedModel.isOurs(model);
    if (checkpoints.isEmpty() && !finished) {
      return null;
    }
    Facts facts =
        new Facts()
            .named(
                "what",
                finished
                    ? "a training run that ended"
                    : folder.equals(path)
                        ? "the checkpoints of a training run"
                        : "a training run that has not ended");
    JsonArray all = new JsonArray();
    for (Path checkpoint : checkpoints) {
      long bytes = Files.size(checkpoint);
      facts.line("checkpoint", checkpoint + String.format(Locale.ROOT, ", %,d bytes", bytes));
      JsonObject one = new JsonObject();
      one.addProperty("file", checkpoint.toString());
      one.addProperty("bytes", bytes);
      all.add(one);
    }
    Path newest = finished ? model : checkpoints.get(checkpoints.size() - 1);
    return facts
        .json("checkpoints", all)
        .line("")
        .line(newest + ":")
        .json("newest", new JsonPrimitive(newest.toString()))
        .part("model", model(newest));
  }

  private static Facts of(DDPM ddpm) {
    Facts facts =
        new Facts()
            .named("schedule", ddpm.schedule())
            .named("prediction", ddpm.prediction())
            .named("variance", ddpm.variance())
            .named("data range", ddpm.dataRange());
    ddpm.denoiser().ifPresent(network -> facts.named("network", network));
    if (!ddpm.classNames().isEmpty()) {
      JsonArray names = new JsonArray();
      ddpm.classNames().forEach(names::add);
      facts.named("classes", String.join(", ", ddpm.classNames()), names);
    }
    return facts.all("metadata", ddpm.metadata()).all(PROVENANCE, ddpm.provenance());
  }
}
