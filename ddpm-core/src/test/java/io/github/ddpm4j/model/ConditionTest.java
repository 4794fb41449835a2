package io.github.ddpm4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.model.Condition.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ConditionTest {

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static int[] labels(Condition condition) {
    return IntStream.range(0, condition.size().orElseThrow())
        .map(i -> condition.label(i).orElse(Condition.ABSENT))
        .toArray();
  }

  /** Row i holds i·10, i·10 + 1, … plus an offset. */
  private NDArray rows(float offset, long... shape) {
    Shape whole = new Shape(shape);
    int width = (int) (whole.size() / shape[0]);
    float[] values = new float[(int) whole.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = i / width * 10 + i % width + offset;
    }
    return manager.create(values, whole);
  }

  private float[] array(Condition condition, Kind kind) {
    try (NDArray array = condition.array(kind, manager)) {
      return array.toFloatArray();
    }
  }

  @Test
  void labels_ofDatasets_areTheClasses() {
    try (NDManager manager = NDManager.newBaseManager()) {
      for (NDArray classes :
          List.of(
              manager.create(new long[] {3, 0, -1}),
              manager.create(new float[] {3, 0, -1}, new Shape(3, 1)))) {
        Condition condition = Condition.labels(classes);
        assertThat(condition.size()).hasValue(3);
        assertThat(condition.label(0)).hasValue(3);
        assertThat(condition.label(1)).hasValue(0);
        assertThat(condition.isPresent(Condition.Kind.LABELS, 2)).isFalse();
      }
      assertThatThrownBy(() -> Condition.labels(manager.create(new float[] {1, 0.5f})))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("labels must be whole numbers, the classes, but that of image 1 was 0.5");
      assertThatThrownBy(() -> Condition.labels(manager.ones(new Shape(3, 2))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "labels must have the shape (N) or (N, 1), one class per image, but had (3, 2)");
    }
  }

  @Test
  void none_hasNothing() {
    Condition none = Condition.none();
    assertThat(none.isNone()).isTrue();
    assertThat(none.size()).isEmpty();
    for (Kind kind : Kind.values()) {
      assertThat(none.has(kind)).isFalse();
    }
    assertThat(none.select(5, 7)).isSameAs(none);
    assertThat(none.dropped()).isSameAs(none);
    assertThat(none.concat(none)).isSameAs(none);
    Condition label = Condition.labels(1);
    assertThat(none.and(label)).isSameAs(label);
    assertThat(label.and(none)).isSameAs(label);
    assertThat(none).hasToString("Condition.none()");
  }

  @Test
  void labels_somePresent_areCopied() {
    int[] given = {4, Condition.ABSENT, 0};
    Condition condition = Condition.labels(given);
    given[0] = 9;
    assertThat(labels(condition)).containsExactly(4, -1, 0);
    assertThat(condition.size()).hasValue(3);
    assertThat(condition.has(Kind.LABELS)).isTrue();
    assertThat(condition.has(Kind.VECTORS)).isFalse();
    assertThat(condition.isPresent(Kind.LABELS, 0)).isTrue();
    assertThat(condition.isPresent(Kind.LABELS, 1)).isFalse();
    assertThat(condition.isPresent(Kind.VECTORS, 0)).isFalse();
    assertThat(condition).hasToString("Condition of 3 images by labels [4, -, 0]");
    assertThat(Condition.labels(0, 1, 2, 3, 4, 5, 6, 7))
        .hasToString("Condition of 8 images by labels [0, 1, 2, 3, 4, 5, 6, 7]");
    assertThat(Condition.labels(0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
        .hasToString("Condition of 10 images by labels [0, 1, 2, 3, 4, 5, 6, 7, … and 2 more]");
  }

  @Test
  void array_whole_isACopyThatTheManagerOwns() {
    NDArray vectors = rows(0, 2, 3);
    Condition condition = Condition.vectors(vectors);
    assertThat(condition.shape(Kind.VECTORS)).isEqualTo(new Shape(3));
    try (NDManager own = manager.newSubManager()) {
      NDArray array = condition.array(Kind.VECTORS, own);
      assertThat(array.getManager()).isSameAs(own);
      assertThat(array.getShape()).isEqualTo(new Shape(2, 3));
      array.muli(0);
    }
    assertThat(vectors.toFloatArray()).containsExactly(0, 1, 2, 10, 11, 12);
  }

  @Test
  void select_repeatedAndOutOfOrder_takesRowsOfEveryKind() {
    Condition condition =
        Condition.labels(5, 6, 7, 8)
            .and(Condition.vectors(rows(0, 4, 2)))
            .and(Condition.images(rows(0.5f, 4, 1, 1, 2)))
            .select(3, 1, 2, 1);
    assertThat(labels(condition)).containsExactly(8, 6, 7, 6);
    assertThat(array(condition, Kind.VECTORS)).containsExactly(30, 31, 10, 11, 20, 21, 10, 11);
    assertThat(array(condition, Kind.IMAGES))
        .containsExactly(30.5f, 31.5f, 10.5f, 11.5f, 20.5f, 21.5f, 10.5f, 11.5f);
    assertThat(condition.shape(Kind.IMAGES)).isEqualTo(new Shape(1, 1, 2));
    assertThat(condition)
        .hasToString(
            "Condition of 4 images by labels [8, 6, 7, 6] and vectors (2) and images (1, 1, 2)");
  }

  @Test
  void dropped_some_areAbsentAndZeroButForThePreviousX0() {
    Condition condition =
        Condition.labels(1, 2, 3)
            .and(Condition.vectors(rows(1, 3, 1)))
            .and(Condition.images(rows(1, 3, 1, 1, 1)))
            .and(Condition.previousX0(rows(1, 3, 1, 1, 1)));
    Condition dropped = condition.dropped(image -> image != 1);
    assertThat(labels(dropped)).containsExactly(-1, 2, -1);
    assertThat(array(dropped, Kind.VECTORS)).containsExactly(0, 11, 0);
    assertThat(array(dropped, Kind.IMAGES)).containsExactly(0, 11, 0);
    assertThat(array(dropped, Kind.PREVIOUS_X0)).containsExactly(1, 11, 21);
    assertThat(dropped.isPresent(Kind.IMAGES, 0)).isFalse();
    assertThat(dropped.isPresent(Kind.IMAGES, 1)).isTrue();
    assertThat(labels(condition)).as("the original").containsExactly(1, 2, 3);

    Condition all = condition.dropped();
    assertThat(labels(all)).containsExactly(-1, -1, -1);
    assertThat(array(all, Kind.VECTORS)).containsExactly(0, 0, 0);
    assertThat(all.size()).hasValue(3);
    assertThat(all.shape(Kind.VECTORS)).isEqualTo(new Shape(1));
  }

  @Test
  void contexts_dropped_areThoseOfNoCondition() {
    Condition own = Condition.contexts(rows(1, 3, 2, 2), rows(5, 3, 2, 2));
    Condition shared = Condition.contexts(rows(1, 3, 2, 2), rows(-1, 1, 2, 2));
    assertThat(own.shape(Kind.CONTEXTS)).isEqualTo(new Shape(2, 2));
    assertThat(own).hasToString("Condition of 3 images by contexts (2, 2)");
    assertThat(array(own, Kind.CONTEXTS))
        .containsExactly(1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24);
    assertThat(array(own.dropped(image -> image == 1), Kind.CONTEXTS))
        .containsExactly(1, 2, 3, 4, 15, 16, 17, 18, 21, 22, 23, 24);
    assertThat(array(own.dropped(), Kind.CONTEXTS))
        .containsExactly(5, 6, 7, 8, 15, 16, 17, 18, 25, 26, 27, 28)
        .isEqualTo(array(own.dropped().dropped(), Kind.CONTEXTS));
    assertThat(array(shared.dropped(image -> image > 0), Kind.CONTEXTS))
        .containsExactly(1, 2, 3, 4, -1, 0, 1, 2, -1, 0, 1, 2);
    Condition chosen = own.select(2, 0).concat(shared.select(1).dropped());
    assertThat(array(chosen.dropped(), Kind.CONTEXTS))
        .containsExactly(25, 26, 27, 28, 5, 6, 7, 8, -1, 0, 1, 2);
    assertThat(own.dropped().isPresent(Kind.CONTEXTS, 0)).isTrue();
  }

  /** Zeros would be a context that no network has learned. */
  @Test
  void contexts_withoutOneForNone_areNeverZeros() {
    Condition own = Condition.contexts(rows(1, 3, 2, 2));
    Condition dropped = own.dropped(image -> image == 1);
    assertThat(dropped.isPresent(Kind.CONTEXTS, 0)).isTrue();
    assertThat(dropped.isPresent(Kind.CONTEXTS, 1)).isFalse();
    refused(
        "every image must have a context, but image 1 has none; give the encoded empty text as"
            + " well, by contexts(contexts, unconditional)",
        () -> dropped.array(Kind.CONTEXTS, manager));
  }

  @Test
  void kept_dropped_staysAsItIs() {
    Condition condition =
        Condition.labels(1, Condition.ABSENT)
            .and(Condition.images(rows(1, 2, 1, 1, 1)))
            .kept()
            .and(Condition.vectors(rows(1, 2, 1)));
    Condition dropped = condition.dropped();
    assertThat(labels(dropped)).containsExactly(1, -1);
    assertThat(array(dropped, Kind.IMAGES)).containsExactly(1, 11);
    assertThat(array(dropped, Kind.VECTORS)).containsExactly(0, 0);
    Condition contexts = Condition.contexts(rows(1, 1, 1, 2), rows(5, 1, 1, 2));
    assertThat(array(contexts.kept().dropped(), Kind.CONTEXTS)).containsExactly(1, 2);
    assertThat(Condition.none().kept().isNone()).isTrue();
  }

  /** As in training of guidance: an image goes without all of its conditions, or without none. */
  @Test
  void dropped_byChance_isAskedOncePerImage() {
    Condition condition = Condition.labels(1, 2, 3).and(Condition.vectors(rows(1, 3, 2)));
    List<Integer> asked = new ArrayList<>();
    Condition dropped =
        condition.dropped(
            image -> {
              asked.add(image);
              return asked.size() % 2 == 0;
            });
    assertThat(asked).containsExactly(0, 1, 2);
    assertThat(labels(dropped)).containsExactly(1, -1, 3);
    assertThat(array(dropped, Kind.VECTORS)).containsExactly(1, 2, 0, 0, 21, 22);
  }

  @Test
  void absent_ofEveryKind_hasNoneOfThem() {
    Condition condition =
        Condition.vectors(rows(1, 2, 3)).and(Condition.previousX0(rows(1, 2, 1, 1, 2)));
    Condition joined = condition.concat(condition.absent(3));
    assertThat(joined.size()).hasValue(5);
    assertThat(joined.has(Kind.LABELS)).isFalse();
    assertThat(array(joined, Kind.VECTORS))
        .containsExactly(1, 2, 3, 11, 12, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    assertThat(array(joined, Kind.PREVIOUS_X0)).containsExactly(1, 2, 11, 12, 0, 0, 0, 0, 0, 0);
    assertThat(Condition.none().absent(3)).isSameAs(Condition.none());
    assertThatThrownBy(() -> condition.absent(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("images must be at least 1, but was 0");
  }

  @Test
  void concat_twoHalves_conditionedThenDropped() {
    Condition condition = Condition.labels(1, 2).and(Condition.vectors(rows(1, 2, 1)));
    Condition both = condition.concat(condition.dropped());
    assertThat(labels(both)).containsExactly(1, 2, -1, -1);
    assertThat(array(both, Kind.VECTORS)).containsExactly(1, 11, 0, 0);
  }

  @Test
  void concat_differentKinds_absentInTheOther() {
    Condition both = Condition.labels(1, 2).concat(Condition.vectors(rows(1, 2, 2)));
    assertThat(both.size()).hasValue(4);
    assertThat(labels(both)).containsExactly(1, 2, -1, -1);
    assertThat(array(both, Kind.VECTORS)).containsExactly(0, 0, 0, 0, 1, 2, 11, 12);
    Condition reversed = Condition.vectors(rows(1, 1, 2)).concat(Condition.labels(3));
    assertThat(array(reversed, Kind.VECTORS)).containsExactly(1, 2, 0, 0);
    assertThat(labels(reversed)).containsExactly(-1, 3);
  }

  @Test
  void array_ofJoinedAndSelectedRows_leavesNothingBehind() {
    try (NDManager source = manager.newSubManager();
        NDManager target = manager.newSubManager()) {
      NDArray images = source.ones(new Shape(4, 2, 3, 3));
      Condition condition = Condition.images(images);
      int before = NativeResources.of(source);
      for (int i = 0; i < 3; i++) {
        condition.concat(condition.dropped()).select(7, 0, 1, 3).array(Kind.IMAGES, target).close();
        condition.array(Kind.IMAGES, target).close();
        condition.dropped().array(Kind.IMAGES, target).close();
      }
      assertThat(NativeResources.of(source)).isEqualTo(before);
      assertThat(NativeResources.of(target)).isZero();
    }
  }

  @Test
  void badInput_isRefused() {
    refused(
        "labels must be given for at least 1 image, but were for none; use Condition.none() for no"
            + " condition",
        Condition::labels);
    refused(
        "labels must be at least 0, or Condition.ABSENT for none, but that of image 1 was -2",
        () -> Condition.labels(0, -2));
    refused(
        "the condition's vectors must be float32 of the shape (N, D), one row per image, but are"
            + " float32 of the shape (3)",
        () -> Condition.vectors(manager.ones(new Shape(3))));
    refused(
        "the condition's vectors must be float32 of the shape (N, D), one row per image, but are"
            + " float64 of the shape (3, 2)",
        () -> Condition.vectors(manager.ones(new Shape(3, 2), DataType.FLOAT64)));
    refused(
        "the condition's images must be float32 of the shape (N, K, H, W), one row per image, but"
            + " are float32 of the shape (3, 2)",
        () -> Condition.images(manager.ones(new Shape(3, 2))));
    refused(
        "the condition's previous x̂_0 must be float32 of the shape (N, C, H, W), one row per image,"
            + " but are float32 of the shape (0, 1, 2, 2)",
        () -> Condition.previousX0(manager.ones(new Shape(0, 1, 2, 2))));
    refused(
        "the condition's contexts must be float32 of the shape (N, S, X), one row per image, but"
            + " are float32 of the shape (3, 2)",
        () -> Condition.contexts(manager.ones(new Shape(3, 2))));
    refused(
        "unconditional contexts must have the shape of the contexts, (3, 2, 4), or be one for all,"
            + " but have (1, 1, 4); pad texts to one number of tokens before they are encoded",
        () ->
            Condition.contexts(manager.ones(new Shape(3, 2, 4)), manager.ones(new Shape(1, 1, 4))));
    refused(
        "unconditional contexts must have the shape of the contexts, (3, 2, 4), or be one for all,"
            + " but have (2, 2, 4); pad texts to one number of tokens before they are encoded",
        () ->
            Condition.contexts(manager.ones(new Shape(3, 2, 4)), manager.ones(new Shape(2, 2, 4))));
    Condition two = Condition.labels(0, 1);
    refused(
        "conditions that are combined must be of the same images, but one is of 2 and the other of"
            + " 3",
        () -> two.and(Condition.vectors(manager.ones(new Shape(3, 1)))));
    refused(
        "conditions that are combined must be of different kinds, but both have labels; use concat"
            + " to join those of different images",
        () -> two.and(two));
    refused("rows must name at least 1 image, but there were none", two::select);
    refused("image must be between 0 and 1, but was 2", () -> two.select(0, 2));
    refused("image must be between 0 and 1, but was -1", () -> two.label(-1));
    refused(
        "conditions that are joined must both know their number of images, but one was"
            + " Condition.none(); use absent(images) of the other",
        () -> two.concat(Condition.none()));
    refused(
        "vectors that are joined must have the same shape per image, but one has (1) and the other"
            + " (2)",
        () ->
            Condition.vectors(manager.ones(new Shape(3, 1)))
                .concat(Condition.vectors(manager.ones(new Shape(3, 2)))));
    refused(
        "the condition has no vectors: it is Condition of 2 images by labels [0, 1]",
        () -> two.array(Kind.VECTORS, manager));
    refused(
        "labels have no array; ask for each by label(image)",
        () -> two.array(Kind.LABELS, manager));
  }

  private static void refused(String message, ThrowingCallable call) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  @Test
  void randomRows_asPlainArrays() {
    Random random = new Random(3);
    Condition condition = Condition.vectors(rows(0, 5, 2));
    for (int i = 0; i < 50; i++) {
      int[] rows = random.ints(6, 0, 5).toArray();
      boolean[] absent = new boolean[rows.length];
      for (int k = 0; k < rows.length; k++) {
        absent[k] = random.nextInt(3) == 0;
      }
      float[] actual = array(condition.select(rows).dropped(image -> absent[image]), Kind.VECTORS);
      for (int k = 0; k < rows.length; k++) {
        assertThat(actual[2 * k]).isEqualTo(absent[k] ? 0 : rows[k] * 10);
        assertThat(actual[2 * k + 1]).isEqualTo(absent[k] ? 0 : rows[k] * 10 + 1);
      }
    }
  }
}
