package io.github.ddpm4j.internal.hub;

import io.github.ddpm4j.internal.description.Quote;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which files of a model a pipeline needs.
 *
 * @param files configurations, vocabularies and weights
 * @param indexes those of the files that say which further files hold the weights
 */
record PipelineFiles(List<String> files, List<String> indexes) {

  private static final String INDEX = "model_index.json";
  private static final String CONFIG = "config.json";
  private static final String SCHEDULER = "scheduler_config.json";

  /** A name in a folder, on any system. */
  private static final Pattern NAME = Pattern.compile("[^/\\\\:\\p{Cntrl}]{1,255}");

  private static final Pattern SMALL = Pattern.compile(".*\\.(json|txt|model)");

  /**
   * Chooses files.
   *
   * @param id the model, for messages
   * @param names all of its files
   * @param components the folders of a pipeline
   * @throws IOException if they make no pipeline, or a name would leave its folder
   */
  static PipelineFiles of(String id, Set<String> names, List<String> components)
      throws IOException {
    List<String> folders =
        components.stream()
            .map(component -> component + "/")
            .filter(folder -> names.stream().anyMatch(name -> name.startsWith(folder)))
            .toList();
    PipelineFiles chosen = new PipelineFiles(new ArrayList<>(), new ArrayList<>());
    if (names.contains(INDEX)) {
      chosen.files.add(INDEX);
    }
    if (folders.isEmpty()) {
      if (!names.contains(CONFIG)) {
        throw new IOException(
            "the model "
                + id
                + " is no pipeline: it has neither a folder "
                + String.join(", ", components)
                + " nor "
                + CONFIG
                + "; download the file that you want in another way and load it by its path");
      }
      chosen.addComponent(id, names, "", List.of(CONFIG, SCHEDULER));
    }
    for (String folder : folders) {
      List<String> small =
          names.stream()
              .filter(name -> name.startsWith(folder))
              .map(name -> name.substring(folder.length()))
              .filter(name -> SMALL.matcher(name).matches() && !name.contains("/"))
              .filter(name -> !name.endsWith(WeightNames.INDEX_SUFFIX))
              .toList();
      chosen.addComponent(id, names, folder, small);
    }
    return chosen;
  }

  private void addComponent(String id, Set<String> names, String folder, List<String> small)
      throws IOException {
    for (String name : small) {
      if (names.contains(folder + name)) {
        files.add(folder + required(id, name));
      }
    }
    String weights = weights(names, folder);
    if (weights != null) {
      files.add(weights);
      if (weights.endsWith(WeightNames.INDEX_SUFFIX)) {
        indexes.add(weights);
      }
    } else if (names.contains(folder + CONFIG)) {
      throw new IOException(
          "the model "
              + id
              + " has no weights that are read"
              + (folder.isEmpty() ? "" : " in " + folder)
              + ": "
              + WeightNames.STEMS.get(0)
              + " with one of "
              + String.join(", ", WeightNames.FORMS)
              + "; it has "
              + Quote.of(
                  new TreeSet<>(names.stream().filter(name -> name.startsWith(folder)).toList())));
    }
  }

  private static @Nullable String weights(Set<String> names, String folder) {
    for (String form : WeightNames.FORMS) {
      for (String stem : WeightNames.STEMS) {
        if (names.contains(folder + stem + form)) {
          return folder + stem + form;
        }
      }
    }
    return null;
  }

  /** A name that stays in its folder. */
  private static String required(String id, String name) throws IOException {
    if (!NAME.matcher(name).matches() || name.equals(".") || name.equals("..")) {
      throw new IOException(
          "the model "
              + id
              + " has a file whose name would leave its folder or is none on every system: "
              + Quote.of(name)
              + "; do not load it");
    }
    return name;
  }

  /**
   * The files that an index names.
   *
   * @param id the model, for messages
   * @param index the name of the index in the model
   * @param json what it holds
   * @param names all files of the model
   * @return the names of files in the model
   * @throws IOException if it names none, or some that are not there or would leave the folder
   */
  static Set<String> shards(
      String id, String index, Map<String, @Nullable Object> json, Set<String> names)
      throws IOException {
    String folder = index.substring(0, index.lastIndexOf('/') + 1);
    Set<String> shards = new TreeSet<>();
    if (json.get("weight_map") instanceof Map<?, ?> map) {
      for (Object name : map.values()) {
        shards.add(folder + required(id, String.valueOf(name)));
      }
    }
    Set<String> missing = new TreeSet<>(shards);
    missing.removeAll(names);
    if (shards.isEmpty() || !missing.isEmpty()) {
      throw new IOException(
          "the model "
              + id
              + " is not whole: "
              + index
              + " names "
              + (shards.isEmpty() ? "no files" : Quote.of(missing) + ", which it has not")
              + "; choose another revision");
    }
    return shards;
  }
}
