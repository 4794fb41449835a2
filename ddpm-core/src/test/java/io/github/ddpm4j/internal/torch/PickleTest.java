package io.github.ddpm4j.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/**
 * The bytes of each value, as printed by {@code python3 -c "import pickle;
 * print(pickle.dumps(VALUE, 2).hex())"}, but without the memo opcodes ({@code 71} and a number),
 * which only later references need, and with all integers of up to 32 bits in the four bytes of the
 * opcode {@code 4a}.
 */
class PickleTest {

  private static void assertBytes(Pickle pickle, String hex) {
    assertThat(HexFormat.of().formatHex(pickle.finish())).isEqualTo(hex);
  }

  @Test
  void emptyTuple() {
    assertBytes(new Pickle().emptyTuple(), "8002292e"); // ()
  }

  @Test
  void tuple_mixed() {
    assertBytes( // ("é", True, False, 1, -2)
        new Pickle().mark().string("é").bool(true).bool(false).integer(1).integer(-2).tuple(),
        "8002" + "28" + "5802000000c3a9" + "88" + "89" + "4a01000000" + "4afeffffff" + "74" + "2e");
  }

  @Test
  void integer_bounds() {
    assertBytes(new Pickle().integer(Integer.MAX_VALUE), "8002" + "4affffff7f" + "2e");
    assertBytes(new Pickle().integer(Integer.MIN_VALUE), "8002" + "4a00000080" + "2e");
    // Python takes as few bytes as will do; its reader takes any number of them.
    assertBytes(new Pickle().integer(1L << 31), "8002" + "8a080000008000000000" + "2e");
    assertBytes(new Pickle().integer(-1L), "8002" + "4affffffff" + "2e");
  }

  @Test
  void dictionary() {
    assertBytes( // {"a": (), "b": ()}
        new Pickle()
            .emptyDict()
            .mark()
            .string("a")
            .emptyTuple()
            .string("b")
            .emptyTuple()
            .setItems(),
        "8002" + "7d" + "28" + "580100000061" + "29" + "580100000062" + "29" + "75" + "2e");
  }

  @Test
  void call() {
    assertBytes( // collections.OrderedDict()
        new Pickle().global("collections", "OrderedDict").emptyTuple().reduce(),
        "8002" + "63" + hex("collections\nOrderedDict\n") + "29" + "52" + "2e");
  }

  @Test
  void object() {
    assertBytes( // an instance of a class without constructor, and its attributes
        new Pickle().global("m", "C").emptyTuple().newObject().emptyDict().build(),
        "8002" + "63" + hex("m\nC\n") + "29" + "81" + "7d" + "62" + "2e");
  }

  @Test
  void persistentId() {
    assertBytes(
        new Pickle().mark().string("0").tuple().persistentId(),
        "8002" + "28" + "580100000030" + "74" + "51" + "2e");
  }

  private static String hex(String text) {
    return HexFormat.of().formatHex(text.getBytes(StandardCharsets.US_ASCII));
  }
}
