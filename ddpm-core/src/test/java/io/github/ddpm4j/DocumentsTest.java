package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** README and docs lead to files that exist, in lines that fit a screen. */
class DocumentsTest {

  private static final Pattern LINK = Pattern.compile("]\\(([^)#\\s]+)(#[^)]*)?\\)");
  private static final int LONGEST = 160;

  static Stream<Path> documents() throws IOException {
    List<Path> documents = new ArrayList<>();
    for (String folder : new String[] {"..", "../docs"}) {
      try (Stream<Path> files = Files.list(Path.of(folder))) {
        files.filter(file -> file.toString().endsWith(".md")).sorted().forEach(documents::add);
      }
    }
    assertThat(documents).hasSizeGreaterThan(8);
    return documents.stream();
  }

  @ParameterizedTest
  @MethodSource("documents")
  void links_leadToFiles(Path document) throws IOException {
    Matcher links = LINK.matcher(Files.readString(document));
    while (links.find()) {
      String target = links.group(1);
      if (!target.contains("://")) {
        assertThat(document.resolveSibling(target)).as("a link of %s", document).exists();
      }
    }
  }

  /** Tables are as wide as they are. */
  @ParameterizedTest
  @MethodSource("documents")
  void prose_fitsTheScreen(Path document) throws IOException {
    List<String> lines = Files.readAllLines(document);
    for (int i = 0; i < lines.size(); i++) {
      if (!lines.get(i).startsWith("|")) {
        assertThat(lines.get(i).codePointCount(0, lines.get(i).length()))
            .as("characters of line %d of %s", i + 1, document)
            .isLessThanOrEqualTo(LONGEST);
      }
    }
  }
}
