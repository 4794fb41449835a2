package io.github.ddpm4j.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Record;
import ai.djl.training.dataset.Sampler;
import ai.djl.translate.Batchifier;
import ai.djl.util.Progress;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.sampling.Samplers;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.ClosedByInterruptException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** In what order a run reads, how it names what it cannot take, and that it leaves nothing open. */
class TrainingDataTest {

  private static final int SIZE = 4;
  private static final int IMAGES = 12;

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(100).denoiser(network).build();

  @AfterEach
  void close() {
    Thread.interrupted();
    network.close();
    manager.close();
  }

  private Training training() {
    return ddpm.training().batchSize(3).steps(8).learningRate(1e-3).seed(5);
  }

  /** Reads records one by one, as from files; one of them may be damaged. */
  private static final class Files extends RandomAccessDataset {
    private final int damaged;
    private final Exception failure;
    private final Runnable beforeFailing;
    private final List<Long> read = new ArrayList<>();

    private Files(Builder builder, Runnable beforeFailing) {
      super(builder);
      this.beforeFailing = beforeFailing;
      this.damaged = builder.damaged;
      this.failure = builder.failure;
    }

    static Files of(int damaged, Exception failure) {
      return new Files(new Builder(damaged, failure).setSampling(1, false), () -> {});
    }

    @Override
    public Record get(NDManager owner, long index) throws IOException {
      read.add(index);
      NDArray image = owner.full(new Shape(1, SIZE, SIZE), 2 * index / (float) IMAGES - 1);
      if (index == damaged) {
        beforeFailing.run();
        if (failure instanceof IOException io) {
          throw io;
        }
        throw (RuntimeException) failure;
      }
      return new Record(new NDList(image), new NDList());
    }

    @Override
    protected long availableSize() {
      return IMAGES;
    }

    @Override
    public void prepare(@Nullable Progress progress) {}

    private static final class Builder extends BaseBuilder<Builder> {
      private final int damaged;
      private final Exception failure;

      Builder(int damaged, Exception failure) {
        this.damaged = damaged;
        this.failure = failure;
      }

      @Override
      protected Builder self() {
        return this;
      }
    }
  }

  @Test
  void epochs_holdEveryImageOnce_eachInAnOrderOfItsOwn() {
    List<Long> read = read();
    List<Long> all = IntStream.range(0, IMAGES).mapToObj(i -> (long) i).toList();
    List<Long> first = read.subList(0, IMAGES);
    List<Long> second = read.subList(IMAGES, 2 * IMAGES);
    assertThat(first).containsExactlyInAnyOrderElementsOf(all).isNotEqualTo(all);
    assertThat(second).containsExactlyInAnyOrderElementsOf(all).isNotEqualTo(all);
    assertThat(second).isNotEqualTo(first);
  }

  /** The index, what the dataset says, and the result of the steps before. */
  /** The indices in the order in which the run reads them. */
  private List<Long> read() {
    Files files = Files.of(-1, new IOException());
    training().fit(files).close();
    return files.read;
  }

  @Test
  void damagedFile_inTheMiddle_isNamedAndLosesNothing() {
    // The eleventh that is read, in the fourth batch.
    int late = read().get(10).intValue();
    IOException damaged = new IOException("photos/a.png is damaged");
    Map<String, float[]> averages = new LinkedHashMap<>();
    Throwable failure =
        catchThrowable(
            () ->
                training()
                    .listener(
                        event -> {
                          averages.clear();
                          ((TinyDenoiser) event.averaged())
                              .weights()
                              .forEach((name, each) -> averages.put(name, each.toFloatArray()));
                        })
                    .fit(Files.of(late, damaged)));
    assertThat(failure)
        .isInstanceOf(UncheckedIOException.class)
        .hasMessage("image " + late + " of the dataset could not be read: photos/a.png is damaged")
        .hasCause(damaged);
    try (TrainedModel soFar = TrainedModel.soFar(failure).orElseThrow()) {
      assertThat(soFar.losses().steps()).isEqualTo(3);
      TinyDenoiser averaged = soFar.ddpm().denoiser(TinyDenoiser.class);
      averaged
          .weights()
          .forEach((name, each) -> assertThat(each.toFloatArray()).isEqualTo(averages.get(name)));
    }
  }

  @Test
  void recordThatFailsOtherwise_isNamed() {
    IllegalStateException odd = new IllegalStateException("odd");
    assertThatThrownBy(() -> training().fit(Files.of(9, odd)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("image 9 of the dataset could not be read: odd")
        .hasCause(odd);
  }

  /** Files cannot be read on an interrupted thread: that is the reason, and no file is to blame. */
  @Test
  void interruptWhileReading_endsTheRunAsAnInterrupt() {
    int late = read().get(10).intValue();
    ClosedByInterruptException closed = new ClosedByInterruptException();
    Files files =
        new Files(
            new Files.Builder(late, closed).setSampling(1, false),
            () -> Thread.currentThread().interrupt());
    Throwable failure = catchThrowable(() -> training().fit(files));
    assertThat(failure)
        .isInstanceOf(CancellationException.class)
        .hasMessage(
            "training was interrupted after step 3 of 8; the network holds the weights of that step,"
                + " and TrainedModel.soFar(exception) the averaged ones");
    assertThat(failure.getSuppressed()[0]).hasRootCause(closed);
    assertThat(files.read).hasSize(11);
    try (TrainedModel soFar = TrainedModel.soFar(failure).orElseThrow()) {
      assertThat(soFar.losses().steps()).isEqualTo(3);
    }
  }

  /** A dataset that reads whole batches alone cannot say which image is to blame. */
  @Test
  void batchesAlone_theirFailureIsKept() {
    IllegalStateException odd = new IllegalStateException("row group 3 is damaged");
    assertThatThrownBy(() -> training().batchSize(2).fit(new Rows(odd)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageMatching(
            "images \\d+, \\d+ of the dataset could not be read: row group 3 is damaged")
        .hasCause(odd);
  }

  /** Gives nothing by index, as a file of columns. */
  private static final class Rows extends RandomAccessDataset {
    private final RuntimeException failure;

    Rows(RuntimeException failure) {
      super(new ArrayDataset.Builder().setData().setSampling(2, false));
      this.failure = failure;
    }

    @Override
    public Record get(NDManager owner, long index) {
      throw new UnsupportedOperationException("whole batches alone");
    }

    @Override
    public Iterable<Batch> getData(NDManager owner, Sampler order) {
      Iterator<List<Long>> indices = order.sample(this);
      return () ->
          new Iterator<>() {
            @Override
            public boolean hasNext() {
              return true;
            }

            @Override
            public Batch next() {
              indices.next();
              throw failure;
            }
          };
    }

    @Override
    protected long availableSize() {
      return IMAGES;
    }

    @Override
    public void prepare(@Nullable Progress progress) {}
  }

  @Test
  void evaluation_damagedFile_isNamed() {
    IOException damaged = new IOException("photos/9.png is damaged");
    assertThatThrownBy(() -> ddpm.bitsPerDim().batchSize(4).of(Files.of(9, damaged)))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessage("image 9 of the dataset could not be read: photos/9.png is damaged");
  }

  private Dataset brokenAt(int... images) {
    float[] values = new float[IMAGES * SIZE * SIZE];
    for (int image : images) {
      values[image * SIZE * SIZE + 3] = Float.NaN;
    }
    return new ArrayDataset.Builder()
        .setData(manager.create(values, new Shape(IMAGES, 1, SIZE, SIZE)))
        .setSampling(1, false)
        .build();
  }

  @Test
  void brokenValues_areNamedByTheirImages() {
    assertThatThrownBy(() -> training().fit(brokenAt(7)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "training data (image 7 of the dataset) must be finite, but holds NaN or infinity; look"
                + " for broken images");
    assertThatThrownBy(() -> training().batchSize(IMAGES).fit(brokenAt(7, 2)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageMatching(
            "training data \\(images (7, 2|2, 7) of the dataset\\) must be finite, .*");
  }

  /** Batches of a dataset's own are counted since it was last begun. */
  @Test
  void batchOfTheDatasetsOwn_isCountedInItsPass() {
    float[] values = new float[6 * SIZE * SIZE];
    int[] passes = {0};
    Dataset streaming =
        new Dataset() {
          @Override
          public Iterable<Batch> getData(NDManager owner)
              throws IOException, ai.djl.translate.TranslateException {
            // The second image of the second batch, in the second pass.
            values[4 * SIZE * SIZE] = ++passes[0] == 2 ? Float.NaN : 0;
            return new ArrayDataset.Builder()
                .setData(owner.create(values, new Shape(6, 1, SIZE, SIZE)))
                .setSampling(3, false)
                .build()
                .getData(owner);
          }

          @Override
          public void prepare(@Nullable Progress progress) {}
        };
    assertThatThrownBy(() -> training().fit(streaming))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "training data (image 1 of batch 2 of the dataset) must be finite, but holds NaN or"
                + " infinity; look for broken images");
  }

  /* ---------------- What is left open ---------------- */

  @FunctionalInterface
  private interface Failing {
    void run() throws Exception;
  }

  /** A batch of broken values, in a manager that the run knows nothing of. */
  private static Dataset ownBatches() {
    return new Dataset() {
      @Override
      public Iterable<Batch> getData(NDManager owner) {
        NDManager own = NDManager.newBaseManager();
        NDArray broken = own.full(new Shape(3, 1, SIZE, SIZE), Float.NaN);
        return List.of(
            new Batch(
                own,
                new NDList(broken),
                new NDList(),
                3,
                Batchifier.STACK,
                Batchifier.STACK,
                0,
                1));
      }

      @Override
      public void prepare(@Nullable Progress progress) {}
    };
  }

  private static Condition noCondition(NDArray images, NDList labels) {
    return Condition.none();
  }

  /** However a run fails or is refused, nothing of it stays in native memory. */
  @Test
  void runsThatFailOrAreRefused_leaveNothing() {
    Dataset good = brokenAt();
    Dataset broken = brokenAt(7);
    training().steps(1).fit(good).close();
    Dataset own = ownBatches();
    Map<String, Failing> cases = new LinkedHashMap<>();
    cases.put("batch of the dataset's own", () -> training().fit(own));
    cases.put("batch", () -> training().fit(broken));
    cases.put("first batch", () -> training().batchSize(IMAGES).fit(broken));
    cases.put("accumulated", () -> training().accumulation(4).fit(broken));
    cases.put("file", () -> training().fit(Files.of(9, new IOException())));
    cases.put("batch size", () -> training().batchSize(IMAGES + 1).fit(good));
    cases.put("condition", () -> training().condition(TrainingDataTest::noCondition).fit(good));
    cases.put("listener", () -> training().listener(event -> Objects.checkIndex(1, 0)).fit(good));
    cases.put("weighting", () -> training().weighting((p, schedule, level) -> -1).fit(good));
    cases.put(
        "tracker",
        () -> training().learningRate((ai.djl.training.tracker.Tracker) s -> s - 3f).fit(good));
    cases.put(
        "interrupt",
        () -> training().listener(event -> Thread.currentThread().interrupt()).fit(good));
    cases.put(
        "cancelled",
        () -> {
          try (Training.Run run = training().steps(Integer.MAX_VALUE).start(good)) {
            run.cancel(false);
            run.result();
          }
        });
    cases.put(
        "sampling in a listener",
        () ->
            training()
                .listener(
                    event ->
                        ddpm.withDenoiser(event.averaged())
                            .sampling()
                            .sampler(Samplers.ddim(2))
                            .listener(sample -> Objects.checkIndex(1, 0))
                            .generate(1))
                .fit(good));
    cases.forEach(
        (name, failing) -> {
          int inAll = NativeResources.inAll();
          Throwable failure = catchThrowable(failing::run);
          boolean interrupted = Thread.interrupted();
          assertThat(failure).as(name).isNotNull();
          assertThat(failure instanceof CancellationException)
              .as(name)
              .isEqualTo(interrupted || name.equals("cancelled"));
          assertThat(NativeResources.inAll()).as(name).isEqualTo(inAll);
        });
  }
}
