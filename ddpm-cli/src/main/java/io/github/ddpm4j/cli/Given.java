package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Files that edited pictures were made from, found by what they hold.
 *
 * @param files by their SHA-256
 */
record Given(Map<String, Path> files) {

  static Given of(List<Path> files) throws IOException {
    Inputs.requireFiles(files);
    Map<String, Path> all = new LinkedHashMap<>();
    for (Path file : files) {
      all.put(Sha256.of(file), file);
    }
    return new Given(all);
  }

  /**
   * Checks that all are there that some edits were made from, and no others.
   *
   * @param edits by the files of their grids
   * @throws IllegalArgumentException if not; the message names all that are missing, or in excess
   */
  void requireAll(Map<Path, Edit> edits) {
    List<String> missing = new ArrayList<>();
    edits.forEach(
        (file, edit) -> {
          List<String> lacking =
              edit.sources()
                  .filter(source -> !files.containsKey(source.sha256()))
                  .map(Source::toString)
                  .toList();
          if (!lacking.isEmpty()) {
            missing.add(file + " was made from " + String.join(" and ", lacking));
          }
        });
    if (!missing.isEmpty()) {
      throw new IllegalArgumentException(
          String.join(", ", missing) + "; give that by --given" + beside(edits.values()));
    }
    String useless = useless(edits.values());
    if (!useless.isEmpty()) {
      throw new IllegalArgumentException(
          "none of the pictures was made from " + useless + "; leave it out of --given");
    }
  }

  /** The files that are given for nothing. */
  private String useless(Collection<Edit> edits) {
    Set<String> used =
        edits.stream().flatMap(Edit::sources).map(Source::sha256).collect(Collectors.toSet());
    return files.entrySet().stream()
        .filter(file -> !used.contains(file.getKey()))
        .map(file -> file.getValue().toString())
        .collect(Collectors.joining(" and "));
  }

  /** What a complaint adds about the files that are given. */
  private String beside(Collection<Edit> edits) {
    String useless = useless(edits);
    if (!useless.isEmpty()) {
      return ", not " + useless;
    }
    return files.isEmpty() ? "" : ", too";
  }

  /** Sources as one array. */
  NDArray read(LoadedModel model, NDManager manager, List<Source> sources) throws IOException {
    List<Path> found =
        sources.stream().map(source -> Objects.requireNonNull(files.get(source.sha256()))).toList();
    return Inputs.read(model, manager, found);
  }
}
