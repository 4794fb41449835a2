package io.github.ddpm4j.pretrained;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.EstimateLimit;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.internal.hub.WeightNames;
import io.github.ddpm4j.internal.io.ModelFile;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.unet.ContextUNet;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.Transform;
import io.github.ddpm4j.unet.internal.running.MappedWeights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** From files to a model: finds them, asks for what they do not tell, and fills the network. */
final class Loading {

  private static final Logger logger = LoggerFactory.getLogger(Pretrained.class);

  private static final String CONFIG = "config.json";
  private static final String INDEX = "model_index.json";

  /** The weights of a folder, the first that is there. */
  private static final List<String> WEIGHTS = WeightNames.ofDiffusers();

  private final Pretrained.Options options;
  private final Given given;

  private Loading(Pretrained.Options options) {
    this.options = new Pretrained.Options(options);
    given = new Given(this.options);
  }

  static Pretrained load(Path path, Pretrained.Options options) throws IOException {
    Loading loading = new Loading(options);
    Device device = Machine.device(options.device);
    if (options.mapped) {
      MappedWeights.requireAlone(device, options.holding, false);
    }
    TensorFlowCheckpoint.refuse(path);
    Path configuration = options.configuration;
    if (Files.isDirectory(path)) {
      if (configuration != null) {
        throw new IOException(
            path
                + " is a folder, whose own configurations are read: leave out"
                + " options().configuration(...)");
      }
      return loading.folder(path);
    }
    if (!Files.exists(path)) {
      throw new NoSuchFileException(
          path.toString(), null, "there is no such folder or file of weights");
    }
    if (configuration != null) {
      return loading.described(path, configuration);
    }
    Path parent = path.toAbsolutePath().getParent();
    Path name = path.getFileName();
    if (parent != null
        && name != null
        && WEIGHTS.contains(name.toString())
        && Files.isRegularFile(parent.resolve(CONFIG))) {
      return loading.diffusers(parent.resolve(CONFIG), path, scheduler(parent));
    }
    return loading.file(path);
  }

  /* ---------------- Folders of diffusers ---------------- */

  private Pretrained folder(Path folder) throws IOException {
    Path index = folder.resolve(INDEX);
    if (Files.isRegularFile(index)) {
      requirePipeline(ConfigFile.read(index));
    }
    if (Files.isRegularFile(folder.resolve("ddpm.json"))) {
      throw new IOException(folder + " is a model of this library: load it by DDPM.load(folder)");
    }
    Path config = config(folder);
    Path unet = Objects.requireNonNull(config.getParent());
    for (String name : WEIGHTS) {
      if (Files.isRegularFile(unet.resolve(name))) {
        return diffusers(config, unet.resolve(name), scheduler(folder));
      }
    }
    throw new NoSuchFileException(
        unet.toString(), null, "it has no weights, which are one of " + String.join(", ", WEIGHTS));
  }

  private static Path config(Path folder) throws IOException {
    Path unet = Files.isDirectory(folder.resolve("unet")) ? folder.resolve("unet") : folder;
    Path config = unet.resolve(CONFIG);
    if (!Files.isRegularFile(config)) {
      throw new NoSuchFileException(
          folder.toString(),
          null,
          "no model of diffusers: it has neither "
              + CONFIG
              + " nor unet/"
              + CONFIG
              + "; choose such a folder, or a file of weights");
    }
    return config;
  }

  private static void requirePipeline(ConfigFile index) throws IOException {
    String pipeline = index.text("_class_name", "");
    if (!List.of("DDPMPipeline", "DDIMPipeline", "PNDMPipeline").contains(pipeline)) {
      throw index.unsupported(
          "_class_name",
          pipeline.contains("LDM") || pipeline.contains("StableDiffusion")
              ? "whose network works on latents"
              : "a pipeline that is not known");
    }
  }

  private static @Nullable Path scheduler(Path folder) {
    String name = "scheduler_config.json";
    Path parent = folder.getParent();
    List<Path> places = new ArrayList<>();
    places.add(folder.resolve(name));
    places.add(folder.resolve("scheduler").resolve(name));
    if (parent != null) {
      places.add(parent.resolve("scheduler").resolve(name));
    }
    return places.stream().filter(Files::isRegularFile).findFirst().orElse(null);
  }

  /** Whether a scheduler lies in the folder of such a pipeline. */
  private static boolean isOfStableDiffusion(Path scheduler) throws IOException {
    Path parent = scheduler.toAbsolutePath().normalize().getParent();
    Path folder = parent == null ? null : parent.getParent();
    Path index = folder == null ? null : folder.resolve(INDEX);
    return index != null
        && Files.isRegularFile(index)
        && ConfigFile.read(index).text("_class_name", "").startsWith("StableDiffusion");
  }

  private Pretrained diffusers(Path config, Path weights, @Nullable Path scheduler)
      throws IOException {
    try (TensorSource source = TensorFiles.open(weights)) {
      return diffusers(config, source, source, weights.toString(), scheduler);
    }
  }

  private Pretrained diffusers(
      Path config, TensorSource source, TensorSource whole, String where, @Nullable Path scheduler)
      throws IOException {
    Facts facts = facts(scheduler);
    if (Boolean.parseBoolean(String.valueOf(source.metadata().get(DiffusersFolder.NULL_CLASS)))) {
      options.nullClass = true;
    }
    UNetConfig own = architecture(config, facts);
    NameTable table = Diffusers.table(own, Diffusers.isOld(PeerShapes.of(source, where)));
    table.require(source, where, name -> false);
    return filled(Architecture.of(own), table, source, whole, where, "diffusers", facts);
  }

  private Facts facts(@Nullable Path scheduler) throws IOException {
    return scheduler == null
        ? Facts.none()
        : SchedulerFile.read(scheduler, isOfStableDiffusion(scheduler), given);
  }

  /** What the caller gave, or the file of a configuration says. */
  private UNetConfig architecture(Path config, Facts facts) throws IOException {
    UNetConfig own = options.architecture;
    if (own != null) {
      return own;
    }
    Variance variance = options.variance == null ? facts.variance() : options.variance;
    Boolean learned = (variance != null && variance.isLearned()) ? Boolean.TRUE : null;
    ConfigFile file = ConfigFile.read(config);
    return UNet2DCondition.is(file)
        ? UNet2DCondition.read(file, learned, given)
        : UNet2D.read(file, learned, given);
  }

  /* ---------------- Files of weights ---------------- */

  private Pretrained file(Path file) throws IOException {
    try (TensorSource whole = opened(file)) {
      if (ModelFile.isOne(whole.metadata())) {
        return own(file);
      }
      WeightsFile found = WeightsFile.find(file, whole, options, given);
      PeerFamily family = found.family();
      if (family == null) {
        throw new IOException(
            file
                + " is a network of diffusers, which needs the "
                + CONFIG
                + " that lies beside it in its folder: load the folder, or write a "
                + CONFIG
                + " beside a file of the name "
                + WEIGHTS.get(0));
      }
      Chosen chosen = chosen(file, whole, found);
      TensorSource source = chosen.source;
      String where = chosen.where;
      PeerShapes shapes = PeerShapes.of(source, where);
      Facts facts = family.facts(whole, found.prefix(), given);
      return family instanceof UNetFamily unets
          ? unet(unets, shapes, source, whole, facts)
          : contextUnet(family, shapes, source, whole, facts);
    }
  }

  /** The weights of a network in a file that holds more. */
  private record Chosen(TensorSource source, String where) {}

  /** The averages where there are any and nobody wants the others. */
  private Chosen chosen(Path file, TensorSource whole, WeightsFile found) throws IOException {
    String prefix = found.prefix();
    Optional<TensorSource> averages =
        found.family() instanceof CompVis && !options.raw
            ? CompVis.averages(whole, prefix)
            : Optional.empty();
    if (averages.isPresent()) {
      given.assume("the averaged weights, of the two in the file, below \"model_ema.\"");
      return new Chosen(
          averages.get(), file + ", the averages of what is below \"" + prefix + "\"");
    }
    return new Chosen(
        whole.under(prefix), file + (prefix.isEmpty() ? "" : ", below \"" + prefix + "\""));
  }

  /** A file of weights and a folder that describes its network. */
  private Pretrained described(Path file, Path folder) throws IOException {
    Path config = config(folder);
    try (TensorSource whole = opened(file)) {
      WeightsFile found = WeightsFile.find(file, whole, options, given);
      PeerFamily family = found.family();
      Chosen chosen = chosen(file, whole, found);
      if (family == null) {
        return diffusers(config, chosen.source, whole, chosen.where, scheduler(folder));
      }
      if (!(family instanceof CompVis compVis)) {
        throw new IOException(
            file
                + " is a network of "
                + family.title()
                + ", which no configuration of diffusers describes: leave out"
                + " options().configuration(...)");
      }
      Facts facts = facts(scheduler(folder));
      UNetConfig own = architecture(config, facts);
      NameTable table = compVis.table(own, PeerShapes.of(chosen.source, chosen.where), given);
      table.require(chosen.source, chosen.where, compVis::isIdle);
      return filled(
          Architecture.of(own), table, chosen.source, whole, chosen.where, family.title(), facts);
    }
  }

  /** A model of this library in one file. */
  private Pretrained own(Path file) throws IOException {
    if (given.isAnythingSaid()) {
      throw new IOException(
          file
              + " is a model of this library, which says everything about itself: call"
              + " Pretrained.load(file), or set nothing but device(...)");
    }
    if (options.mapped) {
      throw new IOException(
          file + " is a model of this library, which is read whole: leave out mapped()");
    }
    DDPM ddpm = DDPM.load(file, Machine.device(options.device));
    boolean done = false;
    TrainableDenoiser network = ddpm.denoiser(TrainableDenoiser.class);
    try {
      EstimateLimit limit = EstimateLimit.of(ddpm.metadata());
      Facts facts =
          new Facts(
                  ddpm.schedule(),
                  ddpm.prediction(),
                  ddpm.variance(),
                  ddpm.dataRange(),
                  limit.clip(),
                  limit.thresholding(),
                  Recipes.whole(),
                  ddpm.schedule().timesteps())
              .tuned(ddpm);
      Audit audit =
          new Audit(
              "this library",
              file.toString(),
              network.weights().values().stream().mapToLong(NDArray::size).sum(),
              Map.of(Transform.copy().name(), network.weights().size()),
              List.of(),
              0,
              Differences.of(ddpm, Architecture.settings(network), facts),
              List.of());
      if (options.holding != UNet.Precision.FLOAT32) {
        Filling.holdable(network, file.toString()).hold(options.holding);
      }
      done = true;
      return new Pretrained(ddpm, network, facts, audit);
    } catch (IllegalArgumentException e) {
      throw new IOException(file + " is not a valid model: " + e.getMessage(), e);
    } finally {
      if (!done) {
        network.close();
      }
    }
  }

  private static TensorSource opened(Path file) throws IOException {
    TensorSource source = TensorFiles.open(file);
    boolean done = false;
    try {
      TensorSource named = TensorFlowNames.of(source);
      done = true;
      return named;
    } finally {
      if (!done) {
        source.close();
      }
    }
  }

  private Pretrained contextUnet(
      PeerFamily family, PeerShapes shapes, TensorSource source, TensorSource whole, Facts facts)
      throws IOException {
    if (options.architecture != null) {
      throw new IOException(
          shapes.where()
              + " is a network of "
              + family.title()
              + ", whose weights tell its architecture: leave out options().architecture(...)");
    }
    Schedule schedule = options.schedule == null ? facts.schedule() : options.schedule;
    ContextUNet.Config config;
    try {
      config = TeaPearce.config(shapes, Objects.requireNonNull(schedule));
    } catch (IllegalArgumentException e) {
      throw new IOException(shapes.where() + " cannot be loaded: " + e.getMessage(), e);
    }
    requireImage(family, shapes, config);
    NameTable table = TeaPearce.table(config);
    table.require(source, shapes.where(), family::isIdle);
    return filled(
        Architecture.of(config), table, source, whole, shapes.where(), family.title(), facts);
  }

  private void requireImage(PeerFamily family, PeerShapes shapes, ContextUNet.Config config)
      throws IOException {
    int[] own = {config.imageChannels(), ContextUNet.SIDE, ContextUNet.SIDE};
    if (options.image != null && !Arrays.equals(options.image, own)) {
      throw new IOException(
          shapes.where()
              + " is a network of "
              + family.title()
              + " for images of "
              + Arrays.toString(own)
              + ", but options().image(...) was "
              + Arrays.toString(options.image));
    }
  }

  private Pretrained unet(
      UNetFamily family, PeerShapes shapes, TensorSource source, TensorSource whole, Facts told)
      throws IOException {
    Facts facts = told;
    UNetConfig config = options.architecture;
    if (config == null && options.image == null && options.heads + options.headChannels == 0) {
      Optional<Published> published = Published.find(family, shapes, given);
      if (published.isPresent()) {
        config = published.get().config();
        facts = published.get().facts(facts);
        options.newAttentionOrder |= published.get().newAttentionOrder();
        given.assume(
            "it is the published "
                + published.get().network()
                + ", whose shapes it has, with its size of images, heads and schedule");
      }
    }
    if (config == null) {
      config = configOf(family, shapes);
    }
    config = rescaled(config, facts);
    NameTable table = family.table(config, shapes, given);
    table.require(source, shapes.where(), family::isIdle);
    return filled(
        Architecture.of(config), table, source, whole, shapes.where(), family.title(), facts);
  }

  private UNetConfig configOf(UNetFamily family, PeerShapes shapes) throws IOException {
    try {
      return family.config(shapes, given);
    } catch (IllegalArgumentException e) {
      throw new IOException(
          shapes.where() + " does not go with what was set: " + e.getMessage(), e);
    }
  }

  /* ---------------- The model ---------------- */

  private Pretrained filled(
      Architecture architecture,
      NameTable table,
      TensorSource source,
      TensorSource whole,
      String from,
      String family,
      Facts facts)
      throws IOException {
    Facts complete = complete(facts, architecture, family, from);
    TrainableDenoiser network = architecture.blank().on(options.device);
    boolean done = false;
    try {
      new Filling(table, source, from).fill(network, options);
      DDPM ddpm =
          DDPM.builder()
              .schedule(Objects.requireNonNull(complete.schedule()))
              .prediction(Objects.requireNonNull(complete.prediction()))
              .variance(Objects.requireNonNull(complete.variance()))
              .dataRange(Objects.requireNonNull(complete.range()))
              .classNames(ClassNames.of(source.metadata(), from))
              .denoiser(network)
              .metadata(words(complete, source))
              .build();
      complete = complete.tuned(ddpm);
      Audit audit = audit(architecture, table, source, whole, from, family, ddpm, complete);
      audit.assumed().forEach(line -> logger.info("{}: assumed {}", from, line));
      done = true;
      return new Pretrained(ddpm, network, complete, audit);
    } catch (IllegalArgumentException e) {
      throw new IOException(from + " is not a valid model: " + e.getMessage(), e);
    } finally {
      if (!done) {
        network.close();
      }
    }
  }

  /** What the model is to say of itself. */
  private static Map<String, String> words(Facts facts, TensorSource source) {
    Map<String, String> words = new EstimateLimit(facts.clip(), facts.thresholding()).metadata();
    Object tunedFor = source.metadata().get(TunedFor.KEY);
    return tunedFor == null ? words : TunedFor.in(words, String.valueOf(tunedFor));
  }

  /** The facts with what the caller says before them, all known. */
  private Facts complete(Facts facts, Architecture architecture, String family, String from)
      throws IOException {
    Schedule schedule = options.schedule == null ? facts.schedule() : options.schedule;
    if (schedule == null) {
      throw new IOException(
          from
              + " does not say the noise schedule: call options().schedule(...), such as"
              + " Schedules.linear(1000)");
    }
    requireTimesteps(schedule, family, from);
    Prediction prediction = options.prediction == null ? facts.prediction() : options.prediction;
    if (prediction == null) {
      throw new IOException(
          from
              + " does not say what the network predicts: call options().prediction(...), such as"
              + " Prediction.EPSILON");
    }
    Variance variance = options.variance == null ? facts.variance() : options.variance;
    if (variance == null) {
      variance = architecture.predictsVariance() ? Variance.LEARNED_RANGE : Variance.FIXED_SMALL;
      given.assume("variance " + variance);
    }
    DataRange range = options.range == null ? facts.range() : options.range;
    if (range == null) {
      range = DataRange.DEFAULT;
      given.assume("images in " + range);
    }
    return new Facts(
        schedule,
        prediction,
        variance,
        range,
        facts.clip(),
        facts.thresholding(),
        facts.sampler() == null ? Recipes.whole() : facts.sampler(),
        facts.steps() > 0 ? facts.steps() : schedule.timesteps());
  }

  private void requireTimesteps(Schedule schedule, String family, String from) throws IOException {
    if (schedule.timesteps() == 1000 || !family.contains("guided")) {
      return;
    }
    if (options.rescaledTimesteps == null) {
      throw new IOException(
          from
              + " does not say whether the network was told timesteps times 1000 / T, which"
              + " matters for the "
              + schedule.timesteps()
              + " timesteps of the schedule: call options().rescaledTimesteps(value), as"
              + " rescale_timesteps was");
    }
  }

  /** A network of OpenAI's that was told t · 1000 / T. */
  private UNetConfig rescaled(UNetConfig config, Facts facts) {
    Schedule schedule = options.schedule == null ? facts.schedule() : options.schedule;
    boolean told = Boolean.TRUE.equals(options.rescaledTimesteps);
    return schedule == null || !told
        ? config
        : config.toBuilder().timestepScale(1000.0 / schedule.timesteps()).config();
  }

  private Audit audit(
      Architecture architecture,
      NameTable table,
      TensorSource source,
      TensorSource whole,
      String from,
      String family,
      DDPM ddpm,
      Facts facts) {
    Map<String, ?> peers = table.peerShapes();
    List<String> unused =
        source.tensors().keySet().stream().filter(name -> !peers.containsKey(name)).toList();
    return new Audit(
        family,
        from,
        architecture.parameterCount(),
        table.transforms(),
        unused,
        whole.tensors().size() - source.tensors().size(),
        Differences.of(ddpm, architecture.settings(), facts),
        given.assumed());
  }
}
