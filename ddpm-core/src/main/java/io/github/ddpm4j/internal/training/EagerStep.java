package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.index.NDIndex;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.EagerTape;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.torch.Collecting;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.Recomputation;

/** A step operation by operation, through the engine's gradient collector. */
final class EagerStep implements Step {

  private final DenoisingModel model;
  private final TrainableDenoiser network;
  private final Objective objective;
  private final int accumulation;
  private final Recomputation recomputation;
  private final StepState state;
  private final Program program;

  EagerStep(
      DenoisingModel model, TrainableDenoiser network, TrainingSettings settings, StepState state) {
    this.model = model;
    this.network = network;
    this.objective = Objective.of(model, settings);
    this.accumulation = settings.accumulation();
    this.recomputation = settings.recomputation();
    if (!recomputation.isNone() && !(network instanceof ScriptedDenoiser)) {
      throw new IllegalArgumentException(
          "recomputation needs a network that is written over Ops, a ScriptedDenoiser, but it is a "
              + network.getClass().getName()
              + "; train without recomputation");
    }
    this.state = state;
    this.program =
        Program.compile(new StepScript(settings, state.weights().size(), false).update());
    // A caller's own backward pass adds to the same gradients.
    clearGradients();
  }

  @Override
  public NDArray take(Begun step, TrainingBatch batch, ImageNumbers numbers) {
    EagerOps ops = EagerOps.training(batch.pass().seed(), batch.pass().index());
    try (EagerTape tape = new EagerTape(recomputation::includes);
        Collecting collecting = Collecting.begin(batch.images().getManager())) {
      Objective.Result<NDArray> result =
          objective.of(
              ops,
              new ArrayColumns(batch.images(), numbers),
              batch.values(),
              x -> predict(ops, tape, x, batch),
              x -> predictStill(x, batch));
      NDArray share = ops.scale(result.mean(), 1.0 / accumulation);
      if (recomputation.isNone()) {
        collecting.backward(share);
      } else {
        tape.backward(share, collecting::backward);
      }
      try (GradMode off = GradMode.off()) {
        step.total().addi(share);
        return result.each().stopGradient();
      }
    }
  }

  private NDArray predict(EagerOps ops, EagerTape tape, NDArray x, TrainingBatch batch) {
    NoiseLevels levels = model.told(batch.levels());
    return network instanceof ScriptedDenoiser scripted && !recomputation.isNone()
        ? scripted.run(ops.on(tape), x, levels, batch.condition())
        : Given.returned(
            network.predictForTraining(x, levels, batch.condition(), batch.pass()),
            "the denoiser of " + network.getClass());
  }

  /** With the dropout masks of the pass. */
  private NDArray predictStill(NDArray x, TrainingBatch batch) {
    try (GradMode off = GradMode.off()) {
      return Given.returned(
          network.predictForTraining(x, batch.askedEarlier(model), batch.condition(), batch.pass()),
          "the denoiser of " + network.getClass());
    }
  }

  @Override
  public void end(Begun step) {
    try (NDList gradients = gradients()) {
      state.update(program, step, gradients);
    }
  }

  /** Views of the gradients, which every call attaches to the weights' manager anew. */
  private NDList gradients() {
    NDList gradients = new NDList();
    state.weights().forEach(weight -> gradients.add(weight.getGradient()));
    return gradients;
  }

  private void clearGradients() {
    try (GradMode update = GradMode.off();
        NDList gradients = gradients()) {
      for (NDArray gradient : gradients) {
        try (NDArray zeros = gradient.zerosLike()) {
          gradient.set(new NDIndex("..."), zeros);
        }
      }
    }
  }

  /** A run that ended between backward and update must not leave its gradients to the next. */
  @Override
  public void close() {
    try (Program closing = program) {
      clearGradients();
    }
  }
}
