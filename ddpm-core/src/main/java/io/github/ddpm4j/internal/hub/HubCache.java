package io.github.ddpm4j.internal.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The folder where Hugging Face's tools keep what they have downloaded: {@code
 * models--org--name/snapshots/COMMIT} holds the files of a commit, and {@code refs/NAME} says which
 * commit a name stands for.
 */
final class HubCache {

  /** A commit, which stands for the same files for ever. */
  static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

  private static final Pattern ID =
      Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}");

  private static final Pattern REVISION = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._/-]{0,255}");

  private final Path folder;

  private HubCache(Path folder) {
    this.folder = folder;
  }

  /**
   * Where it is.
   *
   * @param environment the environment variables: {@code HF_HUB_CACHE}, {@code HF_HOME} and {@code
   *     XDG_CACHE_HOME}, the first that is set
   * @param home the user's folder
   */
  static HubCache of(Function<String, @Nullable String> environment, Path home) {
    String cache = environment.apply("HF_HUB_CACHE");
    if (isSet(cache)) {
      return new HubCache(Path.of(cache));
    }
    String own = environment.apply("HF_HOME");
    if (isSet(own)) {
      return new HubCache(Path.of(own).resolve("hub"));
    }
    String caches = environment.apply("XDG_CACHE_HOME");
    Path all = isSet(caches) ? Path.of(caches) : home.resolve(".cache");
    return new HubCache(all.resolve("huggingface").resolve("hub"));
  }

  private static boolean isSet(@Nullable String value) {
    return value != null && !value.isEmpty();
  }

  /** Checks that names are such, before they become parts of paths and addresses. */
  static void requireNames(String id, String revision) {
    if (!ID.matcher(id).matches() || id.contains("--") || id.contains("..")) {
      throw new IllegalArgumentException(
          "the name of a model must be like google/ddpm-cifar10-32, but was \""
              + id
              + "\"; for a folder or file call load(Path.of(...))");
    }
    if (!REVISION.matcher(revision).matches() || revision.contains("..")) {
      throw new IllegalArgumentException(
          "a revision must be a branch, a tag or a commit, but was \"" + revision + "\"");
    }
  }

  /** The folder of a model, there or not. */
  Path model(String id) {
    return folder.resolve(folderName(id));
  }

  /** The folder for the locks of those who write to a model. */
  Path locks(String id) {
    return folder.resolve(".locks").resolve(folderName(id));
  }

  private static String folderName(String id) {
    return "models--" + id.replace("/", "--");
  }

  /**
   * The files of a model.
   *
   * @param id the name of the model, {@code org/name}
   * @param revision a branch, a tag or a commit
   * @param download the method that gets it, for messages
   * @return the folder of the snapshot
   * @throws IllegalArgumentException if a name is none
   * @throws NoSuchFileException if the model or the revision is not there, saying how to get it
   */
  Path snapshot(String id, String revision, String download) throws IOException {
    requireNames(id, revision);
    Path model = model(id);
    if (!Files.isDirectory(model)) {
      throw missing(model, id, revision, download);
    }
    Path ref = model.resolve("refs").resolve(revision);
    String commit = Files.isRegularFile(ref) ? Files.readString(ref).strip() : revision;
    Path snapshot = model.resolve("snapshots").resolve(commit);
    if (!COMMIT.matcher(commit).matches() || !Files.isDirectory(snapshot)) {
      throw missing(snapshot, id, revision, download);
    }
    return snapshot;
  }

  private static NoSuchFileException missing(
      Path where, String id, String revision, String download) {
    return new NoSuchFileException(
        where.toString(),
        null,
        "the model is not in the cache of Hugging Face; get it by "
            + download
            + "(\""
            + id
            + "\", \""
            + revision
            + "\"), or by: huggingface-cli download "
            + id
            + " --revision "
            + revision);
  }
}
