package io.github.ddpm4j.internal.description;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The one reader of maps that describe something. */
class DescriptionTest {

  private enum Colour {
    RED,
    GREEN
  }

  private static Description of(Object value) {
    return Description.of("the thing", Map.of("key", value));
  }

  private static void assertRefused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  @Test
  void values_ofEveryKind_areRead() {
    assertThat(of("text").text("key")).isEqualTo("text");
    assertThat(of(true).flag("key")).isTrue();
    assertThat(of(true).flag("other")).isFalse();
    assertThat(of(0.5f).number("key")).isEqualTo(0.5);
    assertThat(of(3.0).integer("key")).isEqualTo(3);
    assertThat(of(-3L).integer("key")).isEqualTo(-3);
    assertThat(of(List.of(1, 2.5, 3L)).numbers("key")).containsExactly(1, 2.5, 3);
    assertThat(of(List.of(1, 2.0, 3L)).integers("key")).containsExactly(1, 2, 3);
    assertThat(of(List.of()).numbers("key")).isEmpty();
    assertThat(of("GREEN").choice("key", Colour.class)).isEqualTo(Colour.GREEN);
    assertThat(of(Map.of("a", 1)).object("key")).isEqualTo(Map.of("a", 1));
    assertThat(of(7).value("key")).isEqualTo(7);
    assertThat(of(7).has("key")).isTrue();
    assertThat(of(7).has("other")).isFalse();
    assertThat(of(7).values()).isEqualTo(Map.of("key", 7));
  }

  @Test
  void values_missingOrNull_areRefused() {
    Map<String, Object> nothing = new LinkedHashMap<>();
    nothing.put("key", null);
    for (Map<String, Object> values : List.of(nothing, Map.<String, Object>of("other", 1))) {
      Description description = Description.of("the thing", values);
      String lacks = "the thing lacks \"key\"";
      assertRefused(() -> description.value("key"), lacks);
      assertRefused(() -> description.text("key"), lacks);
      assertRefused(() -> description.number("key"), lacks);
      assertRefused(() -> description.integer("key"), lacks);
      assertRefused(() -> description.numbers("key"), lacks);
      assertRefused(() -> description.integers("key"), lacks);
      assertRefused(() -> description.choice("key", Colour.class), lacks);
      assertRefused(() -> description.object("key"), lacks);
    }
  }

  @Test
  void values_ofAnotherKind_areRefused() {
    String must = "\"key\" of the thing must be ";
    assertRefused(() -> of(7).text("key"), must + "a string, but was 7");
    assertRefused(() -> of(1).flag("key"), must + "true or false, but was 1");
    assertRefused(() -> of("one").number("key"), must + "a number, but was one");
    for (Object value : List.of(2.5, 1e10, Double.NaN, Double.POSITIVE_INFINITY, "2")) {
      assertRefused(() -> of(value).integer("key"), must + "a whole number, but was " + value);
    }
    assertRefused(() -> of(1).numbers("key"), must + "a list of numbers, but was 1");
    assertRefused(() -> of(1).integers("key"), must + "a list of whole numbers, but was 1");
    assertRefused(
        () -> of(List.of(1, "x")).numbers("key"),
        "\"key[1]\" of the thing must be a number, but was x");
    assertRefused(
        () -> of(Arrays.asList(1, null)).numbers("key"),
        "\"key[1]\" of the thing must be a number, but was null");
    assertRefused(
        () -> of(List.of(1.5)).integers("key"),
        "\"key[0]\" of the thing must be a whole number, but was 1.5");
    assertRefused(
        () -> of("red").choice("key", Colour.class), must + "one of RED, GREEN, but was red");
    assertRefused(() -> of(List.of()).object("key"), must + "an object, but was []");
    assertRefused(
        () -> {
          throw of(2).refused("key", "odd");
        },
        must + "odd, but was 2");
  }

  @Test
  void typed_theTypeIsPartOfTheSubject() {
    Map<String, Object> values = Map.of("type", "round", "size", 3);
    assertThat(Description.typeOf("thing", values)).isEqualTo("round");
    Description description = Description.typed("thing", values);
    assertThat(description.values()).isEqualTo(Map.of("size", 3));
    assertRefused(() -> description.number("length"), "thing round lacks \"length\"");
    assertRefused(() -> Description.typed("thing", Map.of()), "the thing lacks \"type\"");
    assertRefused(
        () -> Description.typed("thing", Map.of("type", 1)),
        "\"type\" of the thing must be a string, but was 1");
  }

  @Test
  void allowOnly_unknownKeys_areRefused() {
    of(1).allowOnly("key", "other");
    assertRefused(
        () -> of(1).allowOnly("size", "keys"),
        "the thing has the unknown setting \"key\"; known are keys, size; did you mean keys?");
    assertRefused(
        () -> of(1).allowOnly("size"), "the thing has the unknown setting \"key\"; known are size");
  }

  @ParameterizedTest
  @CsvSource({
    "tralling, trailing",
    "TRAILING, trailing",
    "leading, leading",
    "lading, leading",
    "lead, ''",
    "x, ''",
    "e, ''",
    "et, eta",
  })
  void didYouMean_theNearest(String unknown, String expected) {
    assertThat(Names.didYouMean(unknown, List.of("trailing", "leading", "eta")))
        .isEqualTo(expected.isEmpty() ? "" : "; did you mean " + expected + "?");
  }
}
