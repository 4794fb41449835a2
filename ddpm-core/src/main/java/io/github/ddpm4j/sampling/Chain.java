package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.model.Answer;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One batch of images on its way through a {@link SamplingPlan}: where it stands, and what it keeps
 * for later rows. {@link RowUpdate} says what a row makes of it. Owned by one thread at a time.
 */
final class Chain {

  /** What runs after a row's update, before the next row: it may replace x. */
  @FunctionalInterface
  interface Hook {
    NDArray apply(Chain chain, NDArray x, NDArray x0);
  }

  /** How the images of a chain are drawn: everything but their start. */
  record Terms(SamplingPlan plan, X0Limit limit, Guidance guidance, NoiseSource noise, Hook hook) {}

  private final DenoisingModel model;
  private final Terms terms;
  private final Condition condition;
  private final long firstImage;
  private final int images;
  private final NDManager manager;
  private final NDArray[] past;
  private NDArray x;
  private @Nullable NDArray preview;
  private int row;

  /**
   * @param start x before the first row, (N, C, H, W); taken over. Its manager becomes the owner of
   *     what the chain keeps
   * @param condition what the images are conditioned on
   * @param firstImage the index in the run of the first image
   */
  Chain(DenoisingModel model, Terms terms, Condition condition, NDArray start, long firstImage) {
    this.model = model;
    this.terms = terms;
    this.condition = condition;
    this.firstImage = firstImage;
    this.images = Math.toIntExact(start.getShape().get(0));
    this.manager = start.getManager();
    this.past = new NDArray[terms.plan.depth()];
    this.x = start;
  }

  boolean hasNext() {
    return row < terms.plan.steps().size();
  }

  /** The number of the row that comes next. */
  int row() {
    return row;
  }

  int rows() {
    return terms.plan.steps().size();
  }

  SamplingPlan plan() {
    return terms.plan;
  }

  long firstImage() {
    return firstImage;
  }

  int images() {
    return images;
  }

  NDManager manager() {
    return manager;
  }

  NoiseSource noise() {
    return terms.noise;
  }

  NDArray x() {
    return x;
  }

  /** What a move does. */
  SamplingRun.Event event(Move move) {
    return new SamplingRun.Event(firstImage, row, rows(), step().timestep(), move.x, move.preview);
  }

  /** x̂_0 of the last row, or null before the first. */
  @Nullable NDArray preview() {
    return preview;
  }

  /** What has been remembered, the latest first; entries are null before there are as many rows. */
  NDArray[] past() {
    return past;
  }

  /** Goes on from where another chain of the same terms stood. Arrays are taken over. */
  void restore(int atRow, List<NDArray> remembered, @Nullable NDArray lastPreview) {
    row = atRow;
    for (int i = 0; i < remembered.size(); i++) {
      past[i] = remembered.get(i);
    }
    preview = lastPreview;
  }

  /** The row that comes next. */
  SamplingPlan.Step step() {
    return terms.plan.steps().get(row);
  }

  /** How noisy the images are before the row. */
  NoiseLevels levels() {
    return NoiseLevels.of(step().level(), images);
  }

  /** What is asked about the images: the network, and second models of guidance. */
  List<Question> questions() {
    return terms.guidance.questions(condition, firstImage, images, step().level()).stream()
        .map(this::question)
        .toList();
  }

  private Question question(Mixture.Asked asked) {
    SecondModel second = asked.model();
    if (second == null) {
      return new Question(model, null, x, levels(), withEstimate(model, asked.condition()));
    }
    Condition own = withEstimate(second.model(), asked.condition());
    return second.question(model.diffusion(), x, levels(), own);
  }

  /** With x̂_0 of the row before, if the network looks at it. */
  private Condition withEstimate(DenoisingModel asked, Condition own) {
    NDArray x0 = preview;
    return x0 == null || !asked.denoiser().conditionKinds().contains(Condition.Kind.PREVIOUS_X0)
        ? own
        // conditions are float32, whatever the run computes in
        : own.and(Condition.previousX0(x0.toType(DataType.FLOAT32, false)));
  }

  /** What the networks said to each of {@link #questions}, as one answer to go on with. */
  Guided combine(List<Question> questions, List<NDArray> outputs) {
    Answer first = model.answer(x, levels(), outputs.get(0));
    List<Answer> answers = new ArrayList<>();
    for (int i = 0; i < outputs.size(); i++) {
      Question asked = questions.get(i);
      SecondModel second = asked.second();
      answers.add(
          second == null
              ? model.answer(x, levels(), outputs.get(i))
              : first.withPrediction(
                  second.inTermsOf(model.diffusion(), x, levels(), asked, outputs.get(i))));
    }
    Answer guided = terms.guidance.combine(answers, condition, model.diffusion());
    return terms.guidance.measured(guided, model, withEstimate(model, condition), firstImage);
  }

  /**
   * What guidance makes of a row.
   *
   * @param answer what the row goes on with
   * @param move what is added to the images after the row; null for nothing
   */
  record Guided(Answer answer, @Nullable NDArray move) {}

  DenoisingModel model() {
    return model;
  }

  /**
   * Moves what the chain keeps to {@code owner}, where the row's intermediate arrays go. It
   * outlives whatever NDScope the row is in.
   */
  void attach(NDManager owner) {
    attach(x, owner);
    for (NDArray remembered : past) {
      attach(remembered, owner);
    }
    attach(preview, owner);
  }

  private static void attach(@Nullable NDArray array, NDManager owner) {
    if (array != null) {
      array.attach(owner);
      NDScope.unregister(array);
    }
  }

  X0Limit limit() {
    return terms.limit;
  }

  Hook hook() {
    return terms.hook;
  }

  /**
   * One row further, not yet taken.
   *
   * @param x the images after the row
   * @param preview x̂_0 of it
   * @param remembered what later rows look back at: x̂_0 or ε̂
   */
  record Move(NDArray x, NDArray preview, NDArray remembered) {}

  /** The arrays of a move that the chain would keep. */
  private List<NDArray> kept(Move move) {
    return past.length == 0
        ? List.of(move.x, move.preview)
        : List.of(move.x, move.preview, move.remembered);
  }

  /** Makes a move outlive the manager, and whatever NDScope, that the row is in. */
  void keep(Move move) {
    kept(move).forEach(array -> attach(array, manager));
  }

  /** Takes a row further, and frees what no later row looks at. */
  void take(Move move) {
    Set<NDArray> old = held();
    if (past.length > 0) {
      System.arraycopy(past, 0, past, 1, past.length - 1);
      past[0] = move.remembered;
    }
    x = move.x;
    preview = move.preview;
    row++;
    close(old, held());
  }

  /** Stays where it is. */
  void refuse(Move move) {
    close(kept(move), held());
  }

  /** By identity: arrays of equal values are others. */
  private Set<NDArray> held() {
    Set<NDArray> held = Collections.newSetFromMap(new IdentityHashMap<>());
    held.add(x);
    Stream.concat(Arrays.stream(past), Stream.ofNullable(preview))
        .filter(Objects::nonNull)
        .forEach(held::add);
    return held;
  }

  private static void close(Collection<NDArray> arrays, Set<NDArray> kept) {
    arrays.stream().filter(array -> !kept.contains(array)).forEach(NDArray::close);
  }

  /** Fresh noise of the shape of x, in its manager. */
  NDArray normal(long draw) {
    return terms.noise.array(x.getManager(), firstImage, draw, x.getShape(), x.getDataType());
  }
}
