package io.github.ddpm4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The table of packages in a document: a column "package" with the names below {@code
 * io.github.ddpm4j}, in backticks, and a column "may depend on" with those of other rows, with
 * commas between them, or "–" for none.
 */
final class PackageTable {

  private static final String PACKAGE = "package";
  private static final String MAY_USE = "may depend on";
  private static final String NONE = "–";
  private static final Pattern NAME = Pattern.compile("[a-z]\\w*(\\.[a-z]\\w*)*");
  private static final Pattern QUOTED = Pattern.compile("`([^`]*)`");

  private PackageTable() {}

  /** Each package, and which it may use, in the order of the document. */
  static Map<String, Set<String>> read(Path document) {
    try {
      return parse(Files.readAllLines(document));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Map<String, Set<String>> parse(List<String> lines) {
    int head = 0;
    while (head < lines.size() && !cells(lines.get(head)).containsAll(List.of(PACKAGE, MAY_USE))) {
      head++;
    }
    if (head == lines.size()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "no table with the columns \"%s\" and \"%s\"", PACKAGE, MAY_USE));
    }
    List<String> columns = cells(lines.get(head));
    Map<String, Set<String>> table = new LinkedHashMap<>();
    for (int i = head + 2; i < lines.size() && lines.get(i).startsWith("|"); i++) {
      List<String> row = cells(lines.get(i));
      if (row.size() != columns.size()) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "a row must have %d cells, but has %d: %s",
                columns.size(),
                row.size(),
                lines.get(i)));
      }
      String name = name(row.get(columns.indexOf(PACKAGE)));
      if (table.put(name, names(row.get(columns.indexOf(MAY_USE)))) != null) {
        throw new IllegalArgumentException("two rows for " + name);
      }
    }
    table.forEach(
        (name, used) -> {
          for (String other : used) {
            if (!table.containsKey(other)) {
              throw new IllegalArgumentException(
                  String.format(Locale.ROOT, "%s may depend on %s, which has no row", name, other));
            }
          }
        });
    return table;
  }

  private static List<String> cells(String line) {
    String[] parts = line.split("\\|", -1);
    return parts.length < 3
        ? List.of()
        : Arrays.stream(parts, 1, parts.length - 1).map(String::strip).toList();
  }

  private static Set<String> names(String cell) {
    Set<String> names = new LinkedHashSet<>();
    if (!cell.equals(NONE)) {
      for (String one : cell.split(",")) {
        names.add(name(one.strip()));
      }
    }
    return names;
  }

  private static String name(String text) {
    Matcher quoted = QUOTED.matcher(text);
    String name = quoted.matches() ? quoted.group(1) : text;
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException("no name of a package: \"" + text + "\"");
    }
    return name;
  }
}
