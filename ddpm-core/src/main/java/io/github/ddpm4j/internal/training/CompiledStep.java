package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.internal.training.StepLayout.Argument;
import io.github.ddpm4j.internal.training.StepLayout.Call;
import io.github.ddpm4j.internal.training.StepLayout.Column;
import io.github.ddpm4j.internal.training.StepLayout.Method;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.ScriptedDenoiser;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * A step in one call of the engine; with accumulation in one call per batch and one for the update.
 */
final class CompiledStep implements Step {

  private final DenoisingModel model;
  private final ScriptedDenoiser network;
  private final StepState state;
  private final Program program;

  /** Whether a batch is a step, so that its call updates the weights too. */
  private final boolean whole;

  private final Method stepping;
  private final Method accumulating;

  /** Where gradients are added up, if a step has several batches. */
  private final NDList sums;

  /** What the loss asks for per image. */
  private final Set<Coefficient> coefficients = EnumSet.noneOf(Coefficient.class);

  CompiledStep(
      DenoisingModel model,
      ScriptedDenoiser network,
      TrainingSettings settings,
      StepState state,
      NDManager manager) {
    this.model = model;
    this.network = network;
    this.state = state;
    this.whole = settings.accumulation() == 1;
    this.sums = whole ? new NDList() : state.zeros(manager);
    boolean scales = Verdict.scales(network);
    StepScript script = new StepScript(settings, state.weights().size(), scales);
    this.stepping = script.stepping();
    this.accumulating = script.accumulating();
    this.program = Program.compile(script.methods(model, network, coefficients));
  }

  @Override
  public NDArray take(Begun step, TrainingBatch batch, ImageNumbers numbers) {
    NDArray images = batch.images();
    double[] seeds = new double[network.dropoutLayers()];
    Arrays.setAll(
        seeds, layer -> EagerOps.dropoutSeed(batch.pass().seed(), batch.pass().index(), layer));
    Call call =
        new Call()
            .with(Argument.X0, images)
            .with(Argument.NUMBERS, step.numbers().upload(step.host(), seeds))
            .with(Argument.INPUT_NOISE, batch.inputNoise())
            .with(Argument.NOISE, batch.noise())
            .with(Argument.ROWS, rows(batch, numbers))
            .withConditions(network.conditionInputs(batch.condition(), images));
    if (batch.earlier() != null) {
      call.with(Argument.EARLIER_X0, batch.earlier().images());
    }
    if (whole) {
      return state.in(call).of(program, stepping).head();
    }
    return call.with(Argument.WEIGHTS, state.weights())
        .with(Argument.GRADIENTS, sums)
        .with(Argument.JUDGED, state.judged())
        .with(Argument.TOTAL, step.total())
        .of(program, accumulating)
        .head();
  }

  @Override
  public void end(Begun step) {
    if (!whole) {
      state.update(program, step, sums);
    }
  }

  /** Row by row the numbers of an image, and its levels as the network takes them in. */
  private NDArray rows(TrainingBatch batch, ImageNumbers numbers) {
    int images = batch.levels().size();
    List<double[]> levels = new ArrayList<>();
    levels.add(network.levelFeatures(model.told(batch.levels())));
    if (batch.earlier() != null) {
      levels.add(network.levelFeatures(batch.askedEarlier(model)));
    }
    int featureCount = levels.get(0).length / images;
    int width = StepLayout.LEVELS + levels.size() * featureCount;
    double[] values = new double[images * width];
    for (Column column : Column.values()) {
      spread(numbers.of(column), values, column.place(), width);
    }
    for (Coefficient coefficient : coefficients) {
      spread(numbers.of(coefficient), values, StepLayout.place(coefficient), width);
    }
    for (int k = 0; k < levels.size(); k++) {
      int place = StepLayout.LEVELS + k * featureCount;
      for (int i = 0; i < images; i++) {
        System.arraycopy(levels.get(k), i * featureCount, values, i * width + place, featureCount);
      }
    }
    NDManager owner = batch.images().getManager();
    return Upload.doubles(owner, values, new Shape(images, width), DataType.FLOAT32);
  }

  private static void spread(double[] column, double[] values, int place, int width) {
    for (int i = 0; i < column.length; i++) {
      values[i * width + place] = column[i];
    }
  }

  @Override
  public void close() {
    program.close();
  }
}
