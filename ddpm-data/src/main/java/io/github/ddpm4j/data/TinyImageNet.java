package io.github.ddpm4j.data;

import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Finds the pictures of Tiny ImageNet in its own layout, as datasets of pictures.
 *
 * <pre>
 *   wnids.txt                        the names of the classes in WordNet, one a line
 *   words.txt                        such a name, a tab, and what it means; may be missing
 *   train/n01443537/images/*.JPEG
 *   val/images/*.JPEG
 *   val/val_annotations.txt          a file, a tab, its class, and more
 * </pre>
 *
 * <p>Classes are numbered by their names in WordNet, sorted; {@code classNames()} are the words.
 */
public final class TinyImageNet {

  private static final String CLASSES = "wnids.txt";
  private static final String WORDS = "words.txt";
  private static final String ANNOTATIONS = "val_annotations.txt";

  private TinyImageNet() {}

  /**
   * The training set.
   *
   * @param folder the folder that holds {@code wnids.txt} and {@code train}
   * @param image the shape of an image; the pictures are (3, 64, 64)
   * @return a builder, which requires {@code setSampling}
   */
  public static PictureFolder.Builder training(Path folder, Shape image) {
    return PictureFolder.builder(folder, image, TinyImageNet::listTraining);
  }

  /**
   * The validation set, with the labels of the training set.
   *
   * @param folder the folder that holds {@code wnids.txt} and {@code val}
   * @param image the shape of an image; the pictures are (3, 64, 64)
   * @return a builder, which requires {@code setSampling}
   */
  public static PictureFolder.Builder validation(Path folder, Shape image) {
    return PictureFolder.builder(folder, image, TinyImageNet::listValidation);
  }

  private static PictureList listTraining(Path folder) throws IOException {
    Map<String, Integer> classes = classes(folder);
    List<PictureList.Entry> entries = new ArrayList<>();
    for (Map.Entry<String, Integer> one : classes.entrySet()) {
      Path images = folder.resolve("train").resolve(one.getKey()).resolve("images");
      PictureList.requireFolder(images);
      for (Path file : PictureList.children(images)) {
        if (PictureList.isPicture(file)) {
          entries.add(
              new PictureList.Entry(file, PictureList.relative(folder, file), one.getValue()));
        }
      }
    }
    return list(folder, entries, classes);
  }

  private static PictureList listValidation(Path folder) throws IOException {
    Map<String, Integer> classes = classes(folder);
    Path annotations = folder.resolve("val").resolve(ANNOTATIONS);
    List<PictureList.Entry> entries = new ArrayList<>();
    for (String line : lines(annotations)) {
      String[] cells = line.split("\t", -1);
      Integer label = cells.length < 2 ? null : classes.get(cells[1]);
      if (label == null) {
        throw new IOException(
            "each line of "
                + annotations
                + " must have a file, a tab and a class of "
                + CLASSES
                + ", but one is \""
                + line
                + "\"");
      }
      Path file = folder.resolve("val").resolve("images").resolve(cells[0]);
      entries.add(new PictureList.Entry(file, PictureList.relative(folder, file), label));
    }
    entries.sort(Comparator.comparing(PictureList.Entry::name));
    return list(folder, entries, classes);
  }

  private static PictureList list(
      Path folder, List<PictureList.Entry> entries, Map<String, Integer> classes)
      throws IOException {
    if (entries.isEmpty()) {
      throw new IOException(folder + " holds no pictures in the layout of Tiny ImageNet");
    }
    Map<String, String> words = new HashMap<>();
    if (Files.exists(folder.resolve(WORDS))) {
      for (String line : lines(folder.resolve(WORDS))) {
        int tab = line.indexOf('\t');
        if (tab > 0) {
          words.put(line.substring(0, tab), line.substring(tab + 1));
        }
      }
    }
    List<String> names =
        classes.keySet().stream().map(name -> words.getOrDefault(name, name)).toList();
    return new PictureList(List.copyOf(entries), names, 0);
  }

  /** The classes, sorted, with their labels. */
  private static Map<String, Integer> classes(Path folder) throws IOException {
    PictureList.requireFolder(folder);
    Map<String, Integer> labels = new TreeMap<>();
    for (String name : lines(folder.resolve(CLASSES)).stream().sorted().distinct().toList()) {
      labels.put(name, labels.size());
    }
    return labels;
  }

  private static List<String> lines(Path file) throws IOException {
    return Files.readAllLines(file).stream().map(String::strip).filter(l -> !l.isEmpty()).toList();
  }
}
