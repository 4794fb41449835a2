package io.github.ddpm4j.pretrained;

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
 * commit a name stands for. It is only read.
 */
final class HubCache {

  private static final Pattern ID =
      Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}");

  private static final Pattern REVISION = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._/-]{0,255}");
  private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

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

  /**
   * The files of a model.
   *
   * @param id the name of the model, {@code org/name}
   * @param revision a branch, a tag or a commit
   * @return the folder of the snapshot
   * @throws IllegalArgumentException if a name is none
   * @throws NoSuchFileException if the model or the revision is not there, saying how to get it
   */
  Path snapshot(String id, String revision) throws IOException {
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
    Path model = folder.resolve("models--" + id.replace("/", "--"));
    if (!Files.isDirectory(model)) {
      throw missing(model, id, "");
    }
    Path ref = model.resolve("refs").resolve(revision);
    String commit = Files.isRegularFile(ref) ? Files.readString(ref).strip() : revision;
    Path snapshot = model.resolve("snapshots").resolve(commit);
    if (!COMMIT.matcher(commit).matches() || !Files.isDirectory(snapshot)) {
      throw missing(snapshot, id, " --revision " + revision);
    }
    return snapshot;
  }

  private static NoSuchFileException missing(Path where, String id, String options) {
    return new NoSuchFileException(
        where.toString(),
        null,
        "the model is not in the cache of Hugging Face; get it by: huggingface-cli download "
            + id
            + options);
  }
}
