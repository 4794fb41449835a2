package io.github.ddpm4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * A file that something was made from.
 *
 * @param name without folders, which are nobody else's business
 * @param sha256 that of what it holds
 */
record Source(String name, String sha256) {

  private static final String DIGEST = " sha256";
  private static final Pattern HEXADECIMAL = Pattern.compile("[0-9a-f]{64}");

  static Source of(Path file) throws IOException {
    return new Source(String.valueOf(file.getFileName()), Sha256.of(file));
  }

  static List<Source> of(List<Path> files) throws IOException {
    List<Source> all = new ArrayList<>();
    for (Path file : files) {
      all.add(of(file));
    }
    return all;
  }

  /** Says in a picture what it was made from. */
  static void tell(Map<String, String> words, String word, List<Source> sources) {
    words.put(word, sources.stream().map(Source::name).collect(Collectors.joining(", ")));
    words.put(word + DIGEST, sources.stream().map(Source::sha256).collect(Collectors.joining(" ")));
  }

  /**
   * What a picture says it was made from.
   *
   * @return none if it does not say it in full
   */
  static List<Source> told(Map<String, String> words, String word) {
    String[] digests = words.getOrDefault(word + DIGEST, "").split(" ", -1);
    String[] names = words.getOrDefault(word, "").split(", ", -1);
    List<Source> all = new ArrayList<>();
    for (int i = 0; i < digests.length; i++) {
      if (!HEXADECIMAL.matcher(digests[i]).matches()) {
        return List.of();
      }
      // A name may have a comma of its own, and then it cannot be told where the next begins.
      all.add(new Source(names.length == digests.length ? names[i] : "a picture", digests[i]));
    }
    return all;
  }

  @Override
  public String toString() {
    return name + " (SHA-256 " + sha256 + ")";
  }
}
