package io.github.ddpm4j.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.web.DrawRequest.Hole;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DrawRequestTest {

  static final String GOOD =
      "{'model':'m','prompt':'Bag','sampler':'ddim','steps':5,'guidance':1.5,'seed':7,'count':2}"
          .replace('\'', '"');

  @Test
  void of_whatThePageSends() {
    assertThat(DrawRequest.of(GOOD))
        .isEqualTo(new DrawRequest("m", "Bag", "ddim", 5, 1.5, 7, 2, null));
    String fill = ", \"fill\": {\"drawing\": \"d\", \"picture\": 3, \"mask\": \"06af\"}}";
    String one = GOOD.replace("\"count\":2", "\"count\":1");
    assertThat(DrawRequest.of(one.substring(0, one.length() - 1) + fill).hole())
        .isEqualTo(new Hole("d", 3, "06af"));
    assertThat(DrawRequest.of(GOOD.replace("7", "9007199254740991")).seed())
        .isEqualTo(9007199254740991L);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "\"steps\":5; \"steps\":0; steps must lie in [1, 250], but was 0",
        "\"steps\":5; \"steps\":251; steps must lie in [1, 250], but was 251",
        "\"steps\":5; \"steps\":2.5; steps must be a whole number, but was 2.5",
        "\"steps\":5; \"steps\":\"5\"; steps must be a number",
        "\"steps\":5; \"steps\":1e99; steps must be a number in plain digits",
        "\"steps\":5; \"steps\":null; steps must be a number",
        "1.5; 0.5; guidance must lie in [1, 20], but was 0.5",
        "\"count\":2; \"count\":17; count must lie in [1, 16], but was 17",
        "\"seed\":7; \"seed\":-1; seed must lie in [0, 9007199254740991], but was -1",
        "\"seed\":7; \"seed\":1.5; seed must be a whole number, but was 1.5",
        "\"Bag\"; \" \"; guidance must be 1 without a prompt, since it guides towards it",
        "\"m\"; 3; model must be a text",
        "\"Bag\"; [\"Bag\"]; prompt must be a text",
        "\"seed\":7; \"sead\":7; there is no such name, but there are [model, prompt, sampler,"
            + " steps, guidance, seed, count, fill]",
        "\"seed\":7; \"seed\":7,\"fill\":3; fill must be an object of [drawing, picture, mask]",
        "\"seed\":7; \"seed\":7,\"fill\":{\"mask\":\"01g\"}; mask must be of the digits 0 to 9 and"
            + " a to f",
        "\"seed\":7; \"seed\":7,\"fill\":{\"to\":1}; there is no such name, but there are [drawing,"
            + " picture, mask]",
        "\"seed\":7; \"seed\":7,\"fill\":{\"drawing\":\"d\",\"picture\":3,\"mask\":\"06af\"}; count"
            + " must be 1 where a part of a picture is filled in, but was 2"
      })
  void of_whatItNeverSends_isRefused(String part, String other, String message) {
    assertThatThrownBy(() -> DrawRequest.of(GOOD.replace(part, other)))
        .isInstanceOf(RefusalException.class)
        .hasMessage(message)
        .extracting(e -> ((RefusalException) e).status())
        .isEqualTo(400);
  }

  @Test
  void hole_aDigitForFourPixels_ofThatSizeAlone() {
    assertThat(new Hole("d", 0, "1e").kept(8)).containsExactly(0, 0, 0, 1, 1, 1, 1, 0);
    assertThat(new Hole("d", 0, "fa8").kept(9)).containsExactly(1, 1, 1, 1, 1, 0, 1, 0, 1);
    assertThatThrownBy(() -> new Hole("d", 0, "fa8").kept(13))
        .isInstanceOf(RefusalException.class)
        .hasMessage("mask must have 4 digits for 13 pixels, but has 3");
    assertThatThrownBy(() -> new Hole("d", 0, "fa4").kept(9))
        .isInstanceOf(RefusalException.class)
        .hasMessage("mask must be 0 beyond its 9 pixels");
  }

  /** With all else as long as it may be. */
  @Test
  void of_theLargestMask_fitsIntoARequest() {
    String text = "\u4e00".repeat(200);
    String mask = "f".repeat(DrawRequest.MOST_FILLED / 4);
    String body =
        "{'model':'T','prompt':'P','sampler':'T','steps':250,'guidance':19.55555,'seed':9007199254740991,"
                .replace("'", "\"")
                .replace("T", text)
                .replace("P", "\u4e00".repeat(DrawRequest.MOST_PROMPT))
            + ("'count':1,'fill':{'drawing':'T','picture':15,'mask':'" + mask + "'}}")
                .replace("'", "\"")
                .replace("T", text);
    assertThat(body.getBytes(StandardCharsets.UTF_8)).hasSizeLessThan(PageServer.MOST_BYTES);
    Hole hole = Objects.requireNonNull(DrawRequest.of(body).hole());
    assertThat(hole.kept(DrawRequest.MOST_FILLED)).containsOnly(1);
    assertThat(DrawRequest.MOST_FILLED).isGreaterThan(256 * 256);
  }

  @Test
  void of_whatIsNoObject_isRefused() {
    for (String text : new String[] {"", "[]", "3", "null", "{", "{'a':1}", GOOD + "x", "\0"}) {
      assertThatThrownBy(() -> DrawRequest.of(text))
          .as(text)
          .isInstanceOf(RefusalException.class)
          .hasMessage("the body must be one object of JSON");
    }
    assertThatThrownBy(() -> DrawRequest.of("[".repeat(60_000)))
        .isInstanceOf(RefusalException.class)
        .hasMessage("the body must be one object of JSON");
    assertThatThrownBy(() -> DrawRequest.of(GOOD.replace("Bag", "B".repeat(501))))
        .hasMessage("prompt must have at most 500 letters, but has 501");
  }
}
