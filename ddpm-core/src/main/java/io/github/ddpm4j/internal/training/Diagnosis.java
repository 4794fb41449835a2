package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.RecordNames;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.training.StepLayout.LogColumn;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.Guard;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.StringJoiner;
import java.util.function.IntFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What there is to say of a step that ends a run: its batches are read and drawn again, and the
 * network, whose weights are those from before the step, runs operation by operation.
 */
final class Diagnosis {

  private static final Logger logger = LoggerFactory.getLogger(Diagnosis.class);

  private static final int SHOWN = 16;

  private final DenoisingModel model;
  private final TrainableDenoiser network;
  private final TrainingSettings settings;
  private final Dataset dataset;
  private final Noising noising;
  private final Conditioning conditioning;
  private final NDManager manager;
  private final NDManager reading;

  Diagnosis(
      DenoisingModel model,
      TrainableDenoiser network,
      TrainingSettings settings,
      Dataset dataset,
      Noising noising,
      Conditioning conditioning,
      NDManager manager,
      NDManager reading) {
    this.model = model;
    this.network = network;
    this.settings = settings;
    this.dataset = dataset;
    this.noising = noising;
    this.conditioning = conditioning;
    this.manager = manager;
    this.reading = reading;
  }

  /**
   * The message of a run that ends.
   *
   * @param step the step, from 1
   * @param row what the log has of it
   * @param timesteps of its images
   * @param before how many steps in a row before it were bad
   * @param last the last good loss, or NaN
   * @param rate the learning rate
   * @param batches what its batches tell
   */
  static String message(
      Guard guard,
      int step,
      double[] row,
      int[] timesteps,
      int before,
      double last,
      double rate,
      IntFunction<String> batches) {
    double loss = row[LogColumn.LOSS.place()];
    double norm = row[LogColumn.NORM.place()];
    return (before > 0 ? before + 1 + " steps in a row were bad: " : "")
        + reason(guard, step, row)
        + " at timesteps "
        + shorten(timesteps)
        + "; the last good loss was "
        + last
        + "; the weights are those after step "
        + (step - 1 - before)
        + "; the learning rate was "
        + rate
        + ", the loss "
        + loss
        + ", the gradient norm "
        + norm
        + batches.apply(step)
        + "; lower the learning rate, lengthen the warm-up, "
        + (guard.mostInARow() > 1
            ? "or clip the gradient norm"
            : "clip the gradient norm, or skip such steps by guard(Guard.skip())");
  }

  private static String reason(Guard guard, int step, double[] row) {
    double loss = row[LogColumn.LOSS.place()];
    double norm = row[LogColumn.NORM.place()];
    double usualLoss = row[LogColumn.USUAL_LOSS.place()];
    double usualNorm = row[LogColumn.USUAL_NORM.place()];
    if (!Double.isFinite(loss)) {
      return "the loss of step " + step + " is " + loss;
    }
    if (!Double.isFinite(norm)) {
      return "the gradient norm of step " + step + " is " + norm;
    }
    boolean ofLoss = Math.abs(loss) / usualLoss > norm / usualNorm;
    return "the "
        + (ofLoss ? "loss" : "gradient norm")
        + " of step "
        + step
        + " is "
        + (ofLoss ? loss : norm)
        + ", more than "
        + guard.explosion()
        + " times the usual "
        + (ofLoss ? usualLoss : usualNorm)
        + ",";
  }

  private static String shorten(int[] timesteps) {
    if (timesteps.length <= SHOWN) {
      return Arrays.toString(timesteps);
    }
    String head = Arrays.toString(Arrays.copyOf(timesteps, SHOWN));
    return head.substring(0, head.length() - 1) + ", … " + (timesteps.length - SHOWN) + " more]";
  }

  /**
   * What the weights and the batches of a step tell.
   *
   * @param step the step, from 1
   * @return to be put behind the numbers of the step; empty if there is nothing to say
   */
  String of(int step) {
    try (GradMode off = GradMode.off();
        NDManager own = manager.newSubManager();
        NDManager host = reading.newSubManager()) {
      Optional<String> weight = weight();
      if (weight.isPresent()) {
        return "; the weight " + weight.get() + " is not finite";
      }
      return dataset instanceof RandomAccessDataset ? ofBatches(step, own, host) : "";
    } catch (RuntimeException e) {
      // The run has failed already: this is about why.
      logger.debug("step {} cannot be looked at again", step, e);
      return "";
    }
  }

  private Optional<String> weight() {
    return network.weights().entrySet().stream()
        .filter(entry -> !Probe.isFinite(entry.getValue()))
        .map(Map.Entry::getKey)
        .findFirst();
  }

  private String ofBatches(int step, NDManager own, NDManager host) {
    long first = (step - 1L) * settings.accumulation();
    TrainingData data =
        TrainingData.of(
            dataset,
            host,
            settings.batchSize(),
            settings.seed(),
            network.imageShape(),
            DataBounds.of(model.diffusion(), settings).seenBefore(),
            first);
    double least = Double.POSITIVE_INFINITY;
    double greatest = Double.NEGATIVE_INFINITY;
    StringJoiner read = new StringJoiner(" and ");
    Optional<String> found = Optional.empty();
    long before = 0;
    for (long pass = first; pass < first + settings.accumulation(); pass++) {
      try (Batch records = data.next();
          NDManager scope = own.newSubManager()) {
        RecordNames names = data.names();
        NDArray images = records.getData().head().toDevice(scope.getDevice(), false);
        images.attach(scope);
        Images.Extent extent = Images.Extent.of(images);
        least = Math.min(least, extent.least());
        greatest = Math.max(greatest, extent.greatest());
        read.add(names.all());
        TrainingBatch drawn = noising.draw(images, pass);
        LevelPairs pairs = LevelPairs.of(settings, model.diffusion());
        TrainingBatch batch =
            conditioning.conditioned(
                pairs == null ? drawn : pairs.paired(drawn, step - 1L),
                records.getLabels(),
                names,
                step - 1L,
                before);
        before += batch.levels().size();
        if (found.isEmpty()) {
          found = firstNotFinite(batch);
        }
      }
    }
    return "; "
        + read
        + " have values from "
        + least
        + " to "
        + greatest
        + "; "
        + found
            .map(operation -> "the first output that is not finite is that of " + operation)
            .orElse("all outputs of the network, operation by operation in float32, are finite");
  }

  private Optional<String> firstNotFinite(TrainingBatch batch) {
    NoiseLevels levels = model.told(batch.levels());
    NDArray x =
        model.diffusion().prediction().scalesInput() ? batch.xt().mul(scales(batch)) : batch.xt();
    if (!Probe.isFinite(x)) {
      return Optional.of("the noising, the input of the network");
    }
    if (!(network instanceof ScriptedDenoiser scripted)) {
      NDArray output = network.predictForTraining(x, levels, batch.condition(), batch.pass());
      return Probe.isFinite(output) ? Optional.empty() : Optional.of("the network");
    }
    Probe probe =
        new Probe(EagerOps.training(batch.pass().seed(), batch.pass().index()), network.weights());
    scripted.run(probe.ops(), x, levels, batch.condition());
    return probe.found();
  }

  private NDArray scales(TrainingBatch batch) {
    ImageNumbers numbers =
        new ImageNumbers(
            model.diffusion(),
            settings.weighting(),
            settings.timestepSampler().begin(model.diffusion().schedule()),
            batch.levels());
    return new ArrayColumns(batch.images(), numbers).of(StepLayout.Column.INPUT_SCALE);
  }
}
