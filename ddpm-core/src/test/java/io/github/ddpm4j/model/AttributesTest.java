package io.github.ddpm4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AttributesTest {

  private static final String TEXT = "hat=none|red|blue, hair color=black|red, mouth=happy|sad";

  private static Attributes attributes() {
    return Attributes.in(Map.of(Attributes.METADATA, TEXT)).orElseThrow();
  }

  @Test
  void metadata_thereAndBack() {
    Map<String, List<String>> values = new LinkedHashMap<>();
    values.put("Hat", List.of("None", "red", "blue"));
    values.put("hair_color", List.of("black", "red"));
    values.put("mouth", List.of("happy", "sad"));
    Attributes attributes = Attributes.of(values);
    assertThat(attributes)
        .hasToString(TEXT)
        .isEqualTo(attributes())
        .hasSameHashCodeAs(attributes());
    assertThat(attributes.values())
        .containsOnlyKeys("hat", "hair color", "mouth")
        .containsEntry("hat", List.of("none", "red", "blue"));
    assertThat(attributes.length()).isEqualTo(7);
  }

  @Test
  void vector_hasOnesWhereAsked_andIsReadBack() {
    Attributes attributes = attributes();
    assertThat(attributes.vector("Mouth = SAD,hair_color=red"))
        .containsExactly(0, 0, 0, 0, 1, 0, 1);
    assertThat(attributes.text(new float[] {0, 0, 0, 0, 1, 0, 1}))
        .contains("hair color=red, mouth=sad");
    assertThat(attributes.vector(" ")).hasSize(7).containsOnly(0);
    assertThat(attributes.text(new float[7])).contains("");
    assertThat(attributes.text(new float[6])).isEmpty();
    assertThat(attributes.text(new float[] {1, 1, 0, 0, 0, 0, 0})).isEmpty();
    assertThat(attributes.text(new float[] {0.5f, 0, 0, 0, 0, 0, 0})).isEmpty();
  }

  @Test
  void vector_refusesOtherWords() {
    Attributes attributes = attributes();
    assertThatIllegalArgumentException()
        .isThrownBy(() -> attributes.vector("nose=big"))
        .withMessage(
            "attributes are [hat, hair color, mouth], each with its value as in \"hat=none\", but"
                + " there was \"nose=big\"");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> attributes.vector("hat=red, mouth = angry"))
        .withMessage("mouth must be one of [happy, sad], but was \"mouth = angry\"");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> attributes.vector("hat"))
        .withMessage("hat must be one of [none, red, blue], but was \"hat\"");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> attributes.vector("hat=red,HAT=red"))
        .withMessage("hat must be named once, but was twice in \"hat=red,HAT=red\"");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> attributes.vector("hat=red,"))
        .withMessageEndingWith("but there was \"\"");
  }

  @Test
  void of_refusesWhatCanNotBeToldApart() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Attributes.of(Map.of()))
        .withMessage("attributes must be at least 1, but there are none");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Attributes.of(Map.of("hat", List.of("red"))))
        .withMessage("attributes must have at least 2 values, but hat has [red]");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Attributes.of(Map.of("hat", List.of("red", "RED"))))
        .withMessage(
            "each value of hat must be another word without the signs \"=\", \",\" and \"|\", but"
                + " one was \"RED\"");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Attributes.of(Map.of("a=b", List.of("x", "y"))))
        .withMessage(
            "each attribute must be another word without the signs \"=\", \",\" and \"|\", but one"
                + " was \"a=b\"");
    // Such a sign would make other attributes of them when they are read back.
    for (String name : List.of("a\n=b", "a\nb", "a|b", "a,b", " ")) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> Attributes.of(Map.of(name, List.of("x", "y"))))
          .withMessageEndingWith("but one was \"" + name + "\"");
    }
  }

  /** Somebody's own words stay their own. */
  @ParameterizedTest
  @ValueSource(strings = {"", "large and friendly", "a=b", "a=b|c,a=d|e", "a=b|c,", "a=b|b"})
  void in_otherMetadata_areNoAttributes(String text) {
    assertThat(Attributes.in(Map.of(Attributes.METADATA, text))).isEmpty();
  }
}
