package io.github.ddpm4j;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.evaluation.BitsPerDim;
import io.github.ddpm4j.evaluation.SamplerPlanner;
import io.github.ddpm4j.evaluation.TrainingDoctor;
import io.github.ddpm4j.internal.io.ModelFolder;
import io.github.ddpm4j.internal.training.BatchLoss;
import io.github.ddpm4j.loss.Loss;
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
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A denoising diffusion probabilistic model (Ho, Jain, Abbeel 2020): a schedule, what the network
 * predicts, and the network. The way in to everything else.
 *
 * <pre>{@code
 * DDPM ddpm = DDPM.builder().timesteps(1000).denoiser(unet).build();
 * try (TrainedModel result = ddpm.training().steps(5_000).fit(dataset);
 *     Samples samples = result.ddpm().sampling().seed(42).generate(16)) {
 *   samples.saveGrid(Path.of("samples.png"));
 * }
 * }</pre>
 *
 * <p>Immutable, and as safe to share between threads as its network is for inference. Closing it
 * closes the network only if {@link #load} made it or {@link TrainedModel#detach} handed it over.
 */
public final class DDPM implements AutoCloseable {

  /** The number of timesteps of the paper: {@value}. */
  public static final int DEFAULT_TIMESTEPS = 1000;

  private final Diffusion diffusion;
  private final @Nullable DenoisingModel model;
  private final boolean ownsDenoiser;
  private final Map<String, Object> provenance;

  DDPM(
      Diffusion diffusion,
      @Nullable Denoiser denoiser,
      boolean ownsDenoiser,
      Map<String, Object> provenance) {
    this.diffusion = diffusion;
    this.model = denoiser == null ? null : DenoisingModel.of(diffusion, denoiser);
    this.ownsDenoiser = ownsDenoiser;
    this.provenance = Collections.unmodifiableMap(new LinkedHashMap<>(provenance));
  }

  /**
   * Starts building a model. Without further settings it is the paper's: T = 1000, linear β from
   * 1e-4 to 0.02, ε-prediction, fixed-large variance, images in [−1, 1].
   *
   * @return a builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Loads a model that {@link #save} wrote, onto the engine's default device.
   *
   * @param folder the folder
   * @return the model; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails or a file is not what it should be
   */
  public static DDPM load(Path folder) throws IOException {
    return load(folder, Engine.getInstance().defaultDevice());
  }

  /**
   * Loads a model that {@link #save} wrote.
   *
   * @param folder the folder
   * @param device where to put the weights
   * @return the model; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails or a file is not what it should be
   */
  public static DDPM load(Path folder, Device device) throws IOException {
    ModelFolder.Contents contents = ModelFolder.read(folder, device);
    boolean done = false;
    try {
      DDPM loaded = new DDPM(contents.diffusion(), contents.denoiser(), true, contents.training());
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
   * Writes the model into a folder: {@code ddpm.json}, which says all that loading needs, and
   * {@code weights.safetensors}. The folder appears whole or not at all.
   *
   * @param folder where to; an older model there is replaced
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be saved
   * @throws java.nio.file.FileAlreadyExistsException if {@code folder} is something else
   * @throws IOException if writing fails; what was there before is still there
   */
  public void save(Path folder) throws IOException {
    ModelFolder.write(folder, new ModelFolder.Contents(diffusion, trainable("saved"), provenance));
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
   * What the network predicts.
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
   * The network.
   *
   * @return the network, or empty for the maths alone
   */
  public Optional<Denoiser> denoiser() {
    return Optional.ofNullable(model).map(DenoisingModel::denoiser);
  }

  /**
   * The network as what it is: {@code ddpm.denoiser(UNet.class)}.
   *
   * @param type the class of the network, or one that it implements
   * @param <D> that class
   * @return the network
   * @throws IllegalStateException if the model has no network, or one of another class
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
   * The schedule, prediction and variance with the network in that role: what answers questions
   * about noisy images, for loops of one's own.
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

  /** This model, which frees its network when it is closed. */
  DDPM owning() {
    return new DDPM(diffusion, required("owning()").denoiser(), true, provenance);
  }

  /**
   * How the weights were made: seed, steps and settings of the training run, if this library
   * trained them.
   *
   * @return an unmodifiable map in a stable order; empty if nothing is known
   */
  public Map<String, Object> provenance() {
    return provenance;
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
   * @param other the network; closed by who built it
   * @return a model over {@code other}
   * @throws IllegalArgumentException if the variance is the network's to say and {@code other} says
   *     none
   */
  public DDPM withDenoiser(Denoiser other) {
    return new DDPM(diffusion, other, false, Map.of());
  }

  /**
   * Sets up a sampling run.
   *
   * @return a run with the defaults
   * @throws IllegalStateException if the model has no denoiser
   */
  public Sampling sampling() {
    return Sampling.of(required("sampling"));
  }

  /**
   * Sets up a measurement of the likelihood of images: the variational bound in bits per value.
   *
   * @return a run with the defaults
   * @throws IllegalStateException if the model has no denoiser
   */
  public BitsPerDim bitsPerDim() {
    return BitsPerDim.of(required("bitsPerDim"));
  }

  /**
   * Sets up the search for the sampler of this model within a budget of network calls.
   *
   * @return a planner with the defaults
   * @throws IllegalStateException if the model has no denoiser
   */
  public SamplerPlanner samplerPlanner() {
    sampling();
    return new SamplerPlanner(diffusion, this::sampling);
  }

  /**
   * A doctor for one training run of this model: add it by {@code training().listener(doctor)}.
   *
   * @return a doctor that has seen nothing yet
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
    return new Training(required("training"), denoiser);
  }

  /**
   * The loss of a batch, for a training loop of one's own: a scalar with gradients, if a gradient
   * collector is open. Timesteps and noise are drawn as those of a pass of a training run.
   *
   * <pre>{@code
   * try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
   *   collector.backward(ddpm.loss(Losses.simple(), x0, Condition.none(), new TrainableDenoiser.Pass(seed, step)));
   * }
   * }</pre>
   *
   * @param loss the objective, {@link io.github.ddpm4j.loss.Losses#simple()} for the paper's
   * @param x0 clean images, float32, shape (N, C, H, W), in the data range, on the network's
   *     device; not closed
   * @param condition what they are conditioned on; {@link Condition#none()} for nothing
   * @param pass the seed, and the number of the pass: with the same, the same is drawn
   * @return the mean loss, a scalar attached to the manager of {@code x0}; the caller closes it
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be trained
   * @throws IllegalArgumentException if the images, condition or loss do not fit the model
   */
  public NDArray loss(Loss loss, NDArray x0, Condition condition, TrainableDenoiser.Pass pass) {
    return BatchLoss.drawn(required("loss"), trainable("trained"), loss, x0, condition, pass);
  }

  /**
   * The loss of a batch at levels and noise that are given; otherwise as {@link #loss(Loss,
   * NDArray, Condition, TrainableDenoiser.Pass)}.
   *
   * @param loss the objective
   * @param x0 clean images, float32, shape (N, C, H, W); not closed
   * @param levels how noisy each is made, N entries
   * @param noise ε, a draw of N(0, 1) of the shape and type of {@code x0}; not closed
   * @param condition what they are conditioned on
   * @param pass the pass that dropout masks are drawn for
   * @return the mean loss, a scalar attached to the manager of {@code x0}; the caller closes it
   * @throws IllegalStateException if the model has no denoiser, or one that cannot be trained
   * @throws IllegalArgumentException if the arrays, levels, condition or loss do not fit the model
   */
  public NDArray loss(
      Loss loss,
      NDArray x0,
      NoiseLevels levels,
      NDArray noise,
      Condition condition,
      TrainableDenoiser.Pass pass) {
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
   * Closes the network if {@link #load} made it, or {@link TrainedModel#detach} handed it over;
   * otherwise does nothing.
   */
  @Override
  public void close() {
    if (ownsDenoiser && model != null) {
      model.denoiser().close();
    }
  }

  /** Builds a {@link DDPM}. May be used again after {@link #build()}. */
  public static final class Builder {

    private @Nullable Integer timesteps;
    private @Nullable Schedule schedule;
    private Prediction prediction = Prediction.EPSILON;
    private Variance variance = Variance.FIXED_LARGE;
    private DataRange dataRange = DataRange.DEFAULT;
    private @Nullable Denoiser denoiser;

    private Builder() {}

    /**
     * The number of timesteps T of the paper's linear schedule. For another schedule use {@link
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
     * What the network predicts.
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
     * The network. It stays with who built it: closing the model does not close it.
     *
     * @param denoiser the network; leave it out for the maths alone
     * @return this builder
     */
    public Builder denoiser(Denoiser denoiser) {
      this.denoiser = Objects.requireNonNull(denoiser, "denoiser");
      return this;
    }

    /**
     * Builds the model.
     *
     * @return the model
     * @throws IllegalArgumentException if timesteps and a schedule of another length are both set,
     *     the prediction cannot be used with the schedule, or the variance is the network's to say
     *     and the network says none
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
      return new DDPM(
          new Diffusion(chosen, prediction, variance, dataRange), denoiser, false, Map.of());
    }
  }
}
