package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.internal.data.RecordNames;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.ScriptedDenoiser;
import java.util.EnumSet;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the images of a run are conditioned on: where it comes from, which images go without it, and
 * when the network sees its own estimate of them.
 */
final class Conditioning {

  private static final Logger logger = LoggerFactory.getLogger(Conditioning.class);

  /** How often the network sees its estimate (Chen et al. 2022, section 3). */
  private static final double ESTIMATE_RATE = 0.5;

  private final DenoisingModel model;
  private final @Nullable BiFunction<NDArray, NDList, Condition> source;
  private final double dropout;
  private final NoisePairing pairing;
  private final CounterRandom drops;
  private final CounterRandom estimates;

  /** What the data or the source must tell. */
  private final Set<Kind> wanted = EnumSet.noneOf(Kind.class);

  private boolean told;

  /** Checks that the network and the run fit together. */
  Conditioning(DenoisingModel model, TrainingSettings settings) {
    this.model = model;
    this.source = settings.condition();
    this.dropout = settings.conditionDropout();
    this.pairing = new NoisePairing(model, settings.noiseAssignment());
    this.drops = CounterRandom.of(settings.seed(), CounterRandom.Stream.CONDITION_DROPOUT);
    this.estimates = CounterRandom.of(settings.seed(), CounterRandom.Stream.SELF_CONDITIONING);
    wanted.addAll(model.denoiser().conditionKinds());
    wanted.remove(Kind.PREVIOUS_X0);
    if (wanted.isEmpty() && (source != null || dropout > 0)) {
      throw new IllegalArgumentException(
          (source != null ? "the run has a condition" : "conditionDropout was " + dropout)
              + ", but the network takes no condition; build it for one, as by UNet.builder().classes(n),"
              + " or leave "
              + (source != null ? "condition(...)" : "conditionDropout(...)")
              + " out");
    }
    if (source == null && !Set.of(Kind.LABELS).containsAll(wanted)) {
      throw new IllegalArgumentException(
          "the network is conditioned on "
              + text(wanted)
              + ", which the labels of the data alone do not tell; call condition((images, labels)"
              + " -> ...)");
    }
  }

  /**
   * The batch under its condition, the network's own estimate included, with the noise of each
   * image assigned.
   *
   * @param labels what the dataset has beside the images
   * @param names how messages name the images
   * @param step the number of steps done before
   * @param first the number of images that the step has had before
   */
  TrainingBatch conditioned(
      TrainingBatch batch, NDList labels, RecordNames names, long step, long first) {
    Condition all = of(batch.images(), labels, names);
    TrainingBatch own = pairing.paired(batch, all).withCondition(dropped(all, names, step, first));
    if (!estimates(step)) {
      return own;
    }
    try {
      return own.withCondition(withEstimate(own.condition(), own));
    } catch (IllegalArgumentException e) {
      throw named(e, own, names);
    }
  }

  /** A refusal with the image whose condition the network does not take, if that is the reason. */
  IllegalArgumentException named(
      IllegalArgumentException refusal, TrainingBatch batch, RecordNames names) {
    if (model.denoiser() instanceof ScriptedDenoiser network && !batch.condition().isNone()) {
      for (int i = 0; i < batch.levels().size(); i++) {
        try (NDArray image = batch.images().get(new NDIndex("{}:{}", i, i + 1))) {
          network.conditionInputs(batch.condition().select(i), image).close();
        } catch (IllegalArgumentException own) {
          return new IllegalArgumentException(
              names.image(i) + ", image " + i + " of its batch: " + refusal.getMessage(), refusal);
        }
      }
    }
    return refusal;
  }

  private Condition of(NDArray images, NDList labels, RecordNames names) {
    if (wanted.isEmpty()) {
      if (!labels.isEmpty() && !told) {
        told = true;
        logger.info(
            "the data has labels, which are not used: the network is not conditioned on them; build"
                + " it for them, as by UNet.builder().classes(n), if it should be");
      }
      return Condition.none();
    }
    return whole(images, labels, names);
  }

  private Condition dropped(Condition all, RecordNames names, long step, long first) {
    if (wanted.isEmpty()) {
      return all;
    }
    if (dropout > 0 && all.has(Kind.CONTEXTS)) {
      requireUnconditional(all.dropped(), names);
    }
    return all.dropped(
        image -> dropout > 0 && drops.at(step, first + image).nextDouble() < dropout);
  }

  private void requireUnconditional(Condition dropped, RecordNames names) {
    for (int i = 0; i < dropped.size().orElse(0); i++) {
      if (!dropped.isPresent(Kind.CONTEXTS, i)) {
        throw new IllegalArgumentException(
            "conditionDropout was "
                + dropout
                + ", but nothing stands for none beside the context of "
                + names.image(i)
                + "; give the encoded empty text as well, by Condition.contexts(contexts,"
                + " unconditional)");
      }
    }
  }

  /** The condition of all images, without an estimate. */
  Condition whole(NDArray images, NDList labels, RecordNames names) {
    if (wanted.isEmpty()) {
      return Condition.none();
    }
    int count = Math.toIntExact(images.getShape().get(0));
    Condition condition;
    if (source == null) {
      condition = Condition.labels(classes(labels, names, count));
    } else {
      try (GradMode off = GradMode.off()) {
        condition = Given.returned(source.apply(images, labels), "the function of condition(...)");
      }
    }
    require(condition, count);
    return condition;
  }

  private void require(Condition condition, int count) {
    Set<Kind> missing = EnumSet.copyOf(wanted);
    missing.removeIf(condition::has);
    if (!missing.isEmpty() || condition.size().orElse(0) != count) {
      throw new IllegalArgumentException(
          "the condition of a batch of "
              + count
              + " images must be of as many images, by "
              + text(wanted)
              + ", but was "
              + condition
              + "; use dropped(...) or Condition.ABSENT for images without a condition");
    }
    if (condition.has(Kind.PREVIOUS_X0)) {
      throw new IllegalArgumentException(
          "training makes the previous x̂_0 itself, but the condition of a batch was "
              + condition
              + "; leave it out");
    }
  }

  private static String text(Set<Kind> kinds) {
    return kinds.stream().map(Kind::toString).collect(Collectors.joining(" and "));
  }

  private static int[] classes(NDList labels, RecordNames names, int count) {
    if (labels.isEmpty()) {
      throw new IllegalArgumentException(
          "the network has classes, but the data has no labels; use a dataset with labels, or call"
              + " condition((images, labels) -> ...)");
    }
    NDArray first = labels.head();
    if (first.size() != count || first.getShape().dimension() > 2) {
      throw new IllegalArgumentException(
          "labels must have the shape (N) or (N, 1), one class per image, but there are "
              + count
              + " images and labels of the shape "
              + first.getShape()
              + "; call condition((images, labels) -> ...) to make conditions of them");
    }
    double[] values;
    try (NDArray doubles = first.toType(DataType.FLOAT64, true)) {
      values = doubles.toDoubleArray();
    }
    int[] classes = new int[count];
    for (int i = 0; i < count; i++) {
      classes[i] = (int) values[i];
      if (classes[i] != values[i]) {
        throw new IllegalArgumentException(
            "labels must be whole numbers, the classes, but that of "
                + names.image(i)
                + " was "
                + values[i]
                + "; call condition((images, labels) -> ...) to make conditions of them");
      }
    }
    return classes;
  }

  /** Whether the network sees its own estimate in a step; always the same for the same seed. */
  private boolean estimates(long step) {
    return model.denoiser().conditionKinds().contains(Kind.PREVIOUS_X0)
        && estimates.at(step, 0).nextDouble() < ESTIMATE_RATE;
  }

  /**
   * A condition with what the network takes the clean images for, which is not differentiated; the
   * array goes to the manager of the images.
   */
  private Condition withEstimate(Condition condition, TrainingBatch batch) {
    NDManager owner = batch.images().getManager();
    DataRange range = model.diffusion().dataRange();
    try (GradMode off = GradMode.off();
        NDManager scope = owner.newSubManager()) {
      NDArray xt = batch.xt();
      xt.attach(scope);
      NDArray x0 = model.ask(xt, batch.levels(), condition).x0();
      NDArray clipped = ChannelRanges.clip(x0, range);
      clipped.attach(owner);
      return condition.and(Condition.previousX0(clipped));
    }
  }
}
