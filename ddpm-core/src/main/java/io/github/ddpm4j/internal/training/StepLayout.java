package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * How the arguments of a step's program lie: which method takes which, in what order, and what each
 * number in them is. The text of the program and its callers both ask here.
 */
final class StepLayout {

  private StepLayout() {}

  /** What changes from step to step, in one float64 tensor on the CPU; dropout seeds follow. */
  enum StepNumber {
    LEARNING_RATE,
    EPSILON,
    /** 1 − d of the average. */
    EMA_WEIGHT,
    /** The number of the update, from 1, in a run that ends at the first bad step. */
    COUNT,
    /** Where loss and norm go in the log. */
    ROW;

    private static final List<StepNumber> ALL = List.of(values());

    int place() {
      return ALL.indexOf(this);
    }
  }

  /** What a run that skips bad steps judges the next one by, in one float32 tensor. */
  enum Judged {
    /** How many steps updated the weights. */
    UPDATES,
    /** How many bad steps there were since. */
    IN_A_ROW,
    USUAL_LOSS,
    USUAL_NORM,
    /** What the loss is multiplied by in float16. */
    LOSS_SCALE,
    /** How many gradients in a row were finite with it. */
    GROWTH,
    /** How many gradients were not. */
    OVERFLOWS;

    private static final List<Judged> ALL = List.of(values());

    int place() {
      return ALL.indexOf(this);
    }
  }

  /** What a row of the log holds of a step. */
  enum LogColumn {
    LOSS,
    NORM,
    /** 1 where the step updated nothing; 2 where that was for a gradient beyond float16. */
    SKIPPED,
    /** What was usual before the step, in a run that judges by it. */
    USUAL_LOSS,
    USUAL_NORM,
    /** What the loss was multiplied by, in float16. */
    LOSS_SCALE;

    private static final List<LogColumn> ALL = List.of(values());

    int place() {
      return ALL.indexOf(this);
    }
  }

  /** Where the seeds of dropout begin among the numbers. */
  static final int SEEDS = StepNumber.values().length;

  /** The first columns of a row per image; {@link Coefficient}s and level features follow. */
  enum Column {
    /** Of x_t. */
    SIGNAL,
    NOISE,
    /** Of the target. */
    TARGET_X0,
    TARGET_NOISE,
    /** How much the loss of the image counts. */
    WEIGHT,
    /** The importance weight of the level that was drawn. */
    IMPORTANCE,
    /** The factor of x_t as the network sees it, where that is not 1. */
    INPUT_SCALE,
    /** Of x_r, in consistency tuning. */
    EARLIER_SIGNAL,
    EARLIER_NOISE,
    /** Of f(x_r, r), the factors of x_r and of the output. */
    EARLIER_OF_X,
    EARLIER_OF_OUTPUT,
    EARLIER_INPUT_SCALE;

    private static final List<Column> ALL = List.of(values());

    int place() {
      return ALL.indexOf(this);
    }
  }

  private static final List<Coefficient> COEFFICIENTS = List.of(Coefficient.values());

  /** The column of a coefficient; those that the loss does not ask for are 0. */
  static int place(Coefficient coefficient) {
    return Column.ALL.size() + COEFFICIENTS.indexOf(coefficient);
  }

  /** Where the features of the level begin in a row. */
  static final int LEVELS = Column.ALL.size() + COEFFICIENTS.size();

  /** The arguments by their names in the text. */
  enum Argument {
    X0("x0"),
    LOSS("loss"),
    WEIGHTS("weights"),
    FIRST_MOMENTS("firstMoments"),
    SECOND_MOMENTS("secondMoments"),
    AVERAGES("averages"),
    GRADIENTS("gradients"),
    NUMBERS("numbers"),
    /** A scalar that is 1 once bad steps have ended the run. */
    BROKEN("broken"),
    /** What the next step is judged by: {@link Judged}. */
    JUDGED("judged"),
    /** A row of each step: {@link LogColumn}. */
    LOG("log"),
    /** Where the losses of a step's batches are added up. */
    TOTAL("total"),
    INPUT_NOISE("inputNoise"),
    NOISE("noise"),
    /** What x_r is made of where that is not x0: in consistency tuning with guidance. */
    EARLIER_X0("earlierX0"),
    /** The rows per image. */
    ROWS("rows");

    private static final Set<Argument> LISTS =
        EnumSet.of(WEIGHTS, FIRST_MOMENTS, SECOND_MOMENTS, AVERAGES, GRADIENTS);

    private final String text;

    Argument(String text) {
      this.text = text;
    }

    private boolean isList() {
      return LISTS.contains(this);
    }

    @Override
    public String toString() {
      return text;
    }
  }

  /** The methods, with their arguments in order: a tensor, the lists, the other tensors. */
  static final class Method {
    /** Forward, loss, gradients and update, in one call; then come the conditions. */
    static final Method STEP =
        new Method(
            "step",
            Argument.X0,
            Argument.WEIGHTS,
            Argument.FIRST_MOMENTS,
            Argument.SECOND_MOMENTS,
            Argument.AVERAGES,
            Argument.NUMBERS,
            Argument.BROKEN,
            Argument.JUDGED,
            Argument.LOG,
            Argument.INPUT_NOISE,
            Argument.NOISE,
            Argument.ROWS);

    /** Forward, loss and gradients of one of several batches, added up; then the conditions. */
    static final Method ACCUMULATE =
        new Method(
            "accumulate",
            Argument.X0,
            Argument.WEIGHTS,
            Argument.GRADIENTS,
            Argument.NUMBERS,
            Argument.TOTAL,
            Argument.INPUT_NOISE,
            Argument.NOISE,
            Argument.ROWS);

    /** {@link #ACCUMULATE} of a loss that is scaled. */
    static final Method ACCUMULATE_SCALED =
        new Method(
            "accumulate",
            Argument.X0,
            Argument.WEIGHTS,
            Argument.GRADIENTS,
            Argument.NUMBERS,
            Argument.JUDGED,
            Argument.TOTAL,
            Argument.INPUT_NOISE,
            Argument.NOISE,
            Argument.ROWS);

    /** Norm, clipping, Adam and the average, from gradients that are there. */
    static final Method UPDATE =
        new Method(
            "update",
            Argument.LOSS,
            Argument.WEIGHTS,
            Argument.FIRST_MOMENTS,
            Argument.SECOND_MOMENTS,
            Argument.AVERAGES,
            Argument.GRADIENTS,
            Argument.NUMBERS,
            Argument.BROKEN,
            Argument.JUDGED,
            Argument.LOG);

    private final String text;
    private final List<Argument> arguments;

    private Method(String text, Argument... arguments) {
      this.text = text;
      this.arguments = List.of(arguments);
    }

    /** This method with one more tensor. */
    Method with(Argument further) {
      List<Argument> all = new ArrayList<>(arguments);
      all.add(further);
      return new Method(text, all.toArray(new Argument[0]));
    }

    String text() {
      return text;
    }

    /** The arguments with their types, as TorchScript wants them. */
    String signature(int conditions) {
      List<String> typed =
          arguments.stream()
              .map(a -> a + (a.isList() ? ": List[Tensor]" : ": Tensor"))
              .collect(Collectors.toCollection(ArrayList::new));
      for (int i = 0; i < conditions; i++) {
        typed.add(condition(i) + ": Tensor");
      }
      return String.join(", ", typed);
    }
  }

  /** The argument that holds a kind of condition. */
  static String condition(int kind) {
    return "c" + kind;
  }

  /** The arguments of a call, by name. */
  static final class Call {
    private final Map<Argument, NDArray> tensors = new LinkedHashMap<>();
    private final Map<Argument, NDList> lists = new LinkedHashMap<>();
    private final NDList conditions = new NDList();

    Call with(Argument argument, NDArray tensor) {
      tensors.put(argument, tensor);
      return this;
    }

    Call with(Argument argument, NDList list) {
      lists.put(argument, list);
      return this;
    }

    Call withConditions(NDList inputs) {
      conditions.addAll(inputs);
      return this;
    }

    /** Calls a method that works gradients out inside, or one that needs none. */
    NDList of(Program program, Method method) {
      List<NDArray> others = new ArrayList<>();
      List<NDList> inOrder = new ArrayList<>();
      for (Argument argument : method.arguments) {
        if (argument.isList()) {
          inOrder.add(require(lists, argument));
        } else {
          others.add(require(tensors, argument));
        }
      }
      NDArray first = others.remove(0);
      others.addAll(conditions);
      NDArray[] rest = others.toArray(new NDArray[0]);
      return method.equals(Method.UPDATE)
          ? program.call(method.text, first, inOrder, rest)
          : program.callRecording(method.text, first, inOrder, rest);
    }

    private static <V> V require(Map<Argument, V> values, Argument argument) {
      return Objects.requireNonNull(values.get(argument), argument::toString);
    }
  }

  /**
   * What changes from step to step.
   *
   * @param rate the learning rate
   * @param epsilon ε as PyTorch's update wants it
   * @param emaWeight 1 − d of the average
   * @param count the number of the update, from 1, in a run that ends at the first bad step
   * @param row where loss and norm go in the log
   */
  record Numbers(double rate, double epsilon, double emaWeight, long count, int row) {

    NDArray upload(NDManager host, double... seeds) {
      double[] numbers = new double[SEEDS + seeds.length];
      numbers[StepNumber.LEARNING_RATE.place()] = rate;
      numbers[StepNumber.EPSILON.place()] = epsilon;
      numbers[StepNumber.EMA_WEIGHT.place()] = emaWeight;
      numbers[StepNumber.COUNT.place()] = count;
      numbers[StepNumber.ROW.place()] = row;
      System.arraycopy(seeds, 0, numbers, SEEDS, seeds.length);
      return Upload.doubles(host, numbers, new Shape(numbers.length), DataType.FLOAT64);
    }
  }
}
