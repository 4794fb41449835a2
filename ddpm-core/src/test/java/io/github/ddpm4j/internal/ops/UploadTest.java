package io.github.ddpm4j.internal.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.NativeResources;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UploadTest {

  private static final int FLOATS = Upload.PIECE_BYTES / Float.BYTES;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static double value(int index) {
    return 1.0 / (index + 3);
  }

  private static double[] values(int count) {
    double[] values = new double[count];
    Arrays.setAll(values, UploadTest::value);
    return values;
  }

  private static float[] floats(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) value(i);
    }
    return values;
  }

  /** At the borders of pieces, of which float64 has half as many values. */
  @ParameterizedTest
  @ValueSource(
      ints = {
        0,
        1,
        6,
        FLOATS / 2 - 1,
        FLOATS / 2,
        FLOATS / 2 + 1,
        FLOATS - 1,
        FLOATS,
        FLOATS + 1,
        2 * FLOATS,
        2 * FLOATS + 5
      })
  void upload_anySize_isTheSameToTheBit(int size) {
    Shape shape = new Shape(1, size);
    int[] next = {0};
    int before = NativeResources.of(manager);
    List<NDArray> singles =
        new ArrayList<>(
            List.of(
                Upload.floats(manager, floats(size), shape),
                Upload.floats(manager, shape, () -> value(next[0]++)),
                Upload.doubles(manager, values(size), shape, DataType.FLOAT32)));
    NDArray doubles = Upload.doubles(manager, values(size), shape, DataType.FLOAT64);
    for (NDArray array : singles) {
      assertThat(array.getShape()).isEqualTo(shape);
      assertThat(array.toFloatArray()).isEqualTo(floats(size));
      array.close();
    }
    assertThat(doubles.toDoubleArray()).isEqualTo(values(size));
    doubles.close();
    assertThat(NativeResources.of(manager)).isEqualTo(before);
  }

  /** Rows that cross the borders of pieces, and each is made once. */
  @ParameterizedTest
  @ValueSource(ints = {1, 7, 1000, FLOATS + 3})
  void rows_anySize_isTheSameToTheBit(int size) {
    int images = Math.max(3, 2 * FLOATS / size);
    List<Integer> asked = new ArrayList<>();
    for (DataType type : List.of(DataType.FLOAT32, DataType.FLOAT64)) {
      asked.clear();
      NDArray rows =
          Upload.rows(
              manager,
              new Shape(images, size),
              type,
              (image, target) -> {
                asked.add(image);
                Arrays.setAll(target, i -> value(image * size + i));
              });
      if (type == DataType.FLOAT32) {
        assertThat(rows.toFloatArray()).isEqualTo(floats(images * size));
      } else {
        assertThat(rows.toDoubleArray()).isEqualTo(values(images * size));
      }
      rows.close();
      assertThat(asked).hasSize(images).isSorted().doesNotHaveDuplicates();
    }
  }

  @Test
  void rows_thatUploadThemselves_keepTheirValues() {
    NDArray rows =
        Upload.rows(
            manager,
            new Shape(2, FLOATS),
            DataType.FLOAT32,
            (image, target) -> {
              Upload.floats(manager, new float[FLOATS], new Shape(FLOATS)).close();
              Arrays.fill(target, image + 1);
            });
    assertThat(rows.get(0).min().getFloat()).isEqualTo(1);
    assertThat(rows.get(0).max().getFloat()).isEqualTo(1);
    assertThat(rows.get(1).min().getFloat()).isEqualTo(2);
  }

  @Test
  void rows_thatFail_leaveNothing() {
    IllegalStateException failure = new IllegalStateException("no more");
    int before = NativeResources.of(manager);
    assertThatThrownBy(
            () ->
                Upload.rows(
                    manager,
                    new Shape(4, FLOATS),
                    DataType.FLOAT32,
                    (image, target) -> {
                      if (image == 2) {
                        throw failure;
                      }
                    }))
        .isSameAs(failure);
    assertThat(NativeResources.of(manager)).isEqualTo(before);
  }

  @Test
  void doubles_otherType_isRefused() {
    assertThatThrownBy(() -> Upload.doubles(manager, new double[1], new Shape(1), DataType.INT32))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("values can be uploaded as float32 or float64, but not as int32");
  }

  private static long directBytes() {
    return ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
        .filter(pool -> pool.getName().equals("direct"))
        .mapToLong(BufferPoolMXBean::getMemoryUsed)
        .sum();
  }

  /**
   * The threads of a pool live on after they uploaded something large. Each kept a buffer of its
   * size, until there was no memory for another though the heap was empty.
   */
  @Test
  void upload_manyThreads_keepFewBuffers() throws Exception {
    int threads = 40;
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      long before = directBytes();
      CountDownLatch all = new CountDownLatch(threads);
      Callable<Long> upload =
          () -> {
            boolean[] waited = {false};
            try (NDManager own = manager.newSubManager()) {
              Upload.rows(
                      own,
                      new Shape(2, FLOATS),
                      DataType.FLOAT32,
                      (image, target) -> {
                        if (!waited[0]) { // so that each has a buffer at the same time
                          waited[0] = true;
                          all.countDown();
                          await(all);
                        }
                      })
                  .close();
            }
            return directBytes();
          };
      for (Future<Long> done : pool.invokeAll(Collections.nCopies(threads, upload))) {
        done.get();
      }
      long most = (long) Upload.MOST_KEPT * Upload.PIECE_BYTES;
      for (int i = 0; directBytes() - before > most && i < 50; i++) {
        System.gc(); // frees those that were let go
        Thread.sleep(10);
      }
      assertThat(directBytes() - before).isLessThanOrEqualTo(most);
    } finally {
      pool.shutdownNow();
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
