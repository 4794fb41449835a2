package io.github.ddpm4j.internal.io;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.FolderClaim;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The files of a model folder. The description names the file of the weights, whose name holds its
 * digest, and is replaced last and at once: that is the instant in which the old model becomes the
 * new one. A file goes only when the description on the disk no longer names it.
 */
final class ModelFiles {

  private static final Logger logger = LoggerFactory.getLogger(ModelFiles.class);

  /** The file that describes the model and names the others. */
  static final String DESCRIPTION = "ddpm.json";

  /** The file of the weights in version 1, which gave it one name for all models. */
  static final String WEIGHTS_1 = "weights.safetensors";

  /** What DJL looks for in a folder: how to load it, whatever model it holds. It stays. */
  private static final String SERVING = "serving.properties";

  private static final String WEIGHTS_STEM = "weights";

  private static final int DIGEST_DIGITS = 16;

  private static final Pattern WEIGHTS =
      Pattern.compile(WEIGHTS_STEM + "-[0-9a-f]{" + DIGEST_DIGITS + "}\\.safetensors");

  private static final Pattern STEMS =
      Pattern.compile(WEIGHTS_STEM + "|" + Pattern.quote(DESCRIPTION));

  /** Longer than a large model takes to be written. */
  private static final Duration PATIENCE = Duration.ofMinutes(10);

  /** So often a folder is made anew that another one deletes. */
  private static final int MOST_ATTEMPTS = 100;

  private ModelFiles() {}

  /** Whether a file has a name as {@link #write} gives it to weights. */
  static boolean isWeights(String name) {
    return WEIGHTS.matcher(name).matches();
  }

  /**
   * Checks that a folder may be written: it is missing, empty, or holds a model and nothing else.
   *
   * @param target the folder, without links
   * @throws FileAlreadyExistsException if it is something else, or holds more than a model
   * @throws IOException if it cannot be read
   */
  static void requireReplaceable(Path target) throws IOException {
    if (!Files.exists(target)) {
      return;
    }
    if (Files.isDirectory(target)) {
      TreeSet<String> foreign = new TreeSet<>();
      boolean model = Files.exists(target.resolve(DESCRIPTION));
      for (Path file : files(target)) {
        String name = String.valueOf(file.getFileName());
        if (!isOwn(name, model)) {
          foreign.add(name);
        }
      }
      if (foreign.isEmpty()) {
        return;
      }
      if (model) {
        throw new FileAlreadyExistsException(
            target.toString(),
            null,
            "besides an older model it holds "
                + Quote.of(foreign)
                + ", which would be no part of the new one; move that away or choose another name");
      }
    }
    throw new FileAlreadyExistsException(
        target.toString(),
        null,
        "it exists and is no model folder, so it is not replaced; choose another name");
  }

  private static boolean isOwn(String name, boolean besideDescription) {
    return name.equals(DESCRIPTION)
        || isWeights(name)
        || (name.equals(WEIGHTS_1) && besideDescription)
        || WholeFile.isLeftover(name, STEMS)
        || name.equals(FolderClaim.LOCK)
        || name.equals(SERVING)
        // What a file system keeps in the root of a volume.
        || name.equals("lost+found");
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }

  /**
   * Writes a model; waits while others write to the folder.
   *
   * @param target the folder, without links; made if it is missing
   * @param weights what the file of the weights is to hold
   * @param description the text of the description, which names that file and its digest
   * @throws FileAlreadyExistsException as in {@link #requireReplaceable}
   * @throws IOException if writing fails; the model that was there before is still there
   */
  static void write(
      Path target, WholeFile.Content weights, Function<WholeFile.Written, String> description)
      throws IOException {
    AtomicBoolean made = new AtomicBoolean();
    FolderClaim claimed = claim(target, made);
    boolean done = false;
    try (claimed) {
      requireReplaceable(target);
      replace(target, weights, description);
      done = true;
    } catch (FileAlreadyExistsException e) {
      throw e;
    } catch (IOException e) {
      throw unwritten(target, WholeFile.ofDisk(e));
    } finally {
      if (!done) {
        unmake(target, made);
      }
    }
  }

  /** Makes the folder, and once more if one that had made it, and failed, took it away. */
  private static FolderClaim claim(Path target, AtomicBoolean made) throws IOException {
    for (int attempt = 1; ; attempt++) {
      made.set(!Files.exists(target));
      makeFolder(target);
      try {
        return FolderClaim.await(target, PATIENCE);
      } catch (IOException e) {
        if (!(e instanceof NoSuchFileException) || attempt == MOST_ATTEMPTS) {
          unmake(target, made);
          throw unwritten(target, e);
        }
        logger.debug("{} was deleted while its lock was waited for", target, e);
      }
    }
  }

  /** What another one has written there meanwhile stays. */
  private static void unmake(Path target, AtomicBoolean made) {
    if (made.get()) {
      attempt(target, Files::deleteIfExists);
    }
  }

  private static void makeFolder(Path target) throws IOException {
    try {
      WholeFile.makeFolder(target, target);
    } catch (FileSystemException e) {
      throw unwritten(target, e);
    }
  }

  private static IOException unwritten(Path target, IOException e) {
    return new IOException(target + " could not be written: " + WholeFile.reason(e), e);
  }

  private static void replace(
      Path target, WholeFile.Content weights, Function<WholeFile.Written, String> description)
      throws IOException {
    // Before anything is written: a disk that is full has room then.
    clean(target);
    try {
      WholeFile.Written written =
          WholeFile.write(target, WEIGHTS_STEM, ModelFiles::nameOf, weights);
      WholeFile.writeText(target.resolve(DESCRIPTION), description.apply(written));
      if (!Files.exists(written.file())) {
        throw new IOException("somebody else has deleted what was written; write it anew");
      }
    } finally {
      // Of the old model if the new one is described, else of the new one.
      attempt(target, ModelFiles::clean);
    }
  }

  private static String nameOf(String sha256) {
    return WEIGHTS_STEM + "-" + sha256.substring(0, DIGEST_DIGITS) + ".safetensors";
  }

  /** What is left if this fails is cleaned by the next save. */
  private static void attempt(Path target, Cleaning cleaning) {
    try {
      cleaning.of(target);
    } catch (IOException e) {
      logger.warn("{} could not be cleaned up: {}", target, WholeFile.reason(e));
      logger.debug("{} could not be cleaned up", target, e);
    }
  }

  /** What deletes files. */
  @FunctionalInterface
  private interface Cleaning {
    void of(Path target) throws IOException;
  }

  /** Deletes what killed saves left, and weights that the description does not name. */
  private static void clean(Path target) throws IOException {
    Predicate<String> named = named(target);
    boolean deleted = false;
    for (Path file : files(target)) {
      String name = String.valueOf(file.getFileName());
      boolean weights = isWeights(name) || name.equals(WEIGHTS_1);
      if (WholeFile.isLeftover(name, STEMS) || (weights && !named.test(name))) {
        deleted |= Files.deleteIfExists(file);
      }
    }
    if (deleted) {
      WholeFile.forceFolder(target);
    }
  }

  /** Whether a folder's description names a file. One that is there, but not read, may name any. */
  private static Predicate<String> named(Path target) {
    try {
      String weights = DescriptionFile.read(target).weights();
      return weights::equals;
    } catch (IOException e) {
      // Not by the kind of the failure: a link to nowhere is there, too.
      if (Files.notExists(target.resolve(DESCRIPTION), LinkOption.NOFOLLOW_LINKS)) {
        return name -> false;
      }
      logger.debug("{} does not tell its files, so all are kept", target, e);
      return name -> true;
    }
  }
}
