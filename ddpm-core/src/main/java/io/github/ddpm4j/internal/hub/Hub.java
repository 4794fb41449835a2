package io.github.ddpm4j.internal.hub;

import io.github.ddpm4j.internal.description.Quote;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Hugging Face's hub of models and its cache on this machine, as the environment has them. Python's
 * huggingface_hub and this class share the cache: what one has downloaded the other finds.
 *
 * <p>Immutable; used by many threads at once.
 */
public final class Hub {

  private static final String ENDPOINT = "HF_ENDPOINT";
  private static final String TOKEN = "HF_TOKEN";
  private static final String OFFLINE = "HF_HUB_OFFLINE";
  private static final String USUAL_ENDPOINT = "https://huggingface.co";
  private static final Set<String> YES = Set.of("1", "ON", "YES", "TRUE");
  private static final Pattern SENDABLE = Pattern.compile("[\\x21-\\x7e]+");

  private final Function<String, @Nullable String> environment;
  private final HubCache cache;
  private final HubHttp.Limits limits;
  private final Waits waits;

  private Hub(
      Function<String, @Nullable String> environment,
      HubCache cache,
      HubHttp.Limits limits,
      Waits waits) {
    this.environment = environment;
    this.cache = cache;
    this.limits = limits;
    this.waits = waits;
  }

  /** What hears how far a download is. */
  @FunctionalInterface
  public interface Progress {

    /**
     * Hears of one file.
     *
     * @param file its name in the model, such as {@code unet/config.json}
     * @param bytes how many bytes of it are there, those of earlier attempts among them
     * @param total how many it has
     */
    void at(String file, long bytes, long total);
  }

  /** How to wait; tests do not. */
  @FunctionalInterface
  public interface Waits {

    /**
     * Waits.
     *
     * @param time how long
     * @throws InterruptedException if the thread is interrupted
     */
    void sleep(Duration time) throws InterruptedException;
  }

  /**
   * The hub and cache of this process.
   *
   * @return what the environment variables of the process say
   */
  public static Hub ofEnvironment() {
    return of(System::getenv, Path.of(System.getProperty("user.home", "")));
  }

  /**
   * A hub and cache.
   *
   * @param environment the environment variables: {@code HF_HUB_CACHE}, {@code HF_HOME}, {@code
   *     XDG_CACHE_HOME}, {@code HF_ENDPOINT}, {@code HF_TOKEN} and {@code HF_HUB_OFFLINE}
   * @param home the user's folder
   * @return what they say
   */
  public static Hub of(Function<String, @Nullable String> environment, Path home) {
    return new Hub(
        environment,
        HubCache.of(environment, home),
        HubHttp.Limits.USUAL,
        time -> Thread.sleep(time.toMillis()));
  }

  /** The same with other patience. */
  Hub with(HubHttp.Limits newLimits, Waits newWaits) {
    return new Hub(environment, cache, newLimits, newWaits);
  }

  /**
   * The files of a model on this machine.
   *
   * @param id the name of the model, {@code org/name}
   * @param revision a branch, a tag or a commit
   * @param download the method of this library that gets it, for messages
   * @return the folder of the snapshot
   * @throws IllegalArgumentException if a name is none
   * @throws java.nio.file.NoSuchFileException if it is not there, saying how to get it
   * @throws IOException if the cache cannot be read
   */
  public Path snapshot(String id, String revision, String download) throws IOException {
    return cache.snapshot(id, revision, download);
  }

  /**
   * Downloads the files of a pipeline into the cache, those that are not there yet: of each
   * component its configuration and its weights, in one form of them, safetensors before pickles. A
   * download that broke goes on where it was. The folder of the snapshot is known by the revision
   * once all files are whole.
   *
   * @param id the name of the model, {@code org/name}
   * @param revision a branch, a tag or a commit
   * @param components the folders of the pipeline that are wanted, such as {@code unet} and {@code
   *     scheduler}; those that the model has not are left out, and a model without folders has its
   *     files beside each other
   * @param progress hears how far it is, on this thread; what it throws ends the download
   * @return the folder of the snapshot
   * @throws IllegalArgumentException if a name is none, or a variable of the environment has a
   *     value that makes no sense
   * @throws java.nio.file.NoSuchFileException if the hub has no such model, revision or file
   * @throws java.nio.file.AccessDeniedException if the hub does not let this user have it
   * @throws InterruptedIOException if the thread was interrupted, which it still is afterwards;
   *     what has come stays for the next time
   * @throws IOException if the model is none that a pipeline can be made of, the hub cannot be
   *     reached, breaks off again and again, or sends something other than it said
   */
  public Path download(String id, String revision, List<String> components, Progress progress)
      throws IOException {
    HubCache.requireNames(id, revision);
    String offline = environment.apply(OFFLINE);
    if (offline != null && YES.contains(offline.toUpperCase(Locale.ROOT))) {
      throw new IOException(
          OFFLINE
              + " is set to "
              + Quote.of(offline)
              + ", so nothing is downloaded; unset it, or load what is in the cache by its name");
    }
    HubHttp http = new HubHttp(endpoint(), token(), limits, waits);
    try {
      return new HubDownload(cache, http, id, revision, components, progress, waits).run();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      InterruptedIOException interrupted =
          new InterruptedIOException(
              "the download of "
                  + id
                  + " was interrupted; what has come is kept, and the next download goes on");
      interrupted.initCause(e);
      throw interrupted;
    }
  }

  private URI endpoint() {
    String set = environment.apply(ENDPOINT);
    String text = set == null || set.isBlank() ? USUAL_ENDPOINT : set.strip();
    while (text.endsWith("/")) {
      text = text.substring(0, text.length() - 1);
    }
    try {
      URI uri = URI.create(text);
      boolean web = "http".equals(uri.getScheme()) || "https".equals(uri.getScheme());
      if (web
          && uri.getHost() != null
          && uri.getRawUserInfo() == null
          && uri.getRawQuery() == null
          && uri.getRawFragment() == null) {
        return uri;
      }
    } catch (IllegalArgumentException e) {
      throw endpoint(text, e);
    }
    throw endpoint(text, null);
  }

  /** What stands before an @ may be a password. */
  private static IllegalArgumentException endpoint(String text, @Nullable Throwable cause) {
    return new IllegalArgumentException(
        ENDPOINT
            + " must be an address such as "
            + USUAL_ENDPOINT
            + ", without user, ? and #, but was "
            + (text.contains("@") ? "one with a user" : Quote.of(text)),
        text.contains("@") ? null : cause);
  }

  private @Nullable String token() {
    String token = environment.apply(TOKEN);
    if (token == null || token.isBlank()) {
      return null;
    }
    if (!SENDABLE.matcher(token.strip()).matches()) {
      throw new IllegalArgumentException(
          TOKEN
              + " must have letters, digits and signs of ASCII alone, but has other characters;"
              + " copy it anew");
    }
    return token.strip();
  }
}
