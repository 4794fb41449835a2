package io.github.ddpm4j;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.evaluation.BitsPerDim;
import io.github.ddpm4j.evaluation.SamplerPlanner;
import io.github.ddpm4j.evaluation.TrainingDoctor;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder;
import io.github.ddpm4j.internal.checkpoint.CheckpointModel;
import io.github.ddpm4j.internal.description.EstimateLimit;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.internal.io.FiniteWeights;
import io.github.ddpm4j.internal.io.ModelFile;
import io.github.ddpm4j.internal.io.ModelFolder;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.internal.torch.Shutdown;
import io.github.ddpm4j.internal.training.BatchLoss;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.ConsistencyTuning;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A denoising diffusion probabilistic model (Ho, Jain, Abbeel 2020): a noise schedule, a prediction
 * type and a network. This class is the library's entry point.
 *
 * <pre>{@code
 * DDPM ddpm = DDPM.builder().timesteps(1000).denoiser(unet).build();
 * try (TrainedModel result = ddpm.training().steps(5_000).fit(dataset);
 *     Samples samples = result.ddpm().sampling().seed(42).generate(16)) {
 *   samples.saveGrid(Path.of("samples.png"));
 * }
 * }</pre>
 *
 * <p>Immutable, apart from what training does to its network, and as thread-safe for inference as
 * its network. Closing the model closes the network only if the model came from {@link #load} or
 * {@link TrainedModel#detach}.
 */
public final class DDPM implements AutoCloseable {

  /** How the name of a model in one file ends. */
  private static final String ONE_FILE = ".safetensors";

  /** The paper's number of timesteps: {@value}. */
  public static final int DEFAULT_TIMESTEPS = 1000;

  private final Diffusion diffusion;
  private final @Nullable DenoisingModel model;
  private final boolean ownsDenoiser;
  private final Life life;

  DDPM(
      Diffusion diffusion,
      @Nullable Denoiser denoiser,
      boolean ownsDenoiser,
      Map<String, Object> provenance) {
    this(diffusion, denoiser, ownsDenoiser, new Life(provenance, null));
  }

  private DDPM(Diffusion diffusion, @Nullable Denoiser denoiser, boolean ownsDenoiser, Life life) {
    this.diffusion = diffusion;
    this.model = denoiser == null ? null : DenoisingModel.of(diffusion, denoiser);
    this.ownsDenoiser = ownsDenoiser;
    this.life = life;
  }

  /**
   * Returns a new builder. The defaults are the paper's: T = 1000, linear β from 1e-4 to 0.02,
   * ε-prediction, fixed-large variance, images in [−1, 1].
   *
   * @return a builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Loads a model written by {@link #save} onto the engine's default device.
   *
   * @param folder the model folder, or the file of a checkpoint; see {@link #load(Path, Device)}
   * @return the model; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails or a file is invalid
   */
  public static DDPM load(Path folder) throws IOException {
    return load(folder, Machine.device(null));
  }

  /**
   * Loads a model written by {@link #save} or {@link #saveSafetensors} onto a device, or the
   * averaged weights of a checkpoint that a training run wrote, which may still be going on.
   *
   * <p>A folder is read as it was at one moment: if a save replaces it meanwhile, also one of
   * another process, the result is the old model or the new one. The weights are compared with
   * their SHA-256 while they are read; the system property {@code ddpm4j.checkDigests} set to
   * {@code false} leaves that out. Folders of all earlier versions of the format are read.
   *
   * @param folder the model folder, or the file of a model or checkpoint
   * @param device where to put the weights
   * @return the model; the caller closes it
   * @throws IllegalArgumentException if the device is a GPU that the engine does not see
   * @throws java.nio.file.NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails, or a file is invalid, damaged, or of a newer version of
   *     the format
   */
  public static DDPM load(Path folder, Device device) throws IOException {
    Objects.requireNonNull(folder, "folder");
    Machine.device(Objects.requireNonNull(device, "device"));
    Optional<CheckpointFolder.Entry> checkpoint = CheckpointFolder.Entry.of(folder);
    ModelFolder.Contents contents;
    if (checkpoint.isPresent()) {
      contents = CheckpointModel.read(checkpoint.get(), device);
    } else if (folder.toString().endsWith(ONE_FILE) && !Files.isDirectory(folder)) {
      contents = ModelFile.read(folder, device);
    } else {
      contents = ModelFolder.read(folder, device);
    }
    return owning(contents, folder);
  }

  /** A model that owns the network that was read for it. */
  static DDPM owning(ModelFolder.Contents contents, Path folder) throws IOException {
    boolean done = false;
    try {
      Life life = new Life(contents.training(), contents.sha256());
      DDPM loaded = new DDPM(contents.diffusion(), contents.denoiser(), true, life);
      done = true;
      return loaded;
    } catch (IllegalArgumentException e) {
      throw new IOException(folder + " is not valid: " + e.getMessage(), e);
    } finally {
      if (!done) {
        contents.denoiser().close();
      }
    }
  }

  /**
   * Lets the virtual machine shut down cleanly, on SIGTERM, Ctrl-C or {@code System.exit}, while
   * threads train, sample or evaluate. Without this, libtorch crashes if the process ends in the
   * middle of a step.
   *
   * <p>Installs a shutdown hook, once for the process. When the machine shuts down, each such
   * thread ends the step that it is in, and the next one throws a {@link CancellationException}.
   * The shutdown goes on when all of these threads have ended or wait for something, so that they
   * can save what they have: {@link TrainedModel#soFar}, {@link
   * io.github.ddpm4j.sampling.SamplingRun#save}. It waits {@value Shutdown#SECONDS} seconds at
   * most.
   *
   * @throws IllegalStateException if the virtual machine is shutting down already
   */
  public static void endStepsOnShutdown() {
    Shutdown.install();
  }

  /**
   * Saves the model to a folder: the weights as {@code weights-….safetensors}, named by their
   * SHA-256, and the configuration as {@code ddpm.json}, which names that file and its digest,
   * holds {@link #classNames()}, {@link #metadata()} and {@link #provenance()}, and says which
   * versions of this library and of DJL wrote it.
   *
   * <p>The write is atomic: {@code ddpm.json} is replaced last and at once, when the disk has the
   * weights. At every instant, after a loss of power too, a reader in any process finds the old
   * model or the new one, whole; then the weights of the old one are deleted. What a killed save
   * left is deleted by the next one. Saves to the same folder wait for each other. The folder keeps
   * its place, so it may be a mounted volume or the working directory.
   *
   * @param folder the target folder; an existing model there is replaced
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be saved, or a
   *     weight is NaN or infinite
   * @throws IllegalArgumentException if {@code folder} has no name
   * @throws java.nio.file.FileAlreadyExistsException if {@code folder} exists and is not a model
   * @throws IOException if writing fails, or another process writes to the folder for minutes; an
   *     existing model is left intact
   */
  public void save(Path folder) throws IOException {
    save(
        folder,
        weights ->
            FiniteWeights.require(weights, "call saveUnchecked(folder) to keep them for a look"));
  }

  /**
   * Saves the model as {@link #save} does, even if weights hold NaN or infinity: to look for where
   * a training run broke.
   *
   * @param folder the target folder; an existing model there is replaced
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be saved
   * @throws IllegalArgumentException if {@code folder} has no name
   * @throws java.nio.file.FileAlreadyExistsException if {@code folder} exists and is not a model
   * @throws IOException if writing fails; an existing model is left intact
   */
  public void saveUnchecked(Path folder) throws IOException {
    save(folder, weights -> {});
  }

  private void save(Path folder, Consumer<Map<String, NDArray>> check) throws IOException {
    ModelFolder.write(folder, contents(), check);
  }

  private ModelFolder.Contents contents() {
    return new ModelFolder.Contents(diffusion, trainable("saved"), provenance(), null);
  }

  /**
   * Saves the model to one file of safetensors, to be handed on: the weights under their own names,
   * which other tools read as they are, and among the words about them, as {@code ddpm4j}, all that
   * {@link #save} writes into {@code ddpm.json}. {@link #load(Path)} loads it bit by bit. The write
   * is atomic: at every instant a reader finds the old file or the new one, whole.
   *
   * @param file the target, whose name ends in {@code .safetensors}; missing folders are made, an
   *     existing file is replaced
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be saved, or a
   *     weight is NaN or infinite
   * @throws IllegalArgumentException if the name ends otherwise
   * @throws IOException if writing fails; an existing file is left intact
   */
  public void saveSafetensors(Path file) throws IOException {
    saveSafetensors(file, DataType.FLOAT32);
  }

  /**
   * Saves the model to one file as {@link #saveSafetensors(Path)} does, its weights in a type that
   * may be half as long: each is rounded to the nearest. They are float32 again when they are
   * loaded.
   *
   * @param file the target, whose name ends in {@code .safetensors}; missing folders are made, an
   *     existing file is replaced
   * @param type FLOAT32, BFLOAT16 or FLOAT16
   * @throws IllegalStateException as {@link #saveSafetensors(Path)}
   * @throws IllegalArgumentException if the name ends otherwise, the type is another, or a weight
   *     is too large for it
   * @throws IOException if writing fails; an existing file is left intact
   */
  public void saveSafetensors(Path file, DataType type) throws IOException {
    Objects.requireNonNull(type, "type");
    if (!file.toString().endsWith(ONE_FILE)) {
      throw new IllegalArgumentException(
          "the name of the file must end in " + ONE_FILE + ", but was " + file);
    }
    ModelFile.write(
        file,
        contents(),
        type,
        weights ->
            FiniteWeights.require(weights, "call saveUnchecked(folder) to keep them for a look"));
  }

  /**
   * Checks that {@link #save} can write the model to a folder, as far as that can be told without
   * writing it. Call it before a long training run, whose result would otherwise be lost.
   *
   * @param folder the target folder; nothing is created or changed
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be saved
   * @throws IllegalArgumentException if {@code folder} has no name
   * @throws java.nio.file.FileAlreadyExistsException if {@code folder} exists and is not a model
   * @throws IOException if the folder cannot be created or written by this user
   */
  public void requireSavable(Path folder) throws IOException {
    trainable("saved");
    ModelFolder.requireWritable(folder);
  }

  /**
   * The noise schedule.
   *
   * @return the schedule
   */
  public Schedule schedule() {
    return diffusion.schedule();
  }

  /**
   * The quantity that the network predicts.
   *
   * @return the prediction
   */
  public Prediction prediction() {
    return diffusion.prediction();
  }

  /**
   * The variance of the reverse process.
   *
   * @return the variance
   */
  public Variance variance() {
    return diffusion.variance();
  }

  /**
   * The range of clean images.
   *
   * @return the range
   */
  public DataRange dataRange() {
    return diffusion.dataRange();
  }

  /**
   * The names of the classes that the network was trained on.
   *
   * @return an unmodifiable list, the name of label 0 first; empty if the model does not say
   */
  public List<String> classNames() {
    return diffusion.classNames();
  }

  /**
   * What the entries of the condition vectors mean that the network was trained on.
   *
   * @return the attributes; empty if the model does not say
   * @see Attributes#METADATA
   */
  public Optional<Attributes> attributes() {
    return diffusion.attributes();
  }

  /**
   * What people say of the model: a licence, the dataset, a figure. It goes with the model through
   * training, saving and loading.
   *
   * @return an unmodifiable map in the order in which it was given
   */
  public Map<String, String> metadata() {
    return diffusion.metadata();
  }

  /**
   * This model with names for its classes, as after loading one that has none.
   *
   * @param names the name of label 0 first; empty for none
   * @return a model over the same network, which this model still owns if it did
   * @throws IllegalArgumentException if a name is blank, given twice, or no text that a file can
   *     hold
   */
  public DDPM withClassNames(List<String> names) {
    Objects.requireNonNull(names, "names");
    return new DDPM(diffusion.with(names, metadata()), denoiser().orElse(null), false, life);
  }

  /**
   * This model with other metadata, as after training: {@code
   * trained.ddpm().withMetadata(words).save(folder)}.
   *
   * @param metadata the words by name, in place of those that were there; see {@link
   *     Builder#metadata}. How published files say that x̂_0 is clipped stays, and the sampler that
   *     it was tuned for, unless they say it
   * @return a model over the same network, which this model still owns if it did
   * @throws IllegalArgumentException if a name or a word is no text that a file can hold, or all
   *     take more than 1 MiB
   */
  public DDPM withMetadata(Map<String, String> metadata) {
    Map<String, String> all =
        new LinkedHashMap<>(EstimateLimit.of(diffusion.metadata()).metadata());
    String tunedFor = diffusion.metadata().get(TunedFor.KEY);
    if (tunedFor != null) {
      all.put(TunedFor.KEY, tunedFor);
    }
    all.putAll(Objects.requireNonNull(metadata, "metadata"));
    return new DDPM(
        diffusion.with(diffusion.classNames(), all), denoiser().orElse(null), false, life);
  }

  /**
   * The network.
   *
   * @return the network, or empty if the model has none
   */
  public Optional<Denoiser> denoiser() {
    return Optional.ofNullable(model).map(DenoisingModel::denoiser);
  }

  /**
   * The network as an instance of its own type, as in {@code ddpm.denoiser(UNet.class)}.
   *
   * @param type the class of the network, or a supertype
   * @param <D> the type of the network
   * @return the network
   * @throws IllegalStateException if the model has no network, or its network is not a {@code type}
   */
  public <D extends Denoiser> D denoiser(Class<D> type) {
    Denoiser denoiser = required("denoiser(" + type.getSimpleName() + ".class)").denoiser();
    if (!type.isInstance(denoiser)) {
      throw new IllegalStateException(
          "the denoiser is a "
              + denoiser.getClass().getName()
              + " and no "
              + type.getName()
              + "; ask for the class that it is");
    }
    return type.cast(denoiser);
  }

  /**
   * The schedule, prediction type and variance combined with the network: evaluates the network on
   * noisy images, for custom loops.
   *
   * @return the model
   * @throws IllegalStateException if the model has no denoiser
   */
  public DenoisingModel model() {
    return required("model()");
  }

  private DenoisingModel required(String what) {
    DenoisingModel known = model;
    if (known == null) {
      throw new IllegalStateException(
          what + " needs a denoiser, but the model has none; set denoiser(...) when building DDPM");
    }
    return known;
  }

  /** This model as the owner of its network, which it frees when it is closed. */
  DDPM owning() {
    return new DDPM(diffusion, required("owning()").denoiser(), true, life);
  }

  /**
   * The provenance of the weights: seed, steps and settings of the training run, if this library
   * trained them. Where the run went on from weights of known provenance, the entry {@value
   * io.github.ddpm4j.internal.description.History#BEFORE} lists the runs before it, the first
   * first. A run that trains this model's network in place adds to it.
   *
   * @return an unmodifiable map in a stable order; empty if the provenance is unknown
   */
  public Map<String, Object> provenance() {
    return life.provenance();
  }

  /**
   * The forward process over the schedule.
   *
   * @return the process
   */
  public ForwardProcess forwardProcess() {
    return ForwardProcess.of(diffusion.schedule());
  }

  /**
   * This model with another network.
   *
   * @param other the network; its owner closes it
   * @return a model over {@code other}
   * @throws IllegalArgumentException if the variance is the network's to say and {@code other} says
   *     none
   */
  public DDPM withDenoiser(Denoiser other) {
    Objects.requireNonNull(other, "other");
    return new DDPM(diffusion, other, false, Map.of());
  }

  /**
   * Sets up a sampling run.
   *
   * @return a run with the defaults
   * @throws IllegalStateException if the model has no denoiser
   */
  public Sampling sampling() {
    return Sampling.of(required("sampling"), life.provenanceAndFile());
  }

  /**
   * Sets up a likelihood evaluation: the variational bound in bits per dimension.
   *
   * @return a run with the defaults
   * @throws IllegalStateException if the model has no denoiser
   */
  public BitsPerDim bitsPerDim() {
    return BitsPerDim.of(required("bitsPerDim"));
  }

  /**
   * Sets up a search for the best sampler of this model within a budget of network evaluations.
   *
   * @return a planner with the defaults
   * @throws IllegalStateException if the model has no denoiser
   */
  public SamplerPlanner samplerPlanner() {
    sampling();
    return new SamplerPlanner(diffusion, this::sampling);
  }

  /**
   * Creates a diagnostic listener for one training run of this model. Register it with {@code
   * training().listener(doctor)}.
   *
   * @return a new doctor with no history
   */
  public TrainingDoctor trainingDoctor() {
    return new TrainingDoctor(diffusion);
  }

  /**
   * Sets up a training run.
   *
   * @return a run with the defaults
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be trained
   */
  public Training training() {
    TrainableDenoiser denoiser = trainable("trained");
    return new Training(required("training"), denoiser, life);
  }

  /**
   * Sets up consistency tuning, which makes a model that draws in one or two calls of this one,
   * with {@link ConsistencyTuning#usual()}.
   *
   * @return a run with the defaults of tuning; see {@link #consistencyTuning(ConsistencyTuning)}
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be trained
   */
  public Training consistencyTuning() {
    return consistencyTuning(ConsistencyTuning.usual());
  }

  /**
   * Sets up consistency tuning, which makes a model that draws in one or two calls of this one
   * (Geng et al. 2024). It trains the network in place, as all training does; to keep the model,
   * save it before. The result says in its metadata what it was tuned for, and {@link #sampling()}
   * of it uses {@code Samplers.consistency(2)}.
   *
   * <pre>{@code
   * try (TrainedModel tuned = ddpm.consistencyTuning().steps(2_000).fit(data);
   *     Samples samples = tuned.ddpm().sampling().generate(16)) { … }
   * }</pre>
   *
   * <p>All that a training run can do works here too. Defaults that differ: the loss is {@code
   * Losses.pseudoHuber} of {@value ConsistencyTuning#DEFAULT_HUBER}, levels are drawn by {@code
   * TimestepSampler.logNormal} of {@value ConsistencyTuning#DEFAULT_MEAN} and {@value
   * ConsistencyTuning#DEFAULT_DEVIATION}, and the learning rate is {@value
   * ConsistencyTuning#DEFAULT_LEARNING_RATE}. Weightings, offset noise and input perturbation are
   * refused. Losses of different stages cannot be compared; a validation has those of the last. A
   * variance that the network predicts is not trained, and no sampler of the result asks for it.
   *
   * @param tuning which levels are compared, and the guidance that is built in
   * @return a run with the defaults of tuning
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be trained
   */
  public Training consistencyTuning(ConsistencyTuning tuning) {
    Objects.requireNonNull(tuning, "tuning");
    return training().consistency(tuning);
  }

  /**
   * The loss of a batch, for custom training loops: a scalar that records gradients if a gradient
   * collector is open. Timesteps and noise are drawn as in one pass of a training run.
   *
   * <pre>{@code
   * try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
   *   collector.backward(ddpm.loss(Losses.simple(), x0, Condition.none(),
   *       new TrainableDenoiser.Pass(seed, step)));
   * }
   * }</pre>
   *
   * @param loss the objective, {@link io.github.ddpm4j.loss.Losses#simple()} for the paper's
   * @param x0 clean images, float32, shape (N, C, H, W), in the data range, on the network's
   *     device; not closed
   * @param condition the conditioning; {@link Condition#none()} for none
   * @param pass the seed and the index of the pass, which determine all random draws
   * @return the mean loss, a scalar attached to the manager of {@code x0}; the caller closes it
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be trained
   * @throws IllegalArgumentException if the images, condition or loss do not match the model
   */
  public NDArray loss(Loss loss, NDArray x0, Condition condition, TrainableDenoiser.Pass pass) {
    Given.open(x0, "x0");
    Objects.requireNonNull(loss, "loss");
    Objects.requireNonNull(condition, "condition");
    return BatchLoss.drawn(required("loss"), trainable("trained"), loss, x0, condition, pass);
  }

  /**
   * The loss of a batch at given noise levels and noise; otherwise as {@link #loss(Loss, NDArray,
   * Condition, TrainableDenoiser.Pass)}.
   *
   * @param loss the objective
   * @param x0 clean images, float32, shape (N, C, H, W); not closed
   * @param levels the noise level of each image, N entries
   * @param noise ε, a draw of N(0, 1) of the shape and type of {@code x0}; not closed
   * @param condition the conditioning
   * @param pass the pass whose dropout masks are drawn
   * @return the mean loss, a scalar attached to the manager of {@code x0}; the caller closes it
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be trained
   * @throws IllegalArgumentException if the arrays, levels, condition or loss do not match the
   *     model
   */
  public NDArray loss(
      Loss loss,
      NDArray x0,
      NoiseLevels levels,
      NDArray noise,
      Condition condition,
      TrainableDenoiser.Pass pass) {
    Given.open(x0, "x0");
    Given.open(noise, "noise");
    Objects.requireNonNull(loss, "loss");
    Objects.requireNonNull(condition, "condition");
    return BatchLoss.of(
        required("loss"), trainable("trained"), loss, x0, levels, noise, condition, pass);
  }

  private TrainableDenoiser trainable(String done) {
    DenoisingModel known = model;
    if (known == null) {
      throw new IllegalStateException(
          "a model without a denoiser cannot be "
              + done
              + "; set denoiser(...) when building DDPM");
    }
    if (known.denoiser() instanceof TrainableDenoiser trainable) {
      return trainable;
    }
    throw new IllegalStateException(
        "a denoiser of "
            + known.denoiser().getClass()
            + " cannot be "
            + done
            + "; it must implement TrainableDenoiser, as UNet does");
  }

  @Override
  public String toString() {
    return "DDPM[" + diffusion + ", denoiser=" + denoiser().orElse(null) + "]";
  }

  /**
   * Closes the network if this model came from {@link #load} or {@link TrainedModel#detach};
   * otherwise does nothing.
   */
  @Override
  public void close() {
    if (ownsDenoiser && model != null) {
      model.denoiser().close();
    }
  }

  /** Builds a {@link DDPM}. Can be reused after {@link #build()}. */
  public static final class Builder {

    private @Nullable Integer timesteps;
    private @Nullable Schedule schedule;
    private Prediction prediction = Prediction.EPSILON;
    private Variance variance = Variance.FIXED_LARGE;
    private DataRange dataRange = DataRange.DEFAULT;
    private boolean clip = true;
    private @Nullable Denoiser denoiser;
    private List<String> classNames = List.of();
    private Map<String, String> metadata = Map.of();

    private Builder() {}

    /**
     * The number of timesteps T of the paper's linear schedule. For any other schedule, use {@link
     * #schedule}.
     *
     * @param timesteps at least 1; the default is {@value DDPM#DEFAULT_TIMESTEPS}
     * @return this builder
     * @throws IllegalArgumentException if {@code timesteps} is less than 1
     */
    public Builder timesteps(int timesteps) {
      if (timesteps < 1) {
        throw new IllegalArgumentException("timesteps must be at least 1, but was " + timesteps);
      }
      this.timesteps = timesteps;
      return this;
    }

    /**
     * The noise schedule.
     *
     * @param schedule the default is {@link Schedules#linear(int)}
     * @return this builder
     */
    public Builder schedule(Schedule schedule) {
      this.schedule = Objects.requireNonNull(schedule, "schedule");
      return this;
    }

    /**
     * The quantity that the network predicts.
     *
     * @param prediction the default is {@link Prediction#EPSILON}
     * @return this builder
     */
    public Builder prediction(Prediction prediction) {
      this.prediction = Objects.requireNonNull(prediction, "prediction");
      return this;
    }

    /**
     * The variance of the reverse process.
     *
     * @param variance the default is {@link Variance#FIXED_LARGE}
     * @return this builder
     */
    public Builder variance(Variance variance) {
      this.variance = Objects.requireNonNull(variance, "variance");
      return this;
    }

    /**
     * The range of clean images.
     *
     * @param min black, the default is −1
     * @param max white, the default is 1
     * @return this builder
     * @throws IllegalArgumentException unless both are finite and {@code min < max}
     */
    public Builder dataRange(double min, double max) {
      this.dataRange = new DataRange(min, max);
      return this;
    }

    /**
     * The range of clean images, in each channel its own if they were normalized by a mean and a
     * deviation per channel. {@code Normalization.range()} of ddpm-data has it.
     *
     * @param range the default is {@link DataRange#DEFAULT}
     * @return this builder
     */
    public Builder dataRange(DataRange range) {
      this.dataRange = Objects.requireNonNull(range, "range");
      return this;
    }

    /**
     * Whether x̂_0 is clipped to the range of clean images when they are drawn, unless {@link
     * Sampling#clip} says otherwise. Kept with the model.
     *
     * @param clip the default is true; false for what has no range, such as latents, which {@link
     *     Training#anyRange} then takes
     * @return this builder
     */
    public Builder clip(boolean clip) {
      this.clip = clip;
      return this;
    }

    /**
     * The network. The caller keeps ownership: closing the model does not close it.
     *
     * @param denoiser the network; optional if only the forward process is needed
     * @return this builder
     */
    public Builder denoiser(Denoiser denoiser) {
      this.denoiser = Objects.requireNonNull(denoiser, "denoiser");
      return this;
    }

    /**
     * The names of the classes that the network is trained on, to be kept with the model.
     *
     * @param names as many as the network has classes, the name of label 0 first; none by default
     * @return this builder
     */
    public Builder classNames(List<String> names) {
      this.classNames = List.copyOf(Objects.requireNonNull(names, "names"));
      return this;
    }

    /**
     * What is to be kept with the model for people: a licence, what the dataset is, a figure.
     *
     * @param words texts by name, 1 MiB of them at most; none by default
     * @return this builder
     */
    public Builder metadata(Map<String, String> words) {
      Objects.requireNonNull(words, "words");
      this.metadata = Collections.unmodifiableMap(new LinkedHashMap<>(words));
      return this;
    }

    /**
     * Builds the model.
     *
     * @return the model
     * @throws IllegalArgumentException if timesteps and a schedule of a different length are both
     *     set, the prediction cannot be used with the schedule, or the variance is learned and the
     *     network does not predict one; if class names are blank, there twice, or not as many as
     *     the network has classes; if the data range is one of another number of channels than the
     *     network's images; or if a name or a word of the metadata is no text that a file can hold
     */
    public DDPM build() {
      Schedule chosen = schedule;
      if (chosen == null) {
        chosen = Schedules.linear(timesteps == null ? DEFAULT_TIMESTEPS : timesteps);
      } else if (timesteps != null && timesteps != chosen.timesteps()) {
        throw new IllegalArgumentException(
            "timesteps("
                + timesteps
                + ") does not match the schedule, which has "
                + chosen.timesteps()
                + "; leave timesteps() out");
      }
      requireNames();
      Map<String, String> words = new LinkedHashMap<>(new EstimateLimit(clip, null).metadata());
      words.putAll(metadata);
      return new DDPM(
          new Diffusion(chosen, prediction, variance, dataRange, classNames, words),
          denoiser,
          false,
          Map.of());
    }

    private void requireNames() {
      if (classNames.isEmpty() || denoiser == null) {
        return;
      }
      if (!denoiser.conditionKinds().contains(Condition.Kind.LABELS)) {
        throw new IllegalArgumentException(
            "classNames are for a network that is conditioned on labels, but "
                + denoiser
                + " is not; leave them out, or build it with classes("
                + classNames.size()
                + ")");
      }
      OptionalInt classes = denoiser.classes();
      if (classes.isPresent() && classes.getAsInt() != classNames.size()) {
        throw new IllegalArgumentException(
            "classNames must be as many as the network has classes, which are "
                + classes.getAsInt()
                + ", but were "
                + classNames.size());
      }
    }
  }
}
