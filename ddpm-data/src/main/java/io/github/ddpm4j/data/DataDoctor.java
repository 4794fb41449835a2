package io.github.ddpm4j.data;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.data.PictureFolder.BrokenFile;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Queue;
import java.util.concurrent.Future;
import java.util.function.BiConsumer;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Looks through a folder of pictures and says in words what would hurt training.
 *
 * <pre>{@code
 * System.out.println(DataDoctor.examine(Path.of("photos"), new Shape(3, 64, 64)));
 * }</pre>
 *
 * <p>Pictures are the same if their pixels are, whatever their files are called. They look the same
 * if their difference hashes (8 x 8 comparisons of neighbours) differ in at most 7 bits and grey
 * thumbnails of 16 x 16 by less than 3 % of white on average.
 */
public final class DataDoctor {

  /** Below so many pictures a network learns them by heart: {@value}. */
  public static final int FEW = 1000;

  /** A class with so many times the pictures of another is named: {@value}. */
  public static final int UNBALANCED = 5;

  /** A picture is called dark if no pixel reaches this share of white: {@value}. */
  public static final double DARK = 0.25;

  private static final int SHOWN = 3;

  private final Path folder;
  private final Shape image;
  private final PictureList list;
  private final List<@Nullable Look> looks;
  private final List<BrokenFile> broken;
  private final List<String> findings = new ArrayList<>();

  private DataDoctor(
      Path folder,
      Shape image,
      PictureList list,
      List<@Nullable Look> looks,
      List<BrokenFile> broken) {
    this.folder = folder;
    this.image = image;
    this.list = list;
    this.looks = looks;
    this.broken = broken;
    examine();
  }

  /**
   * Reads all pictures of a folder.
   *
   * @param folder the folder, as for {@link PictureFolder}
   * @param image the shape of the images that are to be trained on
   * @return what was found
   * @throws IOException as {@link PictureFolder.Builder#build}
   * @throws IllegalArgumentException if {@code image} is no shape of images
   */
  public static DataDoctor examine(Path folder, Shape image) throws IOException {
    return examine(folder, image, (seen, all) -> {});
  }

  /**
   * Reads all pictures of a folder.
   *
   * @param folder the folder, as for {@link PictureFolder}
   * @param image the shape of the images that are to be trained on
   * @param progress hears after each file how many of how many are read
   * @return what was found
   * @throws IOException as {@link PictureFolder.Builder#build}
   * @throws IllegalArgumentException if {@code image} is no shape of images
   */
  public static DataDoctor examine(Path folder, Shape image, BiConsumer<Integer, Integer> progress)
      throws IOException {
    PictureFolder.builder(folder, image); // checks the shape
    PictureList list = PictureList.of(folder);
    Workers workers = new Workers(Runtime.getRuntime().availableProcessors());
    Queue<Future<Object>> running = new ArrayDeque<>();
    List<@Nullable Look> looks = new ArrayList<>();
    List<BrokenFile> broken = new ArrayList<>();
    int ahead = 4 * workers.threads();
    int count = list.entries().size();
    for (int i = 0; i < count + ahead; i++) {
      if (i < count) {
        Path file = list.entries().get(i).file();
        running.add(workers.submit(() -> look(file)));
      }
      if (i >= ahead && !running.isEmpty()) {
        Object found = Workers.await(running.remove());
        looks.add(found instanceof Look look ? look : null);
        if (found instanceof BrokenFile file) {
          broken.add(file);
        }
        progress.accept(looks.size(), count);
      }
    }
    return new DataDoctor(folder, image, list, looks, broken);
  }

  private static Object look(Path file) {
    try {
      return Look.at(file);
    } catch (IOException | RuntimeException e) {
      return new BrokenFile(file, String.valueOf(e.getMessage()));
    }
  }

  /**
   * What would hurt training, one sentence each.
   *
   * @return the sentences, in the order of the report; empty if nothing was found
   */
  public List<String> findings() {
    return List.copyOf(findings);
  }

  /**
   * The files that cannot be read.
   *
   * @return the files with the reasons, in their order
   */
  public List<BrokenFile> brokenFiles() {
    return List.copyOf(broken);
  }

  /**
   * Groups of pictures with the same pixels.
   *
   * @return the names of the files of each group, from the folder on
   */
  public List<List<String>> duplicates() {
    return named(Likeness.equal(looks));
  }

  /**
   * Groups of pictures that look the same without being so in each pixel.
   *
   * @return the names of the files of each group, from the folder on
   */
  public List<List<String>> nearDuplicates() {
    return named(Likeness.alike(looks));
  }

  private List<List<String>> named(List<List<Integer>> groups) {
    return groups.stream().map(group -> group.stream().map(this::name).toList()).toList();
  }

  private String name(int index) {
    return list.entries().get(index).name();
  }

  /* --- what is found --- */

  private List<Look> whole() {
    List<Look> whole = new ArrayList<>();
    for (Look look : looks) {
      if (look != null) {
        whole.add(look);
      }
    }
    return whole;
  }

  private void examine() {
    int count = whole().size();
    if (!broken.isEmpty()) {
      findings.add(
          files(broken.size())
              + " cannot be read and would be left out: "
              + broken.stream()
                  .limit(SHOWN)
                  .map(file -> PictureList.relative(folder, file.file()))
                  .collect(Collectors.joining(", "))
              + more(broken.size()));
    }
    if (count < FEW) {
      findings.add(
          String.format(
              Locale.ROOT,
              "%s %s few: under %d a network learns them by heart; flips and crops help a little",
              pictures(count),
              count == 1 ? "is" : "are",
              FEW));
    }
    examineLikeness();
    examineClasses();
    examineShapes();
    examineLevels();
  }

  private void examineLikeness() {
    List<List<Integer>> equal = Likeness.equal(looks);
    if (!equal.isEmpty()) {
      int extra = equal.stream().mapToInt(group -> group.size() - 1).sum();
      findings.add(
          pictures(extra)
              + (extra == 1 ? " is" : " are")
              + " there again, with the same pixels, and would weigh double: "
              + groups(equal));
    }
    List<List<Integer>> torn = equal.stream().filter(this::isTorn).toList();
    if (!torn.isEmpty()) {
      findings.add("the same picture lies in several classes: " + groups(torn));
    }
    List<List<Integer>> alike = Likeness.alike(looks);
    if (!alike.isEmpty()) {
      findings.add(
          "some pictures look the same without being so in each pixel, as copies of another size or"
              + " quality do: "
              + groups(alike));
    }
  }

  private boolean isTorn(List<Integer> group) {
    return group.stream().map(i -> list.entries().get(i).label()).distinct().count() > 1;
  }

  private String groups(List<List<Integer>> groups) {
    return groups.stream()
            .limit(SHOWN)
            .map(
                group ->
                    group.stream().limit(SHOWN).map(this::name).collect(Collectors.joining(" = "))
                        + (group.size() > SHOWN ? " = …" : ""))
            .collect(Collectors.joining(", "))
        + more(groups.size());
  }

  private int[] ofClasses() {
    int[] counts = new int[list.classNames().size()];
    for (int i = 0; i < looks.size(); i++) {
      if (looks.get(i) != null && counts.length > 0) {
        counts[list.entries().get(i).label()]++;
      }
    }
    return counts;
  }

  private void examineClasses() {
    int[] counts = ofClasses();
    if (counts.length < 2) {
      return;
    }
    int least = 0;
    int most = 0;
    for (int i = 0; i < counts.length; i++) {
      least = counts[i] < counts[least] ? i : least;
      most = counts[i] > counts[most] ? i : most;
    }
    if (counts[most] >= (long) UNBALANCED * counts[least]) {
      findings.add(
          String.format(
              Locale.ROOT,
              "classes are unbalanced: %s has %s, and %s %d; the small ones will be drawn worse",
              list.classNames().get(most),
              pictures(counts[most]),
              list.classNames().get(least),
              counts[least]));
    }
  }

  private void examineShapes() {
    long height = image.get(1);
    long width = image.get(2);
    say(
        look -> look.height() < height || look.width() < width,
        String.format(
            Locale.ROOT, "smaller than %d x %d and would be blurred by enlarging", width, height));
    double wanted = (double) width / height;
    say(
        look -> {
          double own = (double) look.width() / look.height();
          return Math.min(own / wanted, wanted / own) < 0.5;
        },
        "so long that a crop would show less than half; choose Fit.PAD, or take them away");
    boolean grey = image.get(0) == 1;
    say(look -> grey && look.colour(), "coloured and would be trained on in grey");
    if (!grey) {
      long without = whole().stream().filter(look -> !look.colour()).count();
      if (without > 0 && without < whole().size()) {
        say(look -> !look.colour(), "grey among coloured ones, so that grey would be drawn too");
      }
    }
    if (image.get(0) < 4) {
      say(Look::transparent, "partly transparent and would be shown on the background");
    }
  }

  private void examineLevels() {
    say(Look::isFlat, "of one colour alone");
    say(
        look -> !look.isFlat() && look.greatest() < DARK,
        String.format(
            Locale.ROOT,
            "dark, with no pixel above %.0f %% of white; 12 bits in files of 16 look so",
            100 * DARK));
  }

  /** Adds a sentence if it is true of any picture. */
  private void say(Predicate<Look> rule, String what) {
    List<String> names = new ArrayList<>();
    for (int i = 0; i < looks.size(); i++) {
      Look look = looks.get(i);
      if (look != null && rule.test(look)) {
        names.add(name(i));
      }
    }
    if (!names.isEmpty()) {
      findings.add(
          pictures(names.size())
              + (names.size() == 1 ? " is " : " are ")
              + what
              + ": "
              + names.stream().limit(SHOWN).collect(Collectors.joining(", "))
              + more(names.size()));
    }
  }

  private static String more(int count) {
    return count > SHOWN ? " and " + (count - SHOWN) + " more" : "";
  }

  private static String pictures(int count) {
    return count + (count == 1 ? " picture" : " pictures");
  }

  private static String files(int count) {
    return count + (count == 1 ? " file" : " files");
  }

  /* --- the report --- */

  /**
   * Prints {@link #toString}.
   *
   * @param out where to
   */
  public void print(PrintStream out) {
    out.println(this);
  }

  /** The report as text: what there is, then what would hurt training. */
  @Override
  public String toString() {
    List<String> lines = new ArrayList<>();
    List<Look> whole = whole();
    lines.add(
        folder
            + ": "
            + pictures(whole.size())
            + ", "
            + files(broken.size())
            + " broken, "
            + files(list.others())
            + " of other kinds");
    if (!whole.isEmpty()) {
      lines.add("sizes    " + sizes(whole));
      lines.add("kinds    " + kinds(whole));
      lines.add("levels   " + levels(whole));
    }
    if (!list.classNames().isEmpty()) {
      int[] counts = ofClasses();
      lines.add(
          "classes  "
              + IntStream.range(0, counts.length)
                  .mapToObj(i -> list.classNames().get(i) + " " + counts[i])
                  .collect(Collectors.joining(", ")));
    }
    lines.add("");
    if (findings.isEmpty()) {
      lines.add("Nothing was found that would hurt training on images of " + image + ".");
    } else {
      lines.add("What would hurt training on images of " + image + ":");
      findings.forEach(finding -> lines.add("- " + finding));
    }
    broken.forEach(file -> lines.add("  " + file.reason()));
    return String.join(System.lineSeparator(), lines);
  }

  private static String sizes(List<Look> looks) {
    int[] widths = looks.stream().mapToInt(Look::width).sorted().toArray();
    int[] heights = looks.stream().mapToInt(Look::height).sorted().toArray();
    int last = looks.size() - 1;
    return String.format(
        Locale.ROOT,
        "width %d to %d, median %d; height %d to %d, median %d",
        widths[0],
        widths[last],
        widths[last / 2],
        heights[0],
        heights[last],
        heights[last / 2]);
  }

  private static String kinds(List<Look> looks) {
    long colour = looks.stream().filter(Look::colour).count();
    long transparent = looks.stream().filter(Look::transparent).count();
    return colour
        + " in colour, "
        + (looks.size() - colour)
        + " grey; "
        + transparent
        + " with transparent pixels";
  }

  /** Each picture counts alike, whatever its size, since all become one size. */
  private static String levels(List<Look> looks) {
    double[] means = new double[3];
    double[] deviations = new double[3];
    for (int c = 0; c < 3; c++) {
      int channel = c;
      means[c] = looks.stream().mapToDouble(look -> look.sums()[channel][0]).average().orElse(0);
      double squares =
          looks.stream().mapToDouble(look -> look.sums()[channel][1]).average().orElse(0);
      deviations[c] = Math.sqrt(Math.max(0, squares - means[c] * means[c]));
    }
    return "mean of R, G, B " + shares(means) + ", deviation " + shares(deviations);
  }

  private static String shares(double[] values) {
    return Arrays.stream(values)
        .mapToObj(value -> String.format(Locale.ROOT, "%.3f", value))
        .collect(Collectors.joining(" "));
  }
}
