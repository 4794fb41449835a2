package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class PackageTableTest {

  private static List<String> document(String... rows) {
    return List.of(
        ("""
        A table before.
        | name | holds |
        |---|---|
        | `other` | things |

        | package | holds | may depend on |
        |---|---|---|
        """
                + String.join("\n", rows)
                + """

                After it.
                | `last` | more | – |
                """)
            .split("\n"));
  }

  @Test
  void parse_table_namesAndWhatTheyMayUse() {
    assertThat(
            PackageTable.parse(
                document(
                    "| `internal.ops` | operations, all of them | – |",
                    "| `a` | x | internal.ops |",
                    "| `b` | y | `internal.ops`, a |")))
        .containsExactly(
            Map.entry("internal.ops", Set.of()),
            Map.entry("a", Set.of("internal.ops")),
            Map.entry("b", Set.of("internal.ops", "a")));
  }

  @Test
  void parse_badTable_isRefused() {
    assertRefused(
        List.of("no", "table"), "no table with the columns \"package\" and \"may depend on\"");
    assertRefused(document("| `a` | x | b |"), "a may depend on b, which has no row");
    assertRefused(document("| `a` | x | – |", "| `a` | y | – |"), "two rows for a");
    assertRefused(
        document("| `a` | x | nothing at all |"), "no name of a package: \"nothing at all\"");
    assertRefused(document("| `a` | – |"), "a row must have 3 cells, but has 2: | `a` | – |");
  }

  private static void assertRefused(List<String> document, String message) {
    assertThatThrownBy(() -> PackageTable.parse(document))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }
}
