package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Record;
import io.github.ddpm4j.data.Face.Attribute;
import io.github.ddpm4j.data.FaceParts.Slot;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Portraits and their attributes. */
// As the classes that are tested.
@SuppressWarnings("EnumOrdinal")
class FacesTest {

  private static final int MANY = 100;

  /** To the rounding of one level of each of up to nine layers. */
  @Test
  void draw_isWhatTheDesignersRendererDraws() throws Exception {
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(
                Objects.requireNonNull(FacesTest.class.getResourceAsStream("faces-golden.txt")),
                StandardCharsets.US_ASCII))) {
      List<String> lines = reader.lines().toList();
      assertThat(lines).hasSize(12);
      for (String line : lines) {
        String[] words = line.split(" ", -1);
        int last = words.length - 1;
        int[] choices = Arrays.stream(words, 0, last).mapToInt(Integer::parseInt).toArray();
        byte[] wanted = HexFormat.of().parseHex(words[last]);
        double[] drawn = new double[wanted.length];
        FaceParts.get().draw(choices, drawn);
        double largest =
            IntStream.range(0, wanted.length)
                .mapToDouble(i -> Math.abs(drawn[i] - Byte.toUnsignedInt(wanted[i])))
                .max()
                .orElseThrow();
        assertThat(largest).as("the largest difference of %s", line).isLessThan(2);
      }
    }
  }

  @Test
  void of_isAFunctionOfSeedAndIndex() {
    assertThat(Face.of(7, 3)).isEqualTo(Face.of(7, 3)).hasSameHashCodeAs(Face.of(7, 3));
    assertThat(Face.of(7, 3)).isNotEqualTo(Face.of(7, 4)).isNotEqualTo(Face.of(8, 3));
    // Part of what a seed means.
    assertThat(Face.of(1, 0))
        .hasToString(
            "skin=brown, hair=long, hair color=brown, glasses=none, hat=brown, mouth=sad,"
                + " beard=beard, clothing=blue, background=white");
  }

  /** Pixels come in blocks of four, are levels, and lie where DJL has them. */
  @Test
  void pixels_areTheGridTwiceAsLarge() {
    float[] pixels = Face.of(1, 0).pixels();
    assertThat(pixels).hasSize(3 * 32 * 32);
    for (int i = 0; i < pixels.length; i++) {
      int corner = i / 1024 * 1024 + i / 64 * 64 % 1024 + i % 32 / 2 * 2;
      assertThat(pixels[i]).isEqualTo(pixels[corner]).isBetween(-1f, 1f);
      double level = (pixels[i] + 1) * 127.5;
      assertThat(level).isCloseTo(Math.rint(level), within(1e-4));
    }
    // The corner shows the background, f4f4f0.
    assertThat(new float[] {pixels[0], pixels[1024], pixels[2048]})
        .containsExactly(0xf4 / 127.5f - 1, 0xf4 / 127.5f - 1, 0xf0 / 127.5f - 1);
  }

  @Test
  void attributes_occurAsOftenAsTheyShould() {
    int[] counts = new int[Face.vectorLength()];
    int faces = 40 * MANY;
    for (int i = 0; i < faces; i++) {
      float[] vector = Face.of(3, i).vector();
      IntStream.range(0, counts.length).forEach(k -> counts[k] += (int) vector[k]);
    }
    for (Attribute attribute : Attribute.values()) {
      int from = attribute.offset();
      int[] own = Arrays.copyOfRange(counts, from, from + attribute.names().size());
      assertThat(Arrays.stream(own).sum()).as("%s", attribute).isEqualTo(faces);
      assertThat(own).as("%s", attribute).doesNotContain(0);
    }
    assertThat(1 - counts[Attribute.GLASSES.offset()] / (double) faces).isBetween(0.28, 0.32);
    assertThat(1 - counts[Attribute.HAT.offset()] / (double) faces).isBetween(0.23, 0.27);
    assertThat(1 - counts[Attribute.BEARD.offset()] / (double) faces).isBetween(0.13, 0.17);
  }

  /** A beard shows in every colour of hair. */
  @Test
  void beard_isSeen_ofDarkHairToo() {
    for (int color = 0; color < FaceParts.get().choices(Slot.HAIR_COLOR); color++) {
      int[] choices = new int[Slot.values().length];
      choices[Slot.HAIR_COLOR.ordinal()] = color;
      float[] without = new Face(choices).pixels();
      choices[Slot.BEARD.ordinal()] = 1;
      float[] with = new Face(choices).pixels();
      long changed = IntStream.range(0, with.length).filter(i -> with[i] != without[i]).count();
      assertThat(changed).as("colour %s", color).isGreaterThan(100);
    }
  }

  /** Hidden parts are a guess: hair under a hat, most of all. */
  @Test
  void nearest_readsWhatWasDrawn() {
    int[] right = new int[Attribute.values().length];
    int exact = 0;
    for (int i = 0; i < MANY; i++) {
      Face face = Face.of(2, i);
      Face read = Face.nearest(face.pixels());
      exact += Arrays.equals(face.pixels(), read.pixels()) ? 1 : 0;
      for (Attribute attribute : Attribute.values()) {
        right[attribute.ordinal()] += face.value(attribute).equals(read.value(attribute)) ? 1 : 0;
      }
    }
    assertThat(exact).isGreaterThanOrEqualTo(MANY * 93 / 100);
    for (Attribute attribute : Attribute.values()) {
      assertThat(right[attribute.ordinal()])
          .as("%s", attribute)
          .isGreaterThanOrEqualTo(MANY * 92 / 100);
    }
  }

  @Test
  void vector_readsWords() {
    float[] asked = Face.vector("Glasses = dark, hair color=black, hat=red");
    int glasses = Attribute.GLASSES.offset() + 2;
    int hair = Attribute.HAIR_COLOR.offset() + 3;
    int hat = Attribute.HAT.offset() + 7;
    for (int i = 0; i < asked.length; i++) {
      assertThat(asked[i]).isEqualTo(i == glasses || i == hair || i == hat ? 1 : 0);
    }
    assertThat(Face.vector(" ")).containsOnly(0).hasSize(Face.vectorLength()).hasSize(38);
    Face face = Face.of(5, 5);
    assertThat(Face.vector(face.toString())).containsExactly(face.vector());
  }

  @Test
  void differences_countParts() {
    Face face = Face.of(5, 5);
    assertThat(face.differences(face)).isZero();
    Face read = Face.nearest(face.pixels());
    assertThat(read.differences(face)).isEqualTo(face.differences(read));
    assertThat(IntStream.range(0, 50).map(i -> Face.of(6, i).differences(face)))
        .allMatch(count -> count >= 3 && count <= 17);
  }

  @Test
  void vector_refusesOtherWords() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Face.vector("nose=big"))
        .withMessage(
            "attributes are [skin, hair, hair color, glasses, hat, mouth, beard,"
                + " clothing, background], each with its value as in \"skin=light\", but there was"
                + " \"nose=big\"");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Face.vector("mouth=angry"))
        .withMessage("mouth must be one of [happy, sad], but was \"mouth=angry\"");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Face.vector("hat"))
        .withMessage(
            "hat must be one of [none, brown, blue, grey, green, pink, purple, red], but was"
                + " \"hat\"");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Face.vector("hat=red,hat=blue"))
        .withMessage("hat must be named once, but was twice in \"hat=red,hat=blue\"");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Face.nearest(new float[12]))
        .withMessage("a picture of a face must have 3 x 32 x 32 = 3072 values, but had 12");
  }

  @Test
  void dataset_hasFacesAndTheirVectors() throws Exception {
    Faces faces = Faces.builder(10).seed(4).setSampling(5, false).build();
    assertThat(faces.size()).isEqualTo(10);
    assertThat(faces.nameOf(3)).isEqualTo("face 3 of seed 4");
    assertThat(faces.augmentation()).isEqualTo("faces of seed 4");
    try (NDManager manager = NDManager.newBaseManager()) {
      Batch batch = faces.getData(manager).iterator().next();
      NDArray images = batch.getData().head();
      assertThat(images.getShape()).isEqualTo(new Shape(5, 3, 32, 32));
      assertThat(images.getDataType()).isEqualTo(DataType.FLOAT32);
      assertThat(images).isEqualTo(faces.toArray(manager, 0, 5));
      assertThat(images.get(2).toFloatArray()).containsExactly(Face.of(4, 2).pixels());
      assertThat(batch.getLabels().head().get(2).toFloatArray())
          .containsExactly(Face.of(4, 2).vector());
    }
  }

  @Test
  void dataset_leavesOut_andHides() {
    Faces faces =
        Faces.builder(MANY)
            .without(face -> face.value(Attribute.HAT).equals("none"))
            .hidden(0.3)
            .setSampling(5, true)
            .build();
    assertThat(faces.augmentation()).isEqualTo("faces of seed 0, 0.3 of attributes hidden");
    int[] shown = new int[Attribute.values().length];
    try (NDManager manager = NDManager.newBaseManager()) {
      for (int i = 0; i < MANY; i++) {
        assertThat(faces.face(i).value(Attribute.HAT)).isNotEqualTo("none");
        float[] whole = faces.face(i).vector();
        Record record = faces.get(manager, i);
        float[] vector = record.getLabels().head().toFloatArray();
        assertThat(record.getData().head().toFloatArray()).containsExactly(faces.face(i).pixels());
        for (Attribute attribute : Attribute.values()) {
          int from = attribute.offset();
          int to = from + attribute.names().size();
          float[] part = Arrays.copyOfRange(vector, from, to);
          boolean kept = Arrays.equals(part, Arrays.copyOfRange(whole, from, to));
          assertThat(kept || Arrays.equals(part, new float[to - from])).isTrue();
          shown[attribute.ordinal()] += kept ? 1 : 0;
        }
      }
    }
    for (int count : shown) {
      assertThat(count / (double) MANY).isBetween(0.55, 0.85);
    }
  }

  @Test
  void dataset_refusesWhatCannotBe() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Faces.builder(0))
        .withMessage("the number of faces must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Faces.builder(1).hidden(1.5))
        .withMessage("hidden must be in [0, 1], but was 1.5");
    Faces none = Faces.builder(3).without(face -> true).setSampling(1, true).build();
    assertThatThrownBy(() -> none.face(0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "what is left out of the faces must leave some, but 1000 in a row were left out");
    assertThatThrownBy(() -> none.face(3)).isInstanceOf(IndexOutOfBoundsException.class);
    try (NDManager manager = NDManager.newBaseManager()) {
      assertThatThrownBy(() -> none.toArray(manager, 2, 4))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessage("a range of faces must be within [0, 3) and hold a face, but was [2, 4)");
    }
  }
}
