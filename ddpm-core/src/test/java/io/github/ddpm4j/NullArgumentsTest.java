package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.evaluation.BitsPerDim;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.evaluation.SamplerPlanner;
import io.github.ddpm4j.evaluation.TorchScriptFeatures;
import io.github.ddpm4j.evaluation.TrainingDoctor;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Answer;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoiserProvider;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.ConsistencySampler;
import io.github.ddpm4j.sampling.DdpmSampler;
import io.github.ddpm4j.sampling.DpmSolverSampler;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.NoiseSpacing;
import io.github.ddpm4j.sampling.SampleBlocks;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Ema;
import io.github.ddpm4j.training.TrainingStepListener;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Null, at every public entry, for every argument that must not be null: it is named. */
class NullArgumentsTest {

  private static final String ROOT = "io.github.ddpm4j.";

  /** What users write, and what the library has of the kind, of which it makes the arguments. */
  private static final List<Class<?>> CALLED_BY_THE_LIBRARY =
      List.of(
          Ops.class,
          Denoiser.class,
          ScriptedDenoiser.class,
          TimestepSampler.Draws.class,
          TimestepSampler.UniformTimesteps.class,
          TrainingStepListener.class,
          Weighting.UniformWeighting.class,
          Weighting.SnrWeighting.class);

  @TempDir private Path folder;

  private final Map<Class<?>, Object> samples = new LinkedHashMap<>();

  private <T> void sample(Class<T> type, T value) {
    samples.put(type, value);
  }

  private Samples fill(NDManager manager, TinyDenoiser network) throws Exception {
    DDPM ddpm = DDPM.builder().timesteps(10).denoiser(network).build();
    NDArray images = manager.zeros(new Shape(4, 1, 4, 4));
    double[][] rows = {{1, 2}, {3, 5}, {4, 4}, {7, 1}};
    sample(DDPM.class, ddpm);
    sample(DDPM.Builder.class, DDPM.builder());
    sample(Training.class, ddpm.training());
    sample(PostHocEma.class, PostHocEma.in(folder.resolve("averages")));
    sample(Sampling.class, ddpm.sampling());
    sample(BitsPerDim.class, ddpm.bitsPerDim());
    sample(SamplerPlanner.class, ddpm.samplerPlanner());
    sample(TrainingDoctor.class, ddpm.trainingDoctor());
    sample(DenoisingModel.class, ddpm.model());
    sample(Diffusion.class, ddpm.model().diffusion());
    sample(TinyDenoiser.class, network);
    sample(Denoiser.class, network);
    sample(DenoiserProvider.class, new TinyDenoiser.Provider());
    sample(TrainableDenoiser.class, network);
    sample(NDArray.class, images);
    sample(NDManager.class, manager);
    sample(NDList.class, new NDList(images));
    sample(Shape.class, new Shape(1, 4, 4));
    sample(DataType.class, DataType.FLOAT32);
    sample(Device.class, Device.cpu());
    sample(Path.class, folder.resolve("file"));
    sample(String.class, "ddim:5");
    sample(OutputStream.class, OutputStream.nullOutputStream());
    sample(Attributes.class, Attributes.of(Map.of("hat", List.of("none", "red"))));
    sample(Schedule.class, Schedules.linear(10));
    sample(Level.class, new Level(0, 1, 0.5));
    sample(Prediction.class, Prediction.EPSILON);
    sample(Variance.class, Variance.FIXED_LARGE);
    sample(DataRange.class, DataRange.DEFAULT);
    sample(Condition.class, Condition.none());
    sample(Condition.Kind.class, Condition.Kind.LABELS);
    sample(NoiseLevels.class, NoiseLevels.of(Schedules.linear(10), 1, 2, 3, 4));
    sample(ForwardProcess.class, ForwardProcess.of(Schedules.linear(10)));
    sample(NoiseSource.class, NoiseSource.seeded(1));
    sample(SampleBlocks.class, new SampleBlocks(1, 4));
    sample(Loss.class, Losses.simple());
    sample(Weighting.class, Weighting.uniform());
    sample(TimestepSampler.class, TimestepSampler.uniform());
    sample(AdamOptimizer.class, AdamOptimizer.PAPER);
    sample(Ema.class, Ema.of(0.9));
    sample(Tracker.class, Tracker.fixed(1e-3f));
    sample(Sampler.class, Samplers.ddim(2));
    sample(Guidance.class, Guidance.classifierFree(2));
    sample(NoiseSpacing.class, NoiseSpacing.karras());
    sample(TimestepSpacing.class, TimestepSpacing.LEADING);
    sample(Duration.class, Duration.ofMinutes(1));
    sample(Features.class, Features.pixels());
    sample(FeatureStatistics.class, FeatureStatistics.of(rows));
    sample(FeatureStatistics.Collector.class, FeatureStatistics.collector());
    sample(Judge.class, Judge.of(images.add(1e-3), images, new int[4]));
    sample(TorchScriptFeatures.Builder.class, Features.torchScript(folder.resolve("f")));
    sample(
        Judge.Verdict.class,
        Judge.of(images.add(1e-3), images.repeat(0, 3), new int[12]).judge(images));
    Path torchScript =
        Path.of(NullArgumentsTest.class.getResource("/golden/evaluation/features.pt").toURI());
    sample(TorchScriptFeatures.class, Features.torchScript(torchScript).load());
    sample(Pictures.class, Pictures.of(images));
    sample(BufferedImage.class, new BufferedImage(2, 2, BufferedImage.TYPE_BYTE_GRAY));
    sample(Color.class, Color.BLACK);
    sample(Dataset.class, new ArrayDataset.Builder().setData(images).setSampling(4, false).build());
    sample(Ops.class, EagerOps.training(1, 0));
    sample(List.class, List.of());
    sample(Collection.class, List.of());
    sample(Map.class, Map.of());
    sample(double[].class, new double[] {0.1, 0.2});
    sample(double[][].class, rows);
    sample(int[].class, new int[] {1, 2, 3, 4});
    sample(long[].class, new long[] {1, 2});
    sample(boolean[].class, new boolean[] {true});
    sample(String[].class, new String[] {"a"});
    sample(Class.class, Denoiser.class);
    sample(Checkpoints.class, Checkpoints.in(folder));
    sample(
        Answer.class,
        ddpm.model()
            .ask(images, NoiseLevels.of(Schedules.linear(10), 1, 2, 3, 4), Condition.none()));
    sample(TrainableDenoiser.Pass.class, new TrainableDenoiser.Pass(1, 1));
    sample(Bootstrap.class, Bootstrap.seeded(1));
    sample(DdpmSampler.class, Samplers.ddpm(2));
    sample(ConsistencySampler.class, Samplers.consistency(2));
    sample(DpmSolverSampler.class, Samplers.dpmSolverPlusPlus(2));
    sample(SamplingRun.class, ddpm.sampling().sampler(Samplers.ddim(2)).seed(1).start(1));
    sample(BitsPerDimResult.class, ddpm.bitsPerDim().timesteps(2).seed(1).of(images));
    Samples drawn = ddpm.sampling().sampler(Samplers.ddim(2)).seed(1).generate(1);
    sample(Samples.class, drawn);
    return drawn;
  }

  @Nullable Object value(Class<?> type) {
    if (type == boolean.class) {
      return false;
    }
    if (type == int.class) {
      return 1;
    }
    if (type == long.class) {
      return 1L;
    }
    if (type == double.class) {
      return 0.5;
    }
    if (type == float.class) {
      return 0.5f;
    }
    if (samples.containsKey(type)) {
      return samples.get(type);
    }
    for (Map.Entry<Class<?>, Object> sample : samples.entrySet()) {
      if (type.isInstance(sample.getValue()) && type != Object.class) {
        return sample.getValue();
      }
    }
    if (type == Object.class) {
      return samples.get(NDArray.class);
    }
    if (type.isArray()) {
      return Array.newInstance(type.getComponentType(), 0);
    }
    if (type.isEnum()) {
      return type.getEnumConstants()[0];
    }
    if (type.isInterface()) {
      return Proxy.newProxyInstance(
          type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> null);
    }
    return null;
  }

  @Test
  void null_atEveryPublicEntry_isNamed() throws Exception {
    List<String> unnamed = new ArrayList<>();
    int checked = 0;
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(4, 0, 1);
        Samples samples = fill(manager, network);
        TorchScriptFeatures features = (TorchScriptFeatures) value(TorchScriptFeatures.class);
        SamplingRun run = (SamplingRun) value(SamplingRun.class)) {
      for (Class<?> type : types()) {
        for (Executable entry : entries(type)) {
          Parameter[] parameters = entry.getParameters();
          for (int i = 0; i < parameters.length; i++) {
            if (!parameters[i].getType().isPrimitive()
                && !parameters[i].getAnnotatedType().isAnnotationPresent(Nullable.class)) {
              checked++;
              String said = passing(type, entry, i, null);
              if (!names(said, parameters[i].getName()) && !names(said, entry.getName())) {
                unnamed.add(entry + ", " + parameters[i].getName() + ": " + said);
              }
            }
          }
        }
      }
    }
    assertThat(unnamed).isEmpty();
    assertThat(checked).isGreaterThan(250);
  }

  @Test
  void closedArray_atEveryPublicEntry_isNamed() throws Exception {
    List<String> unnamed = new ArrayList<>();
    int checked = 0;
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(4, 0, 1);
        Samples samples = fill(manager, network);
        TorchScriptFeatures features = (TorchScriptFeatures) value(TorchScriptFeatures.class);
        SamplingRun run = (SamplingRun) value(SamplingRun.class)) {
      NDArray closed = manager.zeros(new Shape(4, 1, 4, 4));
      assertThat(closed.getShape().size()).isEqualTo(64); // which it then knows though closed
      closed.close();
      for (Class<?> type : types()) {
        for (Executable entry : entries(type)) {
          Parameter[] parameters = entry.getParameters();
          for (int i = 0; i < parameters.length; i++) {
            if (parameters[i].getType() == NDArray.class) {
              checked++;
              String said = passing(type, entry, i, closed);
              String name = parameters[i].getName();
              if (!said.equals(
                  "java.lang.IllegalStateException: "
                      + name
                      + " is closed; give an array that stays open until the call returns")) {
                unnamed.add(entry + ", " + name + ": " + said);
              }
            }
          }
        }
      }
    }
    assertThat(unnamed).isEmpty();
    assertThat(checked).isGreaterThan(30);
  }

  /** The arrays of a condition are borrowed until it is used. */
  @Test
  void closedArray_ofACondition_isNamed() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray images = manager.zeros(new Shape(4, 1, 4, 4));
      Condition condition = Condition.images(images);
      images.close();
      assertThatThrownBy(() -> condition.array(Condition.Kind.IMAGES, manager))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "an array of the condition is closed; give an array that stays open until the call"
                  + " returns");
    }
  }

  /** What users write and the library asks. */
  @Test
  void null_returnedToTheLibrary_isNamed() {
    String message = " must return a value, but returned null";
    Denoiser none = (x, levels, condition) -> null;
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(4, 0, 1)) {
      NDArray images = manager.zeros(new Shape(4, 1, 4, 4));
      ArrayDataset dataset =
          new ArrayDataset.Builder().setData(images).setSampling(4, false).build();
      DDPM ddpm = DDPM.builder().timesteps(10).denoiser(network).build();
      Training training = ddpm.training().steps(1).batchSize(4).seed(1);
      String denoiser = "the denoiser of " + none.getClass() + message;
      for (Prediction prediction : List.of(Prediction.EPSILON, Prediction.edm(0.5))) {
        DDPM model = DDPM.builder().prediction(prediction).denoiser(none).build();
        assertNamed(denoiser, () -> model.sampling().seed(1).imageToImage(images, 0.5));
        assertNamed(denoiser, () -> model.bitsPerDim().seed(1).of(images));
      }
      assertNamed(
          "the sampler" + message,
          () -> ddpm.sampling().sampler((diffusion, start) -> null).generate(1));
      assertNamed(
          "the log probability" + message,
          () ->
              ddpm.sampling()
                  .seed(1)
                  .guidance(Guidance.classifier((x, levels) -> null, 1))
                  .generate(1));
      assertNamed(
          "the timestep sampler" + message,
          () -> training.timestepSampler(schedule -> null).fit(dataset));
      assertNamed(
          "the function of condition(...)" + message,
          () -> ddpm.bitsPerDim().seed(1).condition((batch, labels) -> null).of(dataset));
    }
  }

  private static void assertNamed(String message, ThrowingCallable call) {
    assertThatThrownBy(call).isInstanceOf(IllegalStateException.class).hasMessage(message);
  }

  /** By a check of its own, or by Java's message of what could not be done with it. */
  private static boolean names(String said, String name) {
    return said.equals("java.lang.NullPointerException: " + name)
        || (said.startsWith("java.lang.NullPointerException: Cannot ")
            && said.endsWith(" because \"" + name + "\" is null"));
  }

  /** What comes of one argument, where the others are as they should be. */
  private String passing(Class<?> type, Executable entry, int index, @Nullable Object argument)
      throws Exception {
    Object[] arguments = new Object[entry.getParameterCount()];
    for (int i = 0; i < arguments.length; i++) {
      arguments[i] = i == index ? argument : value(entry.getParameterTypes()[i]);
    }
    try {
      if (entry instanceof Constructor<?> constructor) {
        constructor.newInstance(arguments);
      } else if (entry instanceof Method method) {
        boolean isStatic = Modifier.isStatic(method.getModifiers());
        if (!isStatic && value(type) == null) {
          return "there is no sample of it";
        }
        method.setAccessible(true);
        method.invoke(isStatic ? null : value(type), arguments);
      }
      return "nothing was thrown";
    } catch (InvocationTargetException e) {
      return String.valueOf(e.getCause());
    }
  }

  private static List<Executable> entries(Class<?> type) {
    List<Executable> entries = new ArrayList<>();
    if (!Modifier.isAbstract(type.getModifiers()) && !isResult(type)) {
      entries.addAll(Arrays.asList(type.getConstructors()));
    }
    for (Method method : type.getDeclaredMethods()) {
      if (Modifier.isPublic(method.getModifiers())
          && !method.isBridge()
          && !method.isSynthetic()
          && !Modifier.isAbstract(method.getModifiers())
          && !method.getName().equals("equals")
          && !(type.isEnum() && method.getName().equals("valueOf"))) {
        entries.add(method);
      }
    }
    return entries;
  }

  /** What users are given and do not make. */
  private static boolean isResult(Class<?> type) {
    return Throwable.class.isAssignableFrom(type)
        || (type.isRecord()
            && List.of("evaluation", "sampling", "training")
                .contains(type.getPackageName().substring(ROOT.length()))
            && type != AdamOptimizer.class
            && type != Checkpoints.class);
  }

  private static List<Class<?>> types() throws Exception {
    List<Class<?>> types = new ArrayList<>();
    try (InputStream list = NullArgumentsTest.class.getResourceAsStream("/exported-types.txt")) {
      for (String name : new String(list.readAllBytes(), StandardCharsets.UTF_8).lines().toList()) {
        add(Class.forName(name), types);
      }
    }
    types.removeAll(CALLED_BY_THE_LIBRARY);
    return types;
  }

  private static void add(Class<?> type, List<Class<?>> types) {
    types.add(type);
    for (Class<?> inner : type.getDeclaredClasses()) {
      if (Modifier.isPublic(inner.getModifiers())) {
        add(inner, types);
      }
    }
  }
}
